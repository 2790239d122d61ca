"""What labels mean: words, numbers of public formats, strengths, scores, and a column for each outcome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rmr1.data import load_pairs
from rmr1.errors import DataError

ROW = {"prompt": "Hi", "response_a": "a", "response_b": "b"}


def labels(folder: Path, *rows: dict[str, Any], columns: dict[str, str] | None = None) -> list[str | None]:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [pair.label for pair in load_pairs(path, columns=columns)]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        *[(word, "A") for word in ("A", "model_a", "Assistant A", "A>B", "A >> B", "[[A]]", "[[A>>B]]", "response_a")],
        *[(word, "B") for word in ("b", "model_b", "B>A", "B>>A", "A<B", "answer_b")],
        *[(word, "tie") for word in ("tie", "tie (inconsistent)", "tie (bothbad)", "Tie (both bad)", "both_bad", "C")],
        *[(word, "tie") for word in ("A=B", "[[A=B]]", "draw", "neither", "same", 0.5, "0.5")],
        *[(word, None) for word in ("", None, "  ")],
    ],
)
def test_words(tmp_path: Path, value: Any, label: str | None) -> None:
    assert labels(tmp_path, {**ROW, "winner": value}) == [label]


@pytest.mark.parametrize("value", ["maybe", "AB", 0, 1, 2, "1", True, -1, ["A"]])
def test_what_is_no_label_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(DataError, match=r"which is not A, B or tie; say what means A and B, .*label_a=1,label_b=2"):
        labels(tmp_path, {**ROW, "winner": value})


def test_the_name_of_a_model_is_its_side_unless_both_have_it(tmp_path: Path) -> None:
    models = {"model_a": "gpt-9", "model_b": "Llama 7"}
    assert labels(tmp_path, {**ROW, **models, "winner": "llama 7"}) == ["B"]
    with pytest.raises(DataError, match="not A, B or tie"):
        labels(tmp_path, {**ROW, "model_a": "m", "model_b": "m", "winner": "m"})


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "Hi", "response_0": "a", "response_1": "b", "better_response_id": 0}, "A"),
        ({"prompt": "Hi", "response_0": "a", "response_1": "b", "better_response_id": 1}, "B"),
        ({"prompt": "Hi", "response_1": "a", "response_2": "b", "preference_strength": -3}, "A"),
        ({"prompt": "Hi", "response_1": "a", "response_2": "b", "preference_strength": 0}, "tie"),
        ({"prompt": "Hi", "response_1": "a", "response_2": "b", "preference_strength": 2.0}, "B"),
        ({"context": "Hi", "response1": "a", "response2": "b", "overall_preference": -1}, "A"),
        ({"history": "Hi", "human_ref_A": "a", "human_ref_B": "b", "labels": 1, "score_A": 1, "score_B": 9}, "A"),
        ({"history": "Hi", "human_ref_A": "a", "human_ref_B": "b", "labels": 0}, "B"),
        ({"usrmsg": "Hi", "response 1": "a", "response 2": "b", "label": 1}, "B"),
        ({"usrmsg": "Hi", "response 1": "a", "response 2": "b", "label": 2}, "tie"),
        ({"prompt": "Hi", "answer_0": "a", "answer_1": "b", "score_0": 0.5, "score_1": -0.5}, "A"),
        ({"prompt": "Hi", "answer_0": "a", "answer_1": "b", "score_0": 0, "score_1": 0.0}, "tie"),
        ({"prompt": "Hi", "answer_0": "a", "answer_1": "b", "score_0": 1, "score_1": None}, None),
        ({**ROW, "rating_a": "3", "rating_b": "4.5"}, "B"),
        ({**ROW, "winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0}, "A"),
        ({**ROW, "winner_model_a": "0", "winner_model_b": "0.0", "winner_tie": "1"}, "tie"),
        ({**ROW, "winner_model_a": None, "winner_model_b": None, "winner_tie": None}, None),
    ],
)
def test_public_formats_say_what_their_numbers_mean(tmp_path: Path, row: dict[str, Any], expected: str | None) -> None:
    assert labels(tmp_path, row) == [expected]


@pytest.mark.parametrize("outcomes", [(1, 1, 0), (0, 0, 0), (1, 0, 1)])
def test_one_outcome_holds(tmp_path: Path, outcomes: tuple[int, ...]) -> None:
    names = ("winner_model_a", "winner_model_b", "winner_tie")
    with pytest.raises(DataError, match='of the columns "winner_model_a", "winner_model_b", "winner_tie" hold 1'):
        labels(tmp_path, {**ROW, **dict(zip(names, outcomes, strict=True))})


def test_outcomes_may_be_the_words_of_tables(tmp_path: Path) -> None:
    names = ("winner_model_a", "winner_model_b", "winner_tie")
    rows = [("True", "False", "False"), ("false", "true", "false"), (False, False, True), ("", "", "")]
    read = labels(tmp_path, *({**ROW, **dict(zip(names, row, strict=True))} for row in rows))
    assert read == ["A", "B", "tie", None]


def test_scores_are_numbers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='"score_a" is not a number'):
        labels(tmp_path, {**ROW, "score_a": "good", "score_b": 1})


def test_the_user_says_what_values_mean(tmp_path: Path) -> None:
    rows = [{**ROW, "grade": grade} for grade in (1, 2, 3, 4, 5.0)]
    said = {"label": "grade", "label_a": "1|2", "label_tie": "3", "label_b": "4|5"}
    assert labels(tmp_path, *rows, columns=said) == ["A", "A", "tie", "B", "B"]
    rows = [{**ROW, "grade": grade} for grade in (-2, 0, "1")]
    said = {"label": "grade", "label_a": "positive", "label_b": "negative"}
    assert labels(tmp_path, *rows, columns=said) == ["B", "tie", "A"]
    assert labels(tmp_path, *rows, columns={"label": "grade", "label_a": "negative"}) == ["A", "tie", "B"]


def test_what_the_user_said_is_kept_for_the_identity_of_runs(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({**ROW, "label": 1}))
    said = {"label": "label", "label_a": "1", "label_b": "2"}
    assert load_pairs(path, columns=said).shape.said == {"label_a": "1", "label_b": "2"}


def test_a_label_that_only_later_rows_have_is_read(tmp_path: Path) -> None:
    assert labels(tmp_path, ROW, {**ROW, "winner": "B"}) == [None, "B"]
