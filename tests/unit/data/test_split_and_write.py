"""Splits that depend on the prompt alone, and rows that come back as the pairs they were."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from rmr1.data import load_pairs, prompt_key, split_of, write_pairs
from rmr1.errors import ConfigError
from rmr1.records import Message, PreferencePair

SHARES = {"train": 0.8, "dev": 0.1, "held_out": 0.1}


PINNED = ["train", "train", "train", "train", "train", "train", "train", "dev", "train", "train", "dev", "train"]


def user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def test_a_split_is_pinned() -> None:
    """Another hash would move every prompt of every user to another split."""
    assert [split_of(user(f"question {number}"), SHARES) for number in range(12)] == PINNED


def test_shares_are_met_in_any_unit_and_a_share_of_nothing_gets_nothing() -> None:
    counts = Counter(split_of(user(str(number)), {"a": 30, "none": 0, "b": 10}) for number in range(4000))
    assert counts["none"] == 0
    assert 0.72 < counts["a"] / 4000 < 0.78


def test_seeds_divide_independently() -> None:
    both = Counter(
        (split_of(user(str(n)), {"a": 1, "b": 1}, 0), split_of(user(str(n)), {"a": 1, "b": 1}, 1)) for n in range(4000)
    )
    assert all(900 < count < 1100 for count in both.values())
    assert len(both) == 4


def test_writings_of_one_prompt_are_one() -> None:
    plain = prompt_key(user("What is 2 + 2?"))
    assert prompt_key(user("  what is\n2 + ２? ")) == plain
    assert prompt_key((Message("system", "Be brief."), *user("What is 2 + 2?"))) == plain
    assert prompt_key(user("What is 2 + 3?")) != plain
    assert prompt_key((Message("system", "a"),)) != prompt_key((Message("system", "b"),))
    assert prompt_key((*user("a"), Message("assistant", "b"))) != prompt_key((*user("a"), Message("user", "b")))


@pytest.mark.parametrize("shares", [{}, {"a": 0.0}, {"a": 1.0, "b": -0.1}, {"a": float("nan")}])
def test_shares_that_divide_nothing(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="splits"):
        split_of(user("x"), shares)


def test_pairs_come_back(tmp_path: Path) -> None:
    pairs = [
        PreferencePair(
            "p/1", user("q"), (Message("assistant", ""),), (Message("assistant", "é\u2028x"),), "B", "g", "c"
        ),
        PreferencePair(
            "2",
            (Message("system", "s"), *user("q"), Message("assistant", "a"), *user("r")),
            (Message("assistant", "call"), Message("tool", "result"), Message("assistant", "done")),
            (Message("assistant", "\n\nHuman: no"),),
            None,
            "2",
            "",
            {"level": 3, "share": 0.5, "note": "n"},
        ),
        PreferencePair(
            "3",
            user("q"),
            (Message("assistant", "x"),),
            (Message("assistant", "y"),),
            "tie",
            "3",
            reference="391",
            rubric="- one\n- two",
        ),
    ]
    assert write_pairs(tmp_path / "pairs.jsonl", iter(pairs)) == 3
    assert list(load_pairs(tmp_path / "pairs.jsonl")) == pairs
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.jsonl"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("before")

    def broken():
        yield PreferencePair("1", user("q"), user("a"), user("b"))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_pairs(path, broken())
    assert path.read_text() == "before"


def test_rows_are_changed_or_left_out_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"q": "{n}", "chosen": "a", "rejected": "b"}}\n' for n in range(5)))
    source = load_pairs(path, transform=lambda row: None if row["q"] in "02" else {**row, "prompt": row["q"] * 2})
    for _ in range(2):
        assert [(pair.id, pair.prompt[0].content) for pair in source] == [
            ("row-1", "11"),
            ("row-3", "33"),
            ("row-4", "44"),
        ]
        assert source.left_out == 2
    assert source.fingerprint() == load_pairs(path, columns={"prompt": "q"}).fingerprint()
