r"""Texts that hold lists, messages and transcripts are read as such; prose that looks like them stays text."""

from __future__ import annotations

import contextlib
import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rmr1.data import PairSource, load_pairs
from rmr1.data.cells import parse_literal, unpack
from rmr1.data.transcripts import is_dialogue, is_dialogue_prompt, read_dialogue
from rmr1.errors import DataError
from rmr1.records import PreferencePair

TURNS = [{"role": "user", "content": "Name a prime."}, {"role": "assistant", "content": 'it\'s 7\n"seven"'}]
OTHER = [TURNS[0], {"role": "assistant", "content": "8"}]


def table(folder: Path, *rows: dict[str, Any], **options: Any) -> PairSource:
    path = folder / "pairs.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return load_pairs(path, **options)


def lines(folder: Path, *rows: dict[str, Any], **options: Any) -> PairSource:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return load_pairs(path, **options)


def shown(pair: PreferencePair) -> list[list[tuple[str, str]]]:
    parts = (pair.prompt, pair.response_a, pair.response_b)
    return [[(turn.role, turn.content) for turn in turns] for turns in parts]


WRITTEN = [
    [("user", "Name a prime.")],
    [("assistant", 'it\'s 7\n"seven"')],
    [("assistant", "8")],
]


WAYS = (
    json.dumps,
    str,
    repr,
    lambda turns: str(np.array(turns, dtype=object)),
    lambda turns: repr(np.array(turns, dtype=object)),
    lambda turns: repr([np.array(turns, dtype=object)])[1:-1],
    lambda turns: json.dumps(json.dumps(turns)),
    lambda turns: yaml.safe_dump(turns, sort_keys=False),
)


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("beside", [{}, {"prompt": "Name a prime."}])
def test_messages_in_cells(tmp_path: Path, write: Any, beside: dict[str, str]) -> None:
    row = {**beside, "chosen": write(TURNS), "rejected": write(OTHER)}
    (pair,) = table(tmp_path, row)
    assert shown(pair) == WRITTEN
    (pair,) = lines(tmp_path, row)
    assert shown(pair) == WRITTEN


@pytest.mark.parametrize("write", [json.dumps, str, lambda turns: str(np.array(turns, dtype=object))])
def test_lists_of_turns_become_conversations(tmp_path: Path, write: Any) -> None:
    row = {"prompt": write(["p", "q"]), "response_a": write(["1", "2"]), "response_b": write(["3", "4"])}
    (pair,) = table(tmp_path, {**row, "winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0})
    assert shown(pair) == [
        [("user", "p")],
        [("assistant", "1"), ("user", "q"), ("assistant", "2")],
        [("assistant", "3"), ("user", "q"), ("assistant", "4")],
    ]
    assert pair.label == "B"


def test_parts_of_a_message_may_be_an_array(tmp_path: Path) -> None:
    parts = [{"role": "assistant", "content": np.array([{"type": "text", "text": "7"}], dtype=object)}]
    (pair,) = lines(tmp_path, {"prompt": "Name a prime.", "chosen": repr(parts), "rejected": repr(parts)})
    assert shown(pair)[1] == [("assistant", "7")]


def test_a_missing_turn_is_an_empty_one_and_a_lost_one_an_error(tmp_path: Path) -> None:
    row = {"prompt": '["p"]', "response_a": "[null]", "response_b": '["x"]'}
    (pair,) = lines(tmp_path, row)
    assert [turns[0].content for turns in (pair.response_a, pair.response_b)] == ["", "x"]
    with pytest.raises(DataError, match='the prompt is a list of 1 turns, and "response_b" one of 2'):
        list(lines(tmp_path, {**row, "response_b": '["x", "y"]'}))
    with pytest.raises(DataError, match='the prompt is a list of turns, and "response_b" is not'):
        list(lines(tmp_path, {**row, "response_b": "x"}))


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2, 3]",
        '[{"name": "Ann"}]',
        '{"role": "director", "content": "Ann"}',
        '{"from": "2020", "to": "2021"}',
        "[link](http://x)",
        "[{'name': 'Ann'",
        "[[A]] is what it said",
        "['a', 'b'",
        "array([1, 2, 3])",
        "array(['a', 'b']",
        "print([{'role': 'user', 'content': 'x'}])",
        '"[quoted]"',
        '"a" and "b"',
        "- role: admin\n  content: x",
        "- name: Ann\n- name: Bob",
        "{...}",
        "",
        "[",
        "[]",
        "\ufeff[x",
    ],
)
def test_other_texts_stay_as_they_are(tmp_path: Path, text: str) -> None:
    (pair,) = lines(tmp_path, {"prompt": "Hi", "chosen": text, "rejected": "b"})
    assert pair.response_a[0].content == text


@pytest.mark.parametrize(
    "text",
    [
        "[{'role': 'user', 'content': 'x'",
        '[{"role": "user", "content": "x"}, {"role',
        "[{'content': open([{'type': 'text'}], dtype=object), 'role': 'user'}]",
        "array([{'role': 'user', 'content': 'x'}",
        "- role: user\n  content: 'x",
        "[{'from': 'human', 'value': nan}]",
    ],
)
def test_what_begins_like_messages_and_cannot_be_parsed_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        DataError, match='"chosen" begins like a list of messages and cannot be parsed; write it as JSON'
    ):
        list(lines(tmp_path, {"prompt": "Hi", "chosen": text, "rejected": "b"}))


def test_messages_on_one_side_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='"chosen" is a list of messages written as a text, and "rejected" is not'):
        list(table(tmp_path, {"prompt": "Name a prime.", "chosen": json.dumps(TURNS), "rejected": "8"}))


def test_lists_of_texts_on_both_sides_of_a_table_are_asked_about(tmp_path: Path) -> None:
    row = {"prompt": "Hi", "chosen": "['a']", "rejected": "['b', 'c']"}
    with pytest.raises(DataError, match="say which with --columns lists=text or lists=responses"):
        list(table(tmp_path, row))
    (pair,) = table(tmp_path, row, columns={"lists": "text"})
    assert pair.response_a[0].content == "['a']"
    assert [pair.response_b[0].content for pair in table(tmp_path, row, columns={"lists": "responses"})] == ["b", "c"]
    (pair,) = lines(tmp_path, row)
    assert pair.response_a[0].content == "['a']"
    with pytest.raises(DataError, match="--columns lists=both: it is one of text, responses"):
        table(tmp_path, row, columns={"lists": "both"})


def test_scores_in_cells_may_be_python_lists(tmp_path: Path) -> None:
    (pair,) = table(
        tmp_path,
        {"prompt": "Hi", "responses": "['a', \"b's\"]", "scores": "[1, 2.5]"},
    )
    assert (pair.response_b[0].content, pair.label) == ("b's", "B")


def test_texts_that_python_would_join_are_apart() -> None:
    assert parse_literal("['a b' 'c']") == ["a b", "c"]
    assert parse_literal("['a' 'b',\n 'c']") is None
    assert parse_literal("['a', 'b']") == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "\n\nHuman: One?\n\nAssistant: Yes.\n\nHuman: Two?\n\nAssistant: ",
        "\ufeff\n\nHuman: One?\n\nAssistant: Yes.\n\nHuman: Two?\n\nAssistant:",
        "\r\n\r\nHuman: One?\r\n\r\nAssistant: Yes.\r\n\r\nHuman: Two?\r\n\r\nAssistant: ",
        "\nHuman: One?\nAssistant: Yes.\nHuman: Two?\nAssistant:",
        "Human: One?\n\nAssistant: Yes.\n\nHuman: Two?",
        "User: One?\nAI: Yes.\nUser: Two?\nAI:",
    ],
)
def test_prompts_that_are_transcripts(tmp_path: Path, text: str) -> None:
    (pair,) = lines(tmp_path, {"prompt": text, "answers": [{"answer": "a", "rank": 2}, {"answer": "b", "rank": 1}]})
    assert shown(pair)[0] == [("user", "One?"), ("assistant", "Yes."), ("user", "Two?")]
    assert pair.label == "B"


@pytest.mark.parametrize(
    "text",
    [
        "Explain this:\n\nHuman: One?\n\nAssistant: Yes.",
        'The line "Human: hi" is odd.\n\nAssistant: is odd too.',
        "Human: to err is.",
        "Human: hi\nAssistant: hello, explain this please.",
        "Humans: one\nAssistant: two\n",
    ],
)
def test_prose_about_speakers_is_no_transcript(tmp_path: Path, text: str) -> None:
    (pair,) = lines(tmp_path, {"prompt": text, "chosen": "a", "rejected": "b"})
    assert shown(pair)[0] == [("user", text)]


def test_names_inside_turns_are_text_where_turns_stand_apart() -> None:
    turns = read_dialogue("\n\nHuman: Write:\nHuman: hi\nAssistant: ho\n\nAssistant: Done.")
    assert [turn.content for turn in turns] == ["Write:\nHuman: hi\nAssistant: ho", "Done."]


def test_a_prompt_and_whole_transcripts_agree(tmp_path: Path) -> None:
    start = "\n\nHuman: One?\n\nAssistant:"
    (pair,) = lines(tmp_path, {"prompt": start, "chosen": f"{start} Yes.", "rejected": f"{start} No."})
    assert shown(pair) == [[("user", "One?")], [("assistant", "Yes.")], [("assistant", "No.")]]


@pytest.mark.parametrize(
    "piece", ["[", "{", "]", "\n", " ", "\n\nHuman:", "Human:", "}\n", "'", '"', "['a' ", "\\", "[{'role': "]
)
def test_long_repetitions_take_no_time(piece: str) -> None:
    text = "[" + piece * (300_000 // len(piece)) + "]"
    began = time.process_time()
    for one in (text, text[1:-1], "\n\nHuman:" + text):
        is_dialogue(one)
        is_dialogue_prompt(one)
        with contextlib.suppress(DataError):
            unpack(one, "x")
    assert time.process_time() - began < 5
