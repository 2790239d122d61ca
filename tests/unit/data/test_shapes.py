"""Every shape of a row that ``load_pairs`` recognises, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rmr1.data import PairSource, load_pairs
from rmr1.errors import DataError
from rmr1.records import Message, PreferencePair

Write = Callable[..., Path]
USER = {"role": "user", "content": "Hi"}
GOOD = {"role": "assistant", "content": "Hello!"}
BAD = {"role": "assistant", "content": "Go away."}
PROMPT = (Message("user", "Hi"),)
HELLO = (Message("assistant", "Hello!"),)
AWAY = (Message("assistant", "Go away."),)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_rows(*rows: Any) -> Path:
        path = tmp_path / "pairs.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write_rows


def only(source: PairSource) -> PreferencePair:
    (pair,) = source
    return pair


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"prompt": "Hi", "chosen": "Hello!", "rejected": "Go away."}, "chosen_rejected"),
        ({"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}, "chosen_rejected"),
        ({"question": "Hi", "chosen": ["Hello!"], "rejected": ["Go away."]}, "chosen_rejected"),
        (
            {
                "prompt": [{"from": "human", "value": "Hi"}],
                "chosen": [{"from": "gpt", "value": "Hello!"}],
                "rejected": {"from": "gpt", "value": "Go away."},
            },
            "chosen_rejected",
        ),
        (
            {"conversation_input": [USER], "bon_best": {"answer": "Hello!"}, "loser_list": [{"answer": "Go away."}]},
            None,
        ),
        ({"chosen": "\n\nHuman: Hi\n\nAssistant: Hello!", "rejected": "\n\nHuman: Hi\n\nAssistant: Go away."}, "hh"),
        ({"chosen": [USER, GOOD], "rejected": [USER, BAD]}, "conversations"),
        ({"prompt": "Hi", "chosen": [USER, GOOD], "rejected": [USER, BAD]}, "conversations"),
        ({"prompt": [USER], "chosen": [USER, GOOD], "rejected": [USER, BAD]}, "conversations"),
        ({"chosen": {"role": ["user", "assistant"], "content": ["Hi", "Hello!"]}, "rejected": [USER, BAD]}, None),
        ({"prompt": "Hi", "response_a": "Hello!", "response_b": "Go away.", "label": "A"}, "ab"),
        ({"input": "Hi", "output_1": "Hello!", "output_2": "Go away.", "winner": "model_a"}, "ab"),
        ({"question": "Hi", "response_A": "Hello!", "response_B": "Go away.", "label": "A>B"}, "ab"),
        ({"conversation_a": [USER, GOOD], "conversation_b": [USER, BAD], "winner": "model_a"}, "ab"),
        ({"context_messages": [USER], "response_a": "Hello!", "response_b": "Go away.", "winner": "model_a"}, "ab"),
        ({"prompt": "Hi", "responses": ["Hello!", "Go away."], "scores": [2, 1]}, "n_responses"),
        ({"prompt": "Hi", "answers": [[GOOD], [BAD]], "ranks": [1, 2]}, "n_responses"),
        (
            {
                "instruction": "Hi",
                "completions": [
                    {"response": "Hello!", "overall_score": "8.5"},
                    {"response": "Go away.", "overall_score": 1.0},
                ],
            },
            "n_responses",
        ),
    ],
)
def test_shapes_of_one_pair(write: Write, row: dict[str, Any], name: str | None) -> None:
    source = load_pairs(write(row))
    pair = only(source)
    assert (pair.prompt, pair.response_a, pair.response_b, pair.label) == (PROMPT, HELLO, AWAY, "A")
    assert name in (None, source.shape.name)
    assert source.shape.describe().startswith("pairs.jsonl: ")


def test_lists_of_responses_make_every_combination(write: Write) -> None:
    row = {"id": "r", "prompt": "Hi", "chosen": ["c0", "c1"], "rejected": ["r0", "r1", "r2"], "subset": "chat"}
    source = load_pairs(write(row))
    pairs = list(source)
    assert [pair.id for pair in pairs] == ["r#0-0", "r#0-1", "r#0-2", "r#1-0", "r#1-1", "r#1-2"]
    assert {(pair.group, pair.category, pair.label) for pair in pairs} == {("r", "chat", "A")}
    assert (pairs[5].response_a[0].content, pairs[5].response_b[0].content) == ("c1", "r2")
    assert source.shape.describe() == (
        "pairs.jsonl: prompt/chosen/rejected, chosen and rejected are lists (2 x 3 pairs in the first row)"
    )
    (responses,) = source.sets()
    assert responses.scores == (1.0, 1.0, 0.0, 0.0, 0.0)


def test_a_list_of_messages_is_one_response_and_a_list_of_those_is_several(write: Write) -> None:
    turns = [GOOD, USER, GOOD]
    path = write({"prompt": "Hi", "chosen": turns, "rejected": [[BAD], [GOOD]]})
    pairs = list(load_pairs(path))
    assert [pair.id for pair in pairs] == ["row-0#0-0", "row-0#0-1"]
    assert len(pairs[0].response_a) == 3


def test_hh_keeps_the_common_turns_as_the_prompt(write: Write) -> None:
    start = "\n\nHuman: One?\n\nAssistant: Yes.\n\nHuman: Two?\n\nAssistant:"
    pair = only(load_pairs(write({"chosen": f"{start} Good.", "rejected": f"{start} "})))
    assert [turn.content for turn in pair.prompt] == ["One?", "Yes.", "Two?"]
    assert (pair.response_a, pair.response_b) == ((Message("assistant", "Good."),), (Message("assistant", ""),))


def test_conversations_that_part_at_a_user_turn_go_back_to_the_assistant(write: Write) -> None:
    row = {"chosen": [USER, GOOD, USER, GOOD], "rejected": [USER, GOOD, {"role": "user", "content": "Other"}, BAD]}
    pair = only(load_pairs(write(row)))
    assert pair.prompt == PROMPT
    assert [len(pair.response_a), len(pair.response_b)] == [3, 3]


@pytest.mark.parametrize("turns", [[USER, GOOD], [USER, GOOD, USER, GOOD], [USER, GOOD, USER]])
def test_identical_conversations_keep_a_response(write: Write, turns: list[dict[str, str]]) -> None:
    pair = only(load_pairs(write({"chosen": turns, "rejected": turns})))
    assert pair.response_a == pair.response_b
    assert pair.response_a[0].role == "assistant"
    assert len(pair.prompt) + len(pair.response_a) == len(turns)


def test_beside_a_prompt_a_response_may_begin_like_a_dialogue(write: Write) -> None:
    row = {"prompt": "Write a dialogue", "chosen": "\n\nHuman: Hi\n\nAssistant: x", "rejected": "No"}
    assert only(load_pairs(write(row))).response_a[0].content == row["chosen"]


def test_a_system_prompt_comes_first(write: Write) -> None:
    row = {"system": "Be kind.", "question": "Hi", "chosen": "Hello!", "rejected": "Go away."}
    assert only(load_pairs(write(row))).prompt == (Message("system", "Be kind."), *PROMPT)
    row = {"prompt": [{"role": "system", "content": "S"}, USER], "chosen": [USER, GOOD], "rejected": [USER, BAD]}
    assert [turn.role for turn in only(load_pairs(write(row))).prompt] == ["system", "user"]


def test_a_prompt_that_the_conversations_do_not_hold_is_an_error(write: Write) -> None:
    path = write({"prompt": "Other", "chosen": [USER, GOOD], "rejected": [USER, BAD]})
    with pytest.raises(DataError, match='"prompt" is not what the conversations begin with'):
        list(load_pairs(path))


def test_scores_and_other_short_scalars_are_kept(write: Write) -> None:
    row = {
        "prompt": "Hi",
        "prompt_id": "p1",
        "chosen": [USER, GOOD],
        "rejected": [USER, BAD],
        "messages": [USER, GOOD],
        "score_chosen": 8.5,
        "note": "short",
        "long": "x" * 1000,
        "none": None,
        "extra": {"error_key": "k", "list": [1]},
    }
    pair = only(load_pairs(write(row)))
    assert pair.id == "p1"
    assert pair.extra == {"score_chosen": 8.5, "note": "short", "error_key": "k"}


@pytest.mark.parametrize(
    ("row", "pair_id", "group", "category"),
    [
        ({}, "row-0", "row-0", ""),
        ({"id": 0, "task": "maths"}, "0", "0", "maths"),
        ({"uid": "u", "source": "s", "category": "c"}, "u", "u", "c"),
        ({"id": "i", "prompt_id": "p"}, "i", "p", ""),
        ({"id": None, "category": None}, "row-0", "row-0", ""),
    ],
)
def test_id_group_and_category(write: Write, row: dict[str, Any], pair_id: str, group: str, category: str) -> None:
    pair = only(load_pairs(write({"prompt": "Hi", "chosen": "a", "rejected": "b", **row})))
    assert (pair.id, pair.group, pair.category) == (pair_id, group, category)


@pytest.mark.parametrize(
    ("label", "expected"),
    [("A", "A"), ("b", "B"), (" model_b ", "B"), ("Response_A", "A"), ("B>A", "B"), (None, None), ("", None)],
)
def test_labels(write: Write, label: str | None, expected: str | None) -> None:
    pair = only(load_pairs(write({"prompt": "Hi", "response_a": "a", "response_b": "b", "label": label})))
    assert pair.label == expected


@pytest.mark.parametrize("label", ["tie", "A=B", "tie (bothbad)"])
def test_a_tie_is_a_label_without_scores(write: Write, label: str) -> None:
    source = load_pairs(write({"prompt": "Hi", "response_a": "a", "response_b": "b", "winner": label}))
    assert (only(source).label, only(source).extra) == ("tie", {})
    assert next(source.sets()).scores is None


def test_unlabelled_is_said(write: Write) -> None:
    source = load_pairs(write({"prompt": "Hi", "answer_a": "a", "answer_b": "b"}))
    assert only(source).label is None
    assert source.shape.describe() == (
        "pairs.jsonl: prompt/answer_a (response_a)/answer_b (response_b), answer_a and answer_b are texts, no label"
    )


def test_numbers_are_no_labels_unless_the_user_says_so(write: Write) -> None:
    row = {"prompt": "Hi", "response_a": "a", "response_b": "b", "label": 1}
    with pytest.raises(DataError, match=r'"label" is 1, which is not A, B or tie; say what .*label_a=1,label_b=2'):
        list(load_pairs(write(row)))
    assert only(load_pairs(write(row), columns={"label": "label"})).label == "B"
    assert only(load_pairs(write(row), columns={"label": "label", "label_a": "1", "label_b": "2"})).label == "A"


def test_columns_numbered_from_1_make_a_bare_number_ambiguous(write: Write) -> None:
    row = {"input": "Hi", "output_1": "a", "output_2": "b", "label": 1}
    with pytest.raises(DataError, match="label_a=1"):
        list(load_pairs(write(row), columns={"label": "label"}))
    assert only(load_pairs(write(row), columns={"label_a": "1", "label_b": "2"})).label == "A"


def test_n_responses_pair_every_unequal_score(write: Write) -> None:
    row = {"id": "n", "prompt": "Hi", "responses": ["a", "b", "c"], "scores": [1, 3, 1], "domain": "d"}
    source = load_pairs(write(row))
    assert [(pair.id, pair.label, pair.group) for pair in source] == [("n#0-1", "B", "n"), ("n#1-2", "A", "n")]
    (responses,) = source.sets()
    assert (responses.scores, responses.category, len(responses.responses)) == ((1.0, 3.0, 1.0), "d", 3)


def test_n_responses_without_scores_are_sets_and_no_pairs(write: Write) -> None:
    source = load_pairs(write({"prompt": "Hi", "responses": ["a", "b"]}))
    assert next(source.sets()).scores is None
    with pytest.raises(DataError, match="no scores, so there are no pairs"):
        list(source)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"responses": ["a"], "scores": [1]}, '"responses" holds 1 responses; at least 2 are needed'),
        ({"responses": ["a", "b"], "scores": [1]}, '"scores" is not a list of 2 numbers, one for each response'),
        (
            {"responses": ["a", "b"], "scores": [1, None]},
            '"responses" holds 1 responses with a score; at least 2 are needed',
        ),
        ({"responses": ["a", "b"], "scores": [1, "N/A"]}, '"scores[1]" is not a number'),
        (
            {"responses": ["a", None], "scores": [1, 2]},
            '"responses" holds 1 responses with a score; at least 2 are needed',
        ),
        ({"responses": "a"}, '"responses" is not a list of responses'),
        (
            {"responses": ["a", "b"], "choice": 2},
            '"choice" is 2, which is not the number of one of 2 responses, from 0',
        ),
        (
            {"responses": [{"text": "a", "score": 1}, {"text": "b"}]},
            '"responses" holds 1 responses with a score; at least 2 are needed',
        ),
    ],
)
def test_bad_response_lists(write: Write, row: dict[str, Any], problem: str) -> None:
    path = write({"prompt": "Hi", **row})
    with pytest.raises(DataError) as caught:
        list(load_pairs(path))
    assert str(caught.value) == f"{path}:1: {problem}; drop the row or pass skip_invalid=True"


SHAPES = r"""Shapes known:
  prompt, chosen, rejected              texts, lists of messages, or lists of several responses
  chosen, rejected                      whole conversations: lists of messages, or texts that begin with \n\nHuman:
  prompt, response_a, response_b        with label: A, B, model_a, model_b or tie; or a score for each
  prompt, responses                     a list, with a list of scores or ranks
  messages, rejected_response           the last turn of the messages is the chosen response
  context_messages, winner              the rendered judge prompts of RM-R1"""


def test_unknown_columns_are_listed_with_the_shapes_and_an_example(write: Write) -> None:
    path = write({"id": 1, "q": "Hi", "good": "a", "bad": "b"})
    with pytest.raises(DataError) as caught:
        load_pairs(path)
    assert str(caught.value) == (
        f"{path}: no known shape; columns found: id, q, good, bad\n{SHAPES}\n"
        "Name the columns, for example: --columns prompt=q,chosen=good,rejected=bad"
    )
    columns = {"prompt": "q", "chosen": "good", "rejected": "bad"}
    assert only(load_pairs(path, columns=columns)).response_a == (Message("assistant", "a"),)


def test_two_candidates_for_a_field_are_an_error(write: Write) -> None:
    path = write({"question": "Hi", "input": "x", "chosen": "a", "rejected": "b"})
    with pytest.raises(DataError, match='"prompt" could be any of question, input'):
        load_pairs(path)
    assert only(load_pairs(path, columns={"prompt": "input"})).prompt[0].content == "x"


def test_two_shapes_are_an_error_until_the_user_names_one(write: Write) -> None:
    path = write({"prompt": "Hi", "chosen": "a", "rejected": "b", "response_a": "c", "response_b": "d"})
    with pytest.raises(DataError, match="several shapes fit: chosen/rejected and response_a/response_b"):
        load_pairs(path)
    columns = {"response_a": "response_a", "response_b": "response_b"}
    assert only(load_pairs(path, columns=columns)).response_a[0].content == "c"


def test_columns_override_recognition(write: Write) -> None:
    row = {"prompt": "no", "real": "Hi", "chosen": "a", "rejected": "b", "better": "c", "key": 7}
    pair = only(load_pairs(write(row), columns={"prompt": "real", "chosen": "better", "id": "key"}))
    assert (pair.prompt, pair.response_a[0].content, pair.id) == (PROMPT, "c", "7")


def test_a_column_that_the_user_names_is_no_candidate_for_another_field(write: Write) -> None:
    row = {"instruction": "Hi", "input": "Be kind.", "chosen": "a", "rejected": "b"}
    pair = only(load_pairs(write(row), columns={"system": "input"}))
    assert [turn.content for turn in pair.prompt] == ["Be kind.", "Hi"]


def test_columns_that_are_not_there(write: Write) -> None:
    path = write({"prompt": "Hi", "chosen": "a", "rejected": "b"})
    with pytest.raises(DataError) as caught:
        load_pairs(path, columns={"prompt": "question"})
    assert str(caught.value) == (
        f'{path}: --columns prompt=question, but there is no column "question"; columns found: prompt, chosen, rejected'
    )
    with pytest.raises(
        DataError,
        match=r'no field "promt" \(did you mean "prompt"\?\); the fields are: prompt, input, history, system, chosen',
    ):
        load_pairs(path, columns={"promt": "prompt"})


def test_a_text_response_without_any_prompt_is_no_shape(write: Write) -> None:
    with pytest.raises(DataError, match="no known shape; columns found: chosen, rejected"):
        load_pairs(write({"chosen": "a", "rejected": "b"}))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"prompt": ""}, '"prompt" is empty'),
        ({"prompt": " \n"}, '"prompt" is empty'),
        ({"prompt": []}, '"prompt" is empty'),
        ({"prompt": None}, '"prompt" is missing'),
        ({"prompt": [{"role": "user", "content": " "}]}, '"prompt" is empty'),
        ({"chosen": None}, '"chosen" is missing'),
        ({"chosen": []}, '"chosen" is empty'),
        ({"chosen": ["a", None]}, '"chosen[1]" is missing'),
        ({"chosen": {"score": 1}}, '"chosen" is an object without a text in it, not a text or a list of messages'),
        ({"chosen": [{"role": "narrator", "content": "x"}]}, '"chosen", message 1 has the unknown role "narrator"'),
        ({"chosen": [{"role": "assistant", "content": None}]}, '"chosen", message 1 has no text'),
        (
            {"chosen": [{"role": "assistant", "content": [{"type": "image"}]}]},
            '"chosen", message 1 holds a part of the type "image", and a judge reads only text',
        ),
    ],
)
def test_bad_fields(write: Write, row: dict[str, Any], problem: str) -> None:
    good = {"prompt": "Hi", "chosen": "a", "rejected": "b"}
    path = write(good, {**good, **row})
    with pytest.raises(DataError) as caught:
        list(load_pairs(path))
    assert str(caught.value) == f"{path}:2: {problem}; drop the row or pass skip_invalid=True"


def test_identical_responses_are_judged_and_two_empty_ones_are_not(write: Write) -> None:
    assert only(load_pairs(write({"prompt": "Hi", "chosen": "a", "rejected": ""}))).response_b[0].content == ""
    pair = only(load_pairs(write({"prompt": "Hi", "chosen": "a", "rejected": "a"})))
    assert pair.response_a == pair.response_b
    path = write({"prompt": "Hi", "chosen": "", "rejected": " \n"})
    with pytest.raises(DataError, match=":1: both responses are empty; there is nothing to compare; drop the row"):
        list(load_pairs(path))
    assert only(load_pairs(path, allow_empty=True)).response_a == (Message("assistant", ""),)


def test_content_in_parts_is_joined(write: Write) -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo!"}]
    row = {"prompt": "Hi", "chosen": [{"role": "assistant", "content": parts}], "rejected": "b"}
    assert only(load_pairs(write(row))).response_a == HELLO


CALL = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"role": "assistant", "content": None, "tool_calls": [CALL]}, 'Tool call: weather({"city": "Bern"})'),
        ({"role": "assistant", "tool_calls": [CALL]}, 'Tool call: weather({"city": "Bern"})'),
        ({"role": "assistant", "content": "So:", "tool_calls": [CALL]}, 'So:\nTool call: weather({"city": "Bern"})'),
        ({"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": {}}}, "Tool call: f({})"),
        ({"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'}, 'Tool call: f({"x": 1})'),
        ({"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {}}]}, "Tool call: f({})"),
        ({"role": "assistant", "content": [{"type": "thinking", "thinking": "h"}, {"type": "text", "text": "a"}]}, "a"),
        ({"role": "assistant", "content": "a", "tool_calls": None}, "a"),
        ({"role": "assistant", "content": 7}, "7"),
    ],
)
def test_tool_calls_are_lines_of_the_message(write: Write, message: dict[str, Any], text: str) -> None:
    pair = only(load_pairs(write({"prompt": "Hi", "chosen": [message], "rejected": "b"})))
    assert pair.response_a == (Message("assistant", text),)


@pytest.mark.parametrize(("value", "text"), [(4, "4"), (0.5, "0.5"), (True, "true"), (False, "false"), (0, "0")])
def test_numbers_and_truth_values_are_texts(write: Write, value: Any, text: str) -> None:
    pair = only(load_pairs(write({"prompt": value, "chosen": value, "rejected": "b"})))
    assert (pair.prompt[0].content, pair.response_a[0].content) == (text, text)


@pytest.mark.parametrize(
    ("row", "prompt", "a", "b"),
    [
        ({"instruction": "Say", "input": "x", "chosen": "a", "rejected": "b"}, ["Say\nx"], ["a"], ["b"]),
        ({"instruction": "Say", "input": " ", "chosen": "a", "rejected": "b"}, ["Say"], ["a"], ["b"]),
        (
            {"instruction": "Say", "history": [["q", "r"]], "chosen": "a", "rejected": "b"},
            ["q", "r", "Say"],
            ["a"],
            ["b"],
        ),
        ({"prompt": "p", "initial_reason_steps": "1. ", "chosen": "a", "rejected": "b"}, ["p"], ["1. a"], ["1. b"]),
        ({"messages": [USER, GOOD], "rejected_response": "b"}, ["Hi"], ["Hello!"], ["b"]),
        ({"messages": [USER, GOOD, USER, GOOD], "rejected_response": "b"}, ["Hi", "Hello!", "Hi"], ["Hello!"], ["b"]),
        ({"messages": [USER, GOOD], "rejected_messages": [USER, BAD]}, ["Hi"], ["Hello!"], ["Go away."]),
        ({"query": "p", "response": "a", "rejected_response": "b"}, ["p"], ["a"], ["b"]),
        (
            {"context": [USER], "completions": [{"rank": 0, "completion": [GOOD]}, {"rank": 1, "completion": [BAD]}]},
            ["Hi"],
            ["Hello!"],
            ["Go away."],
        ),
        ({"info": {"post": "p"}, "summaries": [{"text": "a"}, {"text": "b"}], "choice": 0}, ["p"], ["a"], ["b"]),
        (
            {"question": {"full_text": "p"}, "answer_0": "a", "answer_1": "b", "score_0": 1, "score_1": 0},
            ["p"],
            ["a"],
            ["b"],
        ),
        ({"system": "S", "chosen": [USER, GOOD], "rejected": [USER, BAD]}, ["S", "Hi"], ["Hello!"], ["Go away."]),
        ({"instruction": "p", "generations": ["a", None, "b"], "ratings": [5, None, 1]}, ["p"], ["a"], ["b"]),
    ],
)
def test_public_formats(write: Write, row: dict[str, Any], prompt: list[str], a: list[str], b: list[str]) -> None:
    pair = only(load_pairs(write(row)))
    shown = [[turn.content for turn in turns] for turns in (pair.prompt, pair.response_a, pair.response_b)]
    assert (shown, pair.label) == ([prompt, a, b], "A")


def test_nested_columns_and_near_names(write: Write) -> None:
    path = write({"item": {"text": "Hi", "key": "k"}, "chosen": "a", "rejected": "b"})
    pair = only(load_pairs(path, columns={"prompt": "item.text", "id": "item.key"}))
    assert (pair.prompt, pair.id) == (PROMPT, "k")
    with pytest.raises(DataError, match=r'no column "item.txt" \(did you mean "item.text"\?\)'):
        load_pairs(path, columns={"prompt": "item.txt"})


def test_a_single_response_is_refused_in_one_line(write: Write) -> None:
    with pytest.raises(DataError) as caught:
        load_pairs(write({"prompt": "Hi", "response": "a", "helpfulness": 4}))
    assert "put the responses to a prompt into one row" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_repeated_ids_become_unique_and_are_told(write: Write) -> None:
    rows = [{"id": name, "prompt": "Hi", "chosen": "a", "rejected": ["b", "c"]} for name in ("q", "q", "r", "q#2", "q")]
    source = load_pairs(write(*rows))
    for _ in range(2):
        ids = [pair.id for pair in source]
        assert ids[::2] == ["q#0-0", "q#2#0-0", "r#0-0", "q#2#2#0-0", "q#3#0-0"]
        assert len(set(ids)) == len(ids)
        assert source.notices() == [
            '3 rows repeat an id ("q", "q#2"); the ids of the later ones go on with #2, #3 and so on'
        ]
    assert [pair.id for pair in load_pairs(write(*rows), unique_ids=False)][:3:2] == ["q#0-0", "q#0-0"]


def test_no_row_left_is_an_error(write: Write) -> None:
    source = load_pairs(write({"prompt": "Hi", "chosen": None, "rejected": "b"}), skip_invalid=True)
    with pytest.raises(DataError, match=r'none of its 1 rows can be read: .*"chosen" is missing$'):
        list(source)
    with pytest.raises(DataError, match="none of its 1 rows"):
        list(source.sets())


def test_advice_is_that_of_the_caller(write: Write) -> None:
    with pytest.raises(DataError, match=r'"chosen" is missing; mend it$'):
        list(load_pairs(write({"prompt": "Hi", "chosen": None, "rejected": "b"}), advice="mend it"))


@pytest.mark.parametrize(
    ("row", "reference", "rubric"),
    [
        ({"reference": "391", "rubric": "Count."}, "391", "Count."),
        ({"ground_truth": 391, "rubrics": ["one", "two"]}, "391", "- one\n- two"),
        ({"reference_answer": None, "criteria": ["one"]}, "", "one"),
        ({}, "", ""),
    ],
)
def test_references_and_rubrics(write: Write, row: dict[str, Any], reference: str, rubric: str) -> None:
    pair = only(load_pairs(write({"prompt": "Hi", "chosen": "a", "rejected": "b", **row})))
    assert (pair.reference, pair.rubric) == (reference, rubric)


@pytest.mark.parametrize(("turn", "turns"), [(1, 1), (2, 3), (9, 3), (None, 3), ("1", 1), (0, 3)])
def test_what_came_after_the_turn_that_was_judged_is_not_shown(tmp_path: Path, turn: Any, turns: int) -> None:
    row = {
        side: [USER, {"role": "assistant", "content": side}, USER, {"role": "assistant", "content": "later"}]
        for side in ("conversation_a", "conversation_b")
    }
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({**row, "winner": "model_a", "turn": turn}) + "\n", encoding="utf-8")
    (pair,) = load_pairs(path)
    assert (len(pair.response_a), len(pair.response_b)) == (turns, turns)


@pytest.mark.parametrize(("column", "value", "told"), [
    ("images", ["a.png"], True), ("Image", {"bytes": "x"}, True), ("audio", "x.wav", True), ("video", "x", True),
    ("images", [], False), ("image", None, False), ("image", "", False), ("image", float("nan"), False),
])  # fmt: skip
def test_what_a_judge_cannot_see_is_refused(tmp_path: Path, column: str, value: Any, told: bool) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(
        json.dumps({"prompt": "Hi", "chosen": "a", "rejected": "b", column: value}) + "\n", encoding="utf-8"
    )
    if told:
        with pytest.raises(DataError, match=f'"{column}" is not empty, and a judge reads only text'):
            list(load_pairs(path))
    else:
        assert len(list(load_pairs(path))) == 1


def test_lists_of_texts_that_stay_texts_are_described_as_texts(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"prompt": "Hi", "chosen": "['a', 'x']", "rejected": "['b']"}) + "\n", encoding="utf-8")
    assert load_pairs(path).shape.describe().endswith("chosen and rejected are texts")
