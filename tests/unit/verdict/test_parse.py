import copy
import dataclasses
import math
import pickle

import pytest

from rmr1.errors import InputError
from rmr1.records import Generation, TokenLogprob
from rmr1.reward import verdict_reward
from rmr1.verdict import RULES, SectionsLater, parse_choice, parse_verdict, verdict_probability

CHAT = """<type>Chat</type>

<rubric>
1. Accuracy (60%): facts are right
2. Tone (weight: 0.4): friendly
<justify>Facts matter most.</justify>
</rubric>

<eval>
<quote_A>the sky is green</quote_A> is wrong; <summary_B>says blue</summary_B>.
</eval>

<answer>[[B]]</answer>
"""
REASONING = """<type>Reasoning</type>
<solution>2 + 2 = 4</solution>
<eval><summary_A>4</summary_A><summary_B>5</summary_B></eval>
<answer>[[A]]</answer>"""


def judge(text, rule="default", finish="stop", think_open=False):
    return parse_verdict(Generation("r", text, finish, think_open=think_open), rule)


def test_chat_completion_is_read_whole():
    verdict = judge(CHAT)
    sections = verdict.sections
    assert (verdict.side, verdict.invalid, verdict.problems) == ("B", None, ())
    assert sections.task_type == "Chat"
    assert [(item.text.split()[0], item.weight) for item in sections.rubric_items] == [("Accuracy", 0.6), ("Tone", 0.4)]
    assert sections.justify == "Facts matter most."
    assert sections.quotes_a == ("the sky is green",)
    assert sections.summaries_b == ("says blue",)
    assert sections.evaluation.endswith("</summary_B>.")
    assert CHAT[verdict.position] == "B"


def test_reasoning_completion_is_read_whole():
    verdict = judge(REASONING)
    assert (verdict.side, verdict.problems, verdict.sections.solution) == ("A", (), "2 + 2 = 4")


@pytest.mark.parametrize(
    ("text", "side", "invalid"),
    [
        ("<answer>[[A]]</answer>", "A", None),
        ("<answer>\n[[ B ]]\n</answer>", "B", None),
        ("<answer>[[A]]</answer> so <answer>[[A]]</answer>", "A", None),
        ("<answer>[[A]]</answer> or <answer>[[B]]</answer>", None, "conflicting"),
        ("<answer>[[A]]</answer> or <answer>[[C]]</answer>", None, "conflicting"),
        ("<answer>[[C]]</answer>", None, "missing"),
        ("<answer>[[A]] or [[B]]</answer>", None, "missing"),
        ("<answer>[A]</answer>", None, "missing"),
        ("<answer>[[a]]</answer>", None, "missing"),
        ("[[A]]", None, "missing"),
        ("<answer>[[A]]</a", None, "missing"),
        ("", None, "missing"),
    ],
)
def test_default_rule(text, side, invalid):
    verdict = judge(text)
    assert (verdict.side, verdict.invalid) == (side, invalid)


@pytest.mark.parametrize(
    ("text", "think_open", "side"),
    [
        ("<think>maybe <answer>[[A]]</answer></think><answer>[[B]]</answer>", False, "B"),
        ("maybe <answer>[[A]]</answer></think><answer>[[B]]</answer>", False, "B"),
        ("maybe <answer>[[A]]</answer></think><answer>[[B]]</answer>", True, "B"),
        ("maybe <answer>[[A]]</answer>", True, None),
        ("maybe <answer>[[A]]</answer>", False, "A"),
        ("<think>maybe <answer>[[A]]</answer>", False, None),
        ("x</think><answer>[[A]]</answer></think><answer>[[B]]</answer>", False, None),
    ],
)
def test_think_block_has_no_say(text, think_open, side):
    assert judge(text, think_open=think_open).side == side


def test_think_text_is_kept():
    assert judge(" first \n</think>\n<answer>[[A]]</answer>", think_open=True).sections.think == "first"


def test_truncated_only_where_length_ended_the_text():
    assert judge("<eval>half", finish="length").invalid == "truncated"
    assert judge("<answer>[[A]]</answer> and so", finish="length").side == "A"
    assert judge("<answer>[[A]]</answer><answer>[[B]]</answer>", finish="length").invalid == "conflicting"


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("text", "think_open"),
    [
        ("maybe <answer>[[A]]</answer>", True),
        ("<think>maybe <answer>[[A]]</answer>", False),
        ("<think>x</think>so<think>or <answer>[[A]]</answer>", False),
        ("<think>[[A]] or [[B]]", False),
        ("<think>maybe [[A]]</think>\n\n", False),
    ],
)
def test_a_thought_that_was_cut_holds_no_verdict(text, think_open, rule):
    verdict = judge(text, rule, finish="length", think_open=think_open)
    assert (verdict.side, verdict.invalid, verdict.candidates) == (None, "truncated", ())


def test_a_thought_that_ended_is_no_cut_thought():
    assert judge("hm</think><answer>[[A]]</answer> and", finish="length", think_open=True).side == "A"
    assert judge("maybe [[A]]", "rm-r1-eval", think_open=True).side == "A"


@pytest.mark.parametrize(
    ("text", "finish", "side", "invalid"),
    [
        ("<quote_A>x <answer>[[A]]</answer></quote_A><answer>[[B]]</answer>", "stop", "B", None),
        ("<eval><quote_B><answer>[[B]]</answer></quote_B></eval>", "stop", None, "missing"),
        ("<quote_A>x <answer>[[A]]</answer> and", "length", None, "truncated"),
        ("<quote_A>x <answer>[[A]]</answer>", "stop", "A", None),
        ("<summary_A>x <answer>[[A]]</answer></summary_A>", "stop", "A", None),
        ("<answer>[[A]]</answer><quote_A>x", "length", "A", None),
    ],
)
def test_what_is_quoted_is_no_verdict(text, finish, side, invalid):
    verdict = judge(text, finish=finish)
    assert (verdict.side, verdict.invalid) == (side, invalid)
    assert ("quoted_answer" in verdict.problems) == (side != "A")


def test_engine_error_is_not_parsed():
    verdict = parse_verdict(Generation("r", "<answer>[[A]]</answer>", "error", error="gone"))
    assert (verdict.side, verdict.invalid) == (None, "engine_error")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("<type>Chat</type>", ""), "missing_type"),
        (("<type>Chat", "<type>Poem"), "unknown_type"),
        (("<type>Chat", "<type>Reasoning"), "missing_solution"),
        (("<type>Chat", "<type>Reasoning"), "rubric_in_reasoning"),
        (
            ("<justify>Facts matter most.</justify>\n</rubric>", "</rubric>\n<justify>x</justify>"),
            "justify_outside_rubric",
        ),
        (("<justify>Facts matter most.</justify>", ""), "missing_justify"),
        (("<quote_A>the sky is green</quote_A>", ""), "no_reference_to_A"),
        (("<summary_B>says blue</summary_B>", ""), "no_reference_to_B"),
        (("<quote_A>the sky is green</quote_A>", "<quote_A> \n</quote_A>"), "no_reference_to_A"),
        (("<summary_B>says blue</summary_B>", "<summary_B></summary_B>"), "no_reference_to_B"),
        (("</eval>", ""), "unclosed_eval"),
        (("<eval>", ""), "unopened_eval"),
        (("<eval>", "<solution>s</solution><eval>"), "solution_in_chat"),
        (("[[B]]", "B"), "malformed_answer"),
        (("<answer>[[B]]</answer>", "[[B]]"), "verdict_outside_answer"),
        (("<answer>[[B]]</answer>", "[[B]]"), "missing_answer"),
        (("<answer>", "<answer>[[B]]</answer><answer>"), "duplicate_answer"),
        (("<answer>", "<answer>[[A]]</answer><answer>"), "conflicting_answers"),
        (("</answer>", "</answer> Done."), "text_after_answer"),
        (("says blue", "<answer>[[B]]</answer>"), None),
        (("</answer>\n", "</answer></summary_A>"), "unopened_summary_A"),
        (("<type>", "<think>hm<type>"), "unclosed_think"),
        (("<type>", "<think></think></think><type>"), "stray_think_close"),
        (("<type>", "<think><think></think><type>"), "nested_think"),
        (("<type>", "<eval>" * 5000 + "<type>"), "too_many_tags"),
    ],
)
def test_problems_are_named(change, problem):
    text = CHAT.replace(*change)
    assert text != CHAT
    problems = judge(text).problems
    assert problem in problems if problem else "duplicate_answer" in problems


def test_answer_inside_another_tag_is_named():
    assert "answer_inside_eval" in judge("<eval>so <answer>[[A]]</answer></eval>").problems


def test_plain_completion_is_not_held_to_the_rubric_grammar():
    assert judge("A is better.</think>\n<answer>[[A]]</answer>", think_open=True).problems == ()


def test_released_rules():
    late = "<answer>[[A]]</answer>" + " " * 90
    assert judge("I say [[A]].", "rm-r1-eval").side == "A"
    assert judge("[[B]]</think><answer>[[A]]</answer>", "rm-r1-eval").invalid == "conflicting"
    assert judge("[[B]]</think><answer>[[A]]</answer>" + " " * 20, "rm-r1-reward").side == "A"
    assert judge(late, "rm-r1-reward").invalid == "missing"
    assert judge(late[:-10], "rm-r1-distill").side == "A"
    assert judge(late, "rm-r1-distill").invalid == "missing"
    assert judge("[[A]] not [[B]]", "rm-r1-distill").candidates == ("A", "B")


def test_unknown_rule():
    with pytest.raises(InputError, match=r"rule: expected one of default, .*got 'no-such-rule'"):
        judge("x", "no-such-rule")


def test_reward():
    assert verdict_reward(judge("<answer>[[A]]</answer>"), "A") == 1.0
    assert verdict_reward(judge("<answer>[[A]]</answer>"), "B") == -1.0
    assert verdict_reward(judge("nothing"), "A") == -1.0
    assert verdict_reward(parse_verdict(Generation("r", "", "error")), "A") is None


def generation_with(*tokens):
    text = "".join(token.text for token in tokens)
    return Generation("r", text, tokens=tokens)


def test_probability_at_the_deciding_letter():
    generation = generation_with(
        TokenLogprob("<answer>", -0.1, (("A", -9.0),)),
        TokenLogprob("[[", -0.1),
        TokenLogprob("A", -0.2231, (("A", -0.2231), ("B", -1.6094))),
        TokenLogprob("]]</answer>", 0.0),
    )
    assert verdict_probability(generation, parse_verdict(generation)) == pytest.approx(0.8, abs=1e-3)


def test_probability_where_the_letter_is_part_of_a_token():
    generation = generation_with(
        TokenLogprob("<answer>", 0.0), TokenLogprob("[[B]]", -0.5, (("[[A]]", -0.5),)), TokenLogprob("</answer>", 0.0)
    )
    assert verdict_probability(generation, parse_verdict(generation)) == pytest.approx(0.5)


def test_no_probability_without_the_alternative():
    """What is left over, or the least of the alternatives, has to settle it; else nothing is said."""
    whole = "<answer>[[A]]</answer>"
    for logprob, top in (
        (-1.0, (("C", -1.1),)),
        (-0.4, ()),
        (-0.4, (("C", -1.6),)),
        (-9.0, ((whole, -9.0), ("C", -0.1))),
    ):
        generation = generation_with(TokenLogprob(whole, logprob, top))
        assert verdict_probability(generation, parse_verdict(generation)) is None
    assert verdict_probability(Generation("r", CHAT), judge(CHAT)) is None


@pytest.mark.parametrize(
    ("side", "logprob", "top", "expected"),
    [
        ("A", -0.01, (("C", -4.7), ("D", -9.0)), 1 / (1 + math.exp(-9.0 + 0.01))),  # not likelier than the least
        ("B", -0.01, (("C", -4.7), ("D", -9.0)), 1 - 1 / (1 + math.exp(-9.0 + 0.01))),
        (
            "A",
            math.log(0.6),
            (("C", math.log(0.2)), ("D", math.log(0.199))),
            1 - 0.001 / 0.601,
        ),  # not more than is left over
        ("A", math.log(0.6), (("C", math.log(0.4)),), 1 / (1 + 1e-4 / 0.6)),  # rounding may leave less than nothing
        ("A", math.log(0.6), (("C", math.log(0.5)),), 1 / (1 + 1e-4 / 0.6)),
    ],
)
def test_a_bound_settles_the_probability_of_a_letter_that_is_absent(side, logprob, top, expected):
    generation = generation_with(TokenLogprob(f"<answer>[[{side}]]</answer>", logprob, top))
    assert verdict_probability(generation, parse_verdict(generation)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "finish_reason", "expected"),
    [
        ("[[C]]", "stop", ("A", None)),
        ("[[D]] is best", "stop", ("B", None)),
        ("not [[D]] but [[C]]", "stop", ("A", None)),
        ("not [[C]] but [[B]]", "stop", ("B", None)),
        ("<think>[[A]], no</think> so [[C]]", "stop", ("A", None)),
        ("<think>[[C]]?</think> so", "stop", (None, "missing")),
        ("<think>[[C]] it may be, or", "length", (None, "truncated")),
        ("[[E]] [C] <answer>C</answer> [[c]]", "stop", (None, "missing")),
        ("", "stop", (None, "missing")),
        ("I was about to", "length", (None, "truncated")),
        ("[[C]]", "error", (None, "engine_error")),
    ],
)
def test_a_choice_is_the_first_letter_in_the_alphabet_whose_mark_occurs(text, finish_reason, expected):
    verdict = parse_choice(Generation("r", text, finish_reason), "C", "ABCD", "default")
    assert (verdict.side, verdict.invalid) == expected
    assert (verdict.position, verdict.rule) == (None, "default")


def test_sections_that_are_cut_out_later_are_the_same():
    text = "<think>hm</think><rubric>1. Short (40%)</rubric><eval>A is <quote_A>right</quote_A></eval><answer>[[A]]</answer>"
    parsed = judge(text)
    for _ in range(2):
        later = SectionsLater(text, parsed.spans)
        assert (later == parsed.sections, parsed.sections == later, hash(later)) == (True, True, hash(parsed.sections))
        assert later == SectionsLater(text, parsed.spans) != SectionsLater(text, ())
        assert later.rubric_items == parsed.sections.rubric_items != ()
        assert dataclasses.asdict(later) == dataclasses.asdict(parsed.sections)
        assert pickle.loads(pickle.dumps(later)) == copy.copy(later) == parsed.sections
        with pytest.raises(AttributeError):
            _ = later.colour
