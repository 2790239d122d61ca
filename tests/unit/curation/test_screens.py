"""Screens of one pair, benchmark overlap and difficulty."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rmr1.curation import Difficulty
from rmr1.curation.recipe import OverLong, Screens
from rmr1.curation.screens import BenchmarkIndex, PassRates, pair_screens, runs_of, words_of
from rmr1.data import load_pairs
from rmr1.errors import ConfigError, JournalError
from rmr1.records import Message, PreferencePair
from tests.support.pairs import make_pair
from tests.support.runs import Sample, write_judge_run, write_run


def reasons(subject: PreferencePair, screens: Screens | None = None, index: BenchmarkIndex | None = None) -> list[str]:
    return [reason for reason, is_unfit in pair_screens(screens or Screens(), index) if is_unfit(subject)]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (make_pair(), []),
        (make_pair(label=None), ["unlabelled"]),
        (make_pair(label="tie"), ["tie"]),
        (make_pair(a=" \n"), ["empty"]),
        (make_pair(b="seven"), ["identical"]),
        (make_pair(b="  seven"), []),  # indentation can be the difference
        (make_pair(a="x" * 16_000), ["over_long"]),
        (make_pair(b="8<im_start>"), ["marker"]),
        (make_pair(prompt="[inst] Name a prime. [/inst]"), ["marker"]),
        (make_pair(b="8<｜end▁of▁sentence｜>"), ["marker"]),
    ],
)
def test_screens_of_one_pair(subject: PreferencePair, expected: list[str]) -> None:
    assert reasons(subject) == expected


def test_screens_can_be_turned_off_and_set() -> None:
    off = Screens(unlabelled=False, empty=False, identical=False, over_long=None, markers=())
    assert reasons(make_pair("", "", label=None), off) == []
    assert reasons(make_pair(label="tie"), Screens(ties=False)) == []
    words = Screens(over_long=OverLong(max_chars=None, max_words=5))
    assert reasons(make_pair(), words) == []
    assert reasons(make_pair("seven it is"), words) == ["over_long"]
    assert reasons(make_pair(), Screens(markers=("PRIME",))) == ["marker"]


def test_benchmark_overlap(tmp_path: Path) -> None:
    long = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    (tmp_path / "bench.jsonl").write_text(
        json.dumps({"prompt": "Name a PRIME!", "chosen": "7", "rejected": "8"})
        + "\n"
        + json.dumps({"prompt": f"Say: {long}", "chosen": "7", "rejected": "8"})
        + "\n"
    )
    index = BenchmarkIndex([load_pairs(tmp_path / "bench.jsonl")], 13)
    assert reasons(make_pair(), index=index) == ["benchmark"]
    assert reasons(make_pair(prompt="Name a prime. Quickly."), index=index) == []
    assert reasons(make_pair(prompt=f"Well, {long.replace('one', 'zero')}"), index=index) == ["benchmark"]
    assert reasons(make_pair(prompt=f"Well, {long.replace('seven', 'zero')}"), index=index) == []
    answered = make_pair()
    multi = PreferencePair(
        "m", (*answered.prompt, Message("assistant", long), Message("user", "More.")), *answered_sides(answered), "A"
    )
    assert reasons(multi, index=index) == []


def answered_sides(subject: PreferencePair) -> tuple[Any, Any]:
    return subject.response_a, subject.response_b


def test_words() -> None:
    assert words_of("It's 3.5 — état, 日本語 x_y") == ["it", "s", "3", "5", "état", "日", "本", "語", "x_y"]
    assert runs_of(["a", "b", "c"], 2) == {"a b", "b c"}
    assert runs_of(["a"], 2) == {"a"}
    assert runs_of([], 2) == set()


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    samples: list[Sample] = [
        ("easy", "[[A]]", "ab", 0, "A"),
        ("easy", "[[B]]", "ba", 0, "A"),
        ("hard", "[[B]]", "ab", 0, "A"),
        ("hard", "nothing", "ba", 0, "A"),
        ("mixed", "[[A]]", "ab", 0, "A"),
        ("mixed", "nothing", "ba", 0, "A"),
        ("unlabelled", "[[A]]", "ab", 0, None),
    ]
    run = write_judge_run(tmp_path / "run", samples)
    with (run / "completions.jsonl").open("a") as journal:
        journal.write('{"pair": 1, "ind')
    return run


def test_difficulty(judged: Path) -> None:
    rates = PassRates(Difficulty(run=judged))
    assert [rates.rate(name) for name in ("easy", "hard", "mixed", "unlabelled")] == [1, 0, 0.5, None]
    reasons_given = {name: rates.reason(name) for name in ("easy", "hard", "mixed", "other")}
    assert reasons_given == {"easy": "too_easy", "hard": "too_hard", "mixed": None, "other": "not_judged"}
    assert PassRates(Difficulty(run=judged, high=0.5)).reason("mixed") == "too_easy"
    assert PassRates(Difficulty(run=judged, low=0.5)).reason("mixed") == "too_hard"


def test_a_run_that_tells_no_difficulty(judged: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--difficulty .*none: not a run directory"):
        PassRates(Difficulty(run=tmp_path / "none"))
    write_judge_run(judged, [("x", "[[A]]", "ab", 0, None)])
    with pytest.raises(ConfigError, match="no judged pair has a better response"):
        PassRates(Difficulty(run=judged))
    (judged / "completions.jsonl").write_text("{\n" + (judged / "completions.jsonl").read_text())
    with pytest.raises(JournalError, match=r"completions.jsonl:1"):
        PassRates(Difficulty(run=judged))
    write_run(tmp_path / "data", {"job": "data"})
    with pytest.raises(ConfigError, match='a run of "rmr1 data"'):
        PassRates(Difficulty(run=tmp_path / "data"))
