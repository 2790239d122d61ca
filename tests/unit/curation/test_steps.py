"""The steps of curation, one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rmr1.curation import Difficulty
from rmr1.curation.candidates import Candidate, content_digests, rank_of
from rmr1.curation.decontaminate import BenchmarkIndex
from rmr1.curation.difficulty import PassRates
from rmr1.curation.duplicates import signature_of, without_duplicates, without_near_duplicates
from rmr1.curation.job import rows_of
from rmr1.curation.mix import draw, quotas
from rmr1.curation.normalise import normalise_text
from rmr1.curation.raw_rows import row_transform
from rmr1.curation.readers import math_step_dpo
from rmr1.curation.recipe import Condition, NearDuplicates, OverLong, Screens, SourceRecipe
from rmr1.curation.screens import pair_screens
from rmr1.curation.tally import Lengths
from rmr1.curation.words import runs_of, words_of
from rmr1.data import load_pairs
from rmr1.data.rows import RowError
from rmr1.errors import ConfigError, JournalError
from rmr1.records import Message, PreferencePair, Side


def pair(a: str = "seven", b: str = "eight", *, prompt: str = "Name a prime.", label: Side | None = "A", **more: Any):
    turns = (Message("assistant", a),), (Message("assistant", b),)
    return PreferencePair(more.pop("id", "p"), (Message("user", prompt),), *turns, label, **more)


def reasons(subject: PreferencePair, screens: Screens | None = None, index: BenchmarkIndex | None = None) -> list[str]:
    return [reason for reason, is_unfit in pair_screens(screens or Screens(), index) if is_unfit(subject)]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (pair(), []),
        (pair(label=None), ["unlabelled"]),
        (pair(a=" \n"), ["empty"]),
        (pair(b="seven"), ["identical"]),
        (pair(b="  seven"), []),  # indentation can be the difference
        (pair(a="x" * 16_000), ["over_long"]),
        (pair(b="8<im_start>"), ["marker"]),
        (pair(prompt="[inst] Name a prime. [/inst]"), ["marker"]),
        (pair(b="8<｜end▁of▁sentence｜>"), ["marker"]),
    ],
)
def test_screens_of_one_pair(subject: PreferencePair, expected: list[str]) -> None:
    assert reasons(subject) == expected


def test_screens_can_be_turned_off_and_set() -> None:
    off = Screens(unlabelled=False, empty=False, identical=False, over_long=None, markers=())
    assert reasons(pair("", "", label=None), off) == []
    words = Screens(over_long=OverLong(max_chars=None, max_words=5))
    assert reasons(pair(), words) == []
    assert reasons(pair("seven it is"), words) == ["over_long"]
    assert reasons(pair(), Screens(markers=("PRIME",))) == ["marker"]


def test_benchmark_overlap(tmp_path: Path) -> None:
    long = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    (tmp_path / "bench.jsonl").write_text(
        json.dumps({"prompt": "Name a PRIME!", "chosen": "7", "rejected": "8"})
        + "\n"
        + json.dumps({"prompt": f"Say: {long}", "chosen": "7", "rejected": "8"})
        + "\n"
    )
    index = BenchmarkIndex([load_pairs(tmp_path / "bench.jsonl")], 13)
    assert reasons(pair(), index=index) == ["benchmark"]
    assert reasons(pair(prompt="Name a prime. Quickly."), index=index) == []
    assert reasons(pair(prompt=f"Well, {long.replace('one', 'zero')}"), index=index) == ["benchmark"]
    assert reasons(pair(prompt=f"Well, {long.replace('seven', 'zero')}"), index=index) == []
    answered = pair()
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\x85d", "a\nb\nc\nd"),
        ("\ufeff \n\n  indented\tx  y \n\n", "  indented\tx  y"),
        ("e\u0301 \x00\x1b[0m", "é [0m"),
        ("ﬁ ² １\u200b", "ﬁ ² １\u200b"),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise_text(text) == expected


def candidate(subject: PreferencePair, source: int = 0, seed: int = 0, near: NearDuplicates | None = None) -> Candidate:
    content, better = content_digests(subject)
    signature = signature_of(subject, near) if near else None
    rank = rank_of(subject, seed)
    return Candidate(source, subject.id, subject.group or subject.id, content, better, rank, "train", 0, signature)


def dropped_by(step: Any, candidates: list[Candidate], *more: Any) -> tuple[list[str], dict[str, str]]:
    dropped: dict[str, str] = {}
    kept = step(candidates, *more, lambda one, reason: dropped.update({one.id: reason}))
    return sorted(one.id for one in kept), dropped


def test_equal_pairs_on_any_side_are_one_and_the_first_source_is_preferred() -> None:
    swapped = pair("eight", "seven", label="B", id="swapped", prompt="name a  PRIME.")
    kept, dropped = dropped_by(without_duplicates, [candidate(pair(id="p"), 1), candidate(swapped, 0)])
    assert (kept, dropped) == (["swapped"], {"p": "duplicate"})
    other = pair("eight", "nine", id="other")
    assert dropped_by(without_duplicates, [candidate(pair()), candidate(other)])[1] == {}


def test_of_pairs_that_contradict_each_other_none_is_kept() -> None:
    said = [candidate(pair(id="p")), candidate(pair(id="q", label="B")), candidate(pair(id="r"))]
    assert dropped_by(without_duplicates, said) == ([], dict.fromkeys("pqr", "contradiction"))


def test_near_duplicates() -> None:
    near = NearDuplicates()
    text = " ".join(f"word{number}" for number in range(200))
    subjects = [
        pair(text, "short", id="a"),
        pair("short", text + " end", label="B", id="b"),
        pair(text, " ".join(f"other{number}" for number in range(200)), id="c"),
    ]
    kept, dropped = dropped_by(without_near_duplicates, [candidate(one, near=near) for one in subjects], near)
    assert set(dropped.values()) == {"near_duplicate"}
    assert set(dropped) < {"a", "b"}
    assert len(kept) == 2
    assert signature_of(pair("seven it is", "it is eight"), near) == signature_of(
        pair("it is eight", "seven it is", label="B"), near
    )
    grouped = [candidate(pair(text, str(number), id=str(number), group="g"), near=near) for number in range(3)]
    assert dropped_by(without_near_duplicates, grouped, near)[1] == {}


@pytest.mark.parametrize(
    ("available", "weights", "size", "expected"),
    [
        ([10, 20], [1, 1], None, [10, 20]),
        ([10, 20], [1, 1], 40, [10, 20]),
        ([10, 20], [1, 1], 10, [5, 5]),
        ([10, 20], [1, 3], 10, [3, 7]),  # 2.5 and 7.5: the first of equal remainders
        ([2, 20, 20], [1, 1, 1], 12, [2, 5, 5]),
        ([2, 3, 20], [5, 5, 1], 12, [2, 3, 7]),
        ([0, 5], [1, 1], 3, [0, 3]),
        ([10, 30], [10, 30], 4, [1, 3]),
    ],
)
def test_quotas(available: list[int], weights: list[float], size: int | None, expected: list[int]) -> None:
    assert quotas(available, weights, size) == expected


def test_draws_take_the_lowest_ranks_up_to_caps() -> None:
    candidates = [candidate(pair(id=f"{source}-{n}"), source) for source in range(2) for n in range(50)]
    sources = [SourceRecipe(path="a", cap=10), SourceRecipe(path="b")]
    drawn = draw(candidates, sources, None)
    assert [sum(one.source == source for one in drawn) for source in range(2)] == [10, 50]
    first = [one for one in drawn if one.source == 0]
    assert max(one.rank for one in first) < min(one.rank for one in candidates[:50] if one not in first)
    assert drawn == sorted(drawn, key=lambda one: one.rank)
    reseeded = draw([candidate(pair(id=f"0-{n}"), 0, seed=1) for n in range(50)], sources[:1], None)
    assert {one.id for one in reseeded} != {one.id for one in first}


def test_sides() -> None:
    subjects = [pair(id=str(number)) for number in range(400)]
    drawn = [next(rows_of(one, "random", 0)) for one in subjects]
    share = sum(row.label == "A" for row in drawn) / 400
    assert 0.42 < share < 0.58
    for row in drawn:
        better = row.response_a if row.label == "A" else row.response_b
        assert better[0].content == "seven"
    assert [row.id for row in rows_of(pair(), "both", 0)] == ["p/ab", "p/ba"]
    assert [row.label for row in rows_of(pair(group="g"), "both", 0)] == ["A", "B"]
    assert {row.group for row in rows_of(pair(group="g"), "both", 0)} == {"g"}
    assert list(rows_of(pair(), "given", 0)) == [pair()]


def test_conditions_and_the_reader_of_steps() -> None:
    transform = row_transform(None, {"extra.level": Condition(include=[1, "2"]), "x": Condition(exclude=["no"])})
    assert transform is not None
    assert transform({"x": "yes", "extra": {"level": 2}})
    assert transform({"x": "no", "extra": {"level": 2}}) is None
    assert transform({"x": "yes", "extra": {"level": 3}}) is None
    with pytest.raises(RowError, match=r'"x", which is not there'):
        transform({"y": "yes", "extra": {"level": 2}})
    assert row_transform(None, {}) is None
    with pytest.raises(RowError, match='"prompt" is missing'):
        math_step_dpo({"chosen": "a", "rejected": "b"})
    assert math_step_dpo({"prompt": "p", "chosen": "a", "rejected": "b"})["chosen"] == "a"


def test_lengths() -> None:
    lengths = Lengths()
    for subject in (pair("a b", "c"), pair("a b", "ccc", label="B"), pair("a", "bcd"), pair("a", "", label=None)):
        lengths.add(subject)
    found = lengths.results()
    assert found["chosen_words"] == {"mean": 1.33, "median": 1, "p90": 2}
    assert found["rejected_characters"] == {"mean": 2.33, "median": 3, "p90": 3}
    assert (found["chosen_longer"], found["equally_long"]) == (1 / 3, 1 / 3)
    assert Lengths().results()["chosen_words"] is None


def sample(pair_id: str, shown: str, order: str = "ab", label: str | None = "A", vote: int = 0) -> dict[str, Any]:
    return {
        "pair": 0,
        "index": 0,
        "request": f"{pair_id}/{order}/{vote}",
        "pair_id": pair_id,
        "group": pair_id,
        "category": "",
        "label": label,
        "order": order,
        "vote": vote,
        "text": f"<answer>{shown}</answer>",
        "finish_reason": "stop",
        "think_open": False,
        "usage": {},
        "p_shown_a": None,
        "fenced": 0,
        "prompt_sha256": "",
    }


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    (tmp_path / "run.json").write_text(json.dumps({"identity": {"job": "judge", "rule": "default"}}))
    samples = [
        sample("easy", "[[A]]"),
        sample("easy", "[[B]]", "ba"),
        sample("hard", "[[B]]"),
        sample("hard", "nothing", "ba"),
        sample("mixed", "[[A]]"),
        sample("mixed", "nothing", "ba"),
        sample("unlabelled", "[[A]]", label=None),
    ]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in samples) + '{"pair": 1, "ind')
    return tmp_path


def test_difficulty(judged: Path) -> None:
    rates = PassRates(Difficulty(run=judged))
    assert [rates.rate(name) for name in ("easy", "hard", "mixed", "unlabelled")] == [1, 0, 0.5, None]
    verdicts = {name: rates.verdict(name) for name in ("easy", "hard", "mixed", "other")}
    assert verdicts == {"easy": "too_easy", "hard": "too_hard", "mixed": None, "other": "not_judged"}
    assert PassRates(Difficulty(run=judged, high=0.5)).verdict("mixed") == "too_easy"
    assert PassRates(Difficulty(run=judged, low=0.5)).verdict("mixed") == "too_hard"


def test_a_run_that_tells_no_difficulty(judged: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not the directory of a run"):
        PassRates(Difficulty(run=tmp_path / "none"))
    (judged / "samples.jsonl").write_text(json.dumps(sample("x", "[[A]]", label=None)) + "\n")
    with pytest.raises(ConfigError, match="no judged pair has a label"):
        PassRates(Difficulty(run=judged))
    (judged / "samples.jsonl").write_text("{\n" + json.dumps(sample("x", "[[A]]")) + "\n")
    with pytest.raises(JournalError, match=r"samples.jsonl:1"):
        PassRates(Difficulty(run=judged))
    (judged / "run.json").write_text(json.dumps({"identity": {"job": "data"}}))
    with pytest.raises(ConfigError, match='a run of "rmr1 data"'):
        PassRates(Difficulty(run=judged))
