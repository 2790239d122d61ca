"""A completion in a journal: it comes back as it was, and its text is not parsed again."""

import json
import random

import pytest

from rmr1.judging import Completion
from rmr1.records import Generation
from rmr1.runs import encode_line
from rmr1.verdict import parse_verdict, sections_of
from tests.property.test_verdict_robust import PIECES
from tests.support.completions import completion

WHOLE = (
    "<think>hm</think><type>Chat</type><rubric>1. Short (60%)\n<justify>so</justify></rubric>"
    "<eval><quote_A>x</quote_A> <summary_B>y</summary_B></eval><answer>[[A]]</answer>"
)


def again(one: Completion) -> Completion:
    return Completion.from_record(json.loads(encode_line(one.to_record())))


def test_a_journal_line_holds_the_whole_verdict():
    one = completion(WHOLE, p_shown_a=0.75, label=None)
    assert again(one) == one
    assert again(one).verdict.sections.rubric_items[0].weight == 0.6
    assert one.to_record()["verdict"]["sections"][:2] == [["think", 7, 9], ["type", 23, 27]]


@pytest.mark.parametrize("rule", ["default", "rm-r1-eval"])
def test_any_text_comes_back_with_its_verdict(rule):
    draw = random.Random(0)
    for _ in range(500):
        one = completion("".join(draw.choices(PIECES, k=draw.randint(0, 30))), rule=rule)
        assert again(one) == one
        assert sections_of(one.text, one.verdict.spans) == one.verdict.sections


def test_only_another_rule_parses_again(monkeypatch):
    one = again(completion("<answer>[[A]]</answer> or [[B]]"))
    other = one.verdict_by("rm-r1-eval")
    assert other == parse_verdict(Generation(one.request, one.text), "rm-r1-eval")
    assert (other.invalid, other.rule) == ("conflicting", "rm-r1-eval")
    monkeypatch.setattr("rmr1.verdict.parse.outline", None)
    assert one.verdict_by("default").side == "A"
    assert one.as_vote("default").side == "A"


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (lambda record: record.pop("verdict"), "verdict: Field required"),
        (lambda record: record["verdict"].pop("rule"), r"verdict\.rule: Field required"),
        (lambda record: record["verdict"].update(rule="mine"), r"verdict\.rule: "),
        (lambda record: record["verdict"].update(sections=[["eval", 0, 10_000]]), r"verdict\.sections: a section"),
        (lambda record: record["verdict"].update(sections=[["eval", 5, 1]]), r"verdict\.sections: a section"),
        (lambda record: record["verdict"].update(side=None), "verdict: has to have a side, or a reason"),
        (lambda record: record["verdict"].update(side="C"), r"verdict\.side: "),
        (lambda record: record["usage"].update(dollars=1), r"usage\.dollars: "),
        (lambda record: record["usage"].update(prompt_tokens=-1), r"usage\.prompt_tokens: "),
        (lambda record: record.update(pair="0"), "pair: "),
        (lambda record: record.update(pair=True), "pair: "),
        (lambda record: record.update(vote=1e400), "vote: "),
        (lambda record: record.update(text=None), "text: "),
        (lambda record: record.update(p_shown_a=1.5), "p_shown_a: "),
        (lambda record: record.update(p_shown_a=float("nan")), "p_shown_a: "),
        (lambda record: record.update(colour="red"), "colour: "),
    ],
)
def test_a_line_of_an_unexpected_format_is_refused(damage, names):
    record = json.loads(encode_line(completion(WHOLE).to_record()))
    damage(record)
    with pytest.raises(ValueError, match=names):
        Completion.from_record(record)
