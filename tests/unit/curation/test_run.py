"""A recipe as a run: counts that add up, files that are the same however they came about."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from rmr1.curation import CurationResult, DataRecipe, curate, intake
from rmr1.curation.run import rows_of
from rmr1.data import load_pairs, prompt_key, split_of
from rmr1.errors import ConfigError, DataError, RunMismatchError
from rmr1.records import Message, PreferencePair
from rmr1.results import DataResults
from rmr1.runs import read_document
from tests.support.pairs import make_pair
from tests.support.runs import write_judge_run


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"r{number}",
        "prompt": f"question {number // 2}",
        "chosen": f"good {number}",
        "rejected": "bad",
    } | more


def run(out: Path, *paths: Path, **content: Any) -> CurationResult:
    return curate(paths, out=out, **content)


def everything(folder: Path) -> dict[str, PreferencePair]:
    files = [path for path in folder.glob("*.jsonl") if path.stat().st_size]
    return {pair.id: pair for path in files for pair in load_pairs(path)}


def check_sums(results: DataResults) -> None:
    for counts in (results.pairs, *results.sources.values()):
        assert counts.read == counts.kept + sum(counts.dropped.values())
        assert counts.kept == sum(counts.splits.values())
    assert results.pairs.read == sum(counts.read for counts in results.sources.values())
    assert results.pairs.kept == sum(counts.kept for counts in results.sources.values())
    assert results.pairs.splits == {name: split.pairs for name, split in results.splits.items() if split.pairs}


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    rows = [
        *(row(number) for number in range(40)),
        row(40, chosen=""),
        row(41, chosen="bad"),
        row(42, rejected="<im_start>"),
        row(0, id="again"),
        row(44, kind="no"),
        {"id": "broken", "prompt": "x"},
        row(46, chosen="c" * 20_000),
    ]
    rows = [{"kind": "yes"} | one for one in rows]
    path = write(tmp_path / "a.jsonl", rows)
    source = {"path": str(path), "where": {"kind": {"exclude": ["no"]}}, "skip_invalid": True, "cap": 30}
    result = run(tmp_path / "out", sources=[source, {"path": str(write(tmp_path / "b.jsonl", [row(90), row(2)]))}])
    assert result.results.sources["a"].dropped == {
        "filtered": 1,
        "invalid": 1,
        "empty": 1,
        "identical": 1,
        "over_long": 1,
        "marker": 1,
        "duplicate": 1,
        "not_drawn": 10,
    }
    b = result.results.sources["b"]
    assert (b.read, b.kept, b.dropped) == (2, 1, {"duplicate": 1})
    check_sums(result.results)
    assert len(everything(tmp_path / "out")) == result.results.pairs.kept == 31
    assert DataResults.from_json(json.loads((tmp_path / "out" / "results.json").read_text())) == result.results


def test_splits_hold_whole_prompts_and_sides_are_drawn(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row(number) for number in range(600)])
    result = run(tmp_path / "out", path, splits={"train": 0.5, "dev": 0.5})
    seen = {
        name: {prompt_key(pair.prompt) for pair in load_pairs(tmp_path / "out" / f"{name}.jsonl")}
        for name in ("train", "dev")
    }
    assert not seen["train"] & seen["dev"]
    assert len(seen["train"] | seen["dev"]) == 300
    pairs = everything(tmp_path / "out")
    assert all((pair.response_a[0].content != "bad") == (pair.label == "A") for pair in pairs.values())
    assert all(0.4 < (split.label_a_share or 0) < 0.6 for split in result.results.splits.values())
    assert {pair.extra["origin"] for pair in pairs.values()} == {"a"}


def test_both_orders_are_two_rows_of_one_pair(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row(number) for number in range(10)])
    result = run(tmp_path / "out", path, orders="both", splits={"all": 1})
    split = result.results.splits["all"]
    assert (split.pairs, split.rows, split.labels) == (10, 20, {"A": 10, "B": 10})
    rows = list(load_pairs(tmp_path / "out" / "all.jsonl"))
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert first.group == second.group
        assert (first.response_a, first.response_b) == (second.response_b, second.response_a)


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    rows = [row(number, chosen=f"good {number % 50}", id=f"r{number % 60}") for number in range(100)]
    run(tmp_path / "one", write(tmp_path / "a.jsonl", rows), size=40)
    random.Random(0).shuffle(rows)
    (tmp_path / "other").mkdir()
    run(tmp_path / "two", write(tmp_path / "other" / "a.jsonl", rows), size=40)
    for name in ("train.jsonl", "dev.jsonl", "held_out.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert read_document(tmp_path / "one", "results.json") == read_document(tmp_path / "two", "results.json")


def test_ids_that_a_source_gives_twice_become_unique(tmp_path: Path) -> None:
    rows = [row(number % 3, id="same", prompt="q") for number in range(4)]
    screens = {"duplicates": False, "near_duplicates": None}
    run(tmp_path / "out", write(tmp_path / "a.jsonl", rows), splits={"all": 1}, screens=screens)
    pairs = everything(tmp_path / "out")
    assert len(pairs) == 4
    assert all(name.startswith("same~") for name in pairs)
    assert {pair.group for pair in pairs.values()} == {"same"}


def test_a_finished_run_is_not_done_again_and_a_damaged_one_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row(number) for number in range(20)])
    first = run(tmp_path / "out", path)
    assert first.fresh
    assert not run(tmp_path / "out", path).fresh
    train = (tmp_path / "out" / "train.jsonl").read_bytes()
    (tmp_path / "out" / "train.jsonl").write_bytes(train[:-20])
    again = run(tmp_path / "out", path)
    assert again.fresh
    assert again.results == first.results
    assert (tmp_path / "out" / "train.jsonl").read_bytes() == train
    moved = path.rename(tmp_path / "moved.jsonl")
    assert not run(tmp_path / "out", sources=[{"path": str(moved), "name": "a"}]).fresh


def test_results_of_another_version_are_made_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row(number) for number in range(20)])
    results = run(tmp_path / "out", path).results
    (tmp_path / "out" / "results.json").write_text(json.dumps({**results.to_json(), "schema": 1}))
    again = run(tmp_path / "out", path)
    assert (again.fresh, again.results) == (True, results)


def test_what_curate_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.jsonl", [row(number) for number in range(20)])
    (tmp_path / "mix.yaml").write_text("sources: [{path: a.jsonl}]\nsplits: {all: 1}\nsize: 9\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RMR1_SIZE", "1")  # not a setting of a call
    said: list[str] = []

    class Callbacks:
        def say(self, message: str) -> None:
            said.append(message)

    assert curate("a.jsonl", callbacks=Callbacks()).run.parent == Path("runs")
    assert said[0].startswith("a.jsonl: prompt/chosen/rejected")
    assert curate(path, size=3).results.pairs.kept == 3
    assert curate("mix.yaml", out="nine").results.pairs.kept == 9
    assert curate("mix.yaml", out=tmp_path / "four", size=4).results.splits["all"].pairs == 4
    recipe = DataRecipe.model_validate({"sources": [{"path": "a.jsonl"}], "size": 9, "splits": {"all": 1}})
    assert not curate(recipe, out="nine").fresh
    assert curate(recipe, out="five", size=5).results.splits["all"].pairs == 5
    with pytest.raises(ConfigError, match='unknown key "sise"'):
        curate("a.jsonl", sise=3)
    with pytest.raises(ConfigError, match="a recipe stands alone"):
        curate(["mix.yaml", "a.jsonl"])


def test_other_settings_or_data_are_another_run(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row(number) for number in range(20)])
    run(tmp_path / "out", path)
    with pytest.raises(RunMismatchError, match="seed was 0, now 1"):
        run(tmp_path / "out", path, seed=1)
    write(path, [row(number) for number in range(21)])
    with pytest.raises(RunMismatchError, match="sources"):
        run(tmp_path / "out", path)


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row(1, chosen="bad")])
    with pytest.raises(DataError, match=r'no pair is left of 1: \{"identical": 1\}'):
        run(tmp_path / "out", path)
    assert not (tmp_path / "out" / "results.json").exists()


def test_generated_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def generate(families, levels, count, seed):
        asked.append((families, levels, count, seed))
        for number in range(count):
            turns = (Message("user", f"q{number}"),), (Message("assistant", "a"),), (Message("assistant", "b"),)
            yield PreferencePair(f"p{number}", *turns, "A", "", "family", {"level": 2})

    monkeypatch.setattr(intake, "generate_pairs", generate)
    request = {"families": ["x"], "levels": [1], "count": 5, "seed": 3}
    result = run(tmp_path / "out", sources=[{"curriculum": request}], splits={"all": 1})
    assert asked == [(["x"], [1], 5, 3)]
    assert result.results.splits["all"].categories == {"family": 5}
    assert {pair.extra["level"] for pair in everything(tmp_path / "out").values()} == {2}


def test_curated_pairs_can_be_curated_again_by_difficulty(tmp_path: Path) -> None:

    path = write(tmp_path / "a.jsonl", [row(number) for number in range(6)])
    run(tmp_path / "out", path, splits={"train": 1})
    judged = tmp_path / "judged"
    labels = {pair.id: pair.label for pair in everything(tmp_path / "out").values()}
    votes = [("r0", "[[A]]", 0), ("r0", "[[B]]", 1), ("r1", "[[A]]", 0), ("r2", "nothing", 0)]
    write_judge_run(judged, [(name, text, "ab", vote, labels[name]) for name, text, vote in votes], votes=2)
    content = {"orders": "given", "splits": {"train": 1}, "difficulty": {"run": str(judged)}}
    result = run(tmp_path / "kept", tmp_path / "out" / "train.jsonl", **content)
    assert list(everything(tmp_path / "kept")) == ["r0"]
    assert everything(tmp_path / "kept")["r0"].label == labels["r0"]
    expected = "too_easy" if labels["r1"] == "A" else "too_hard"
    dropped = result.results.pairs.dropped
    assert (dropped["not_judged"], sum(dropped.values()), expected in dropped) == (3, 5, True)
    (judged / "completions.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"no completions\.jsonl"):
        run(tmp_path / "other", path, **content)


def test_public_sets(shared: Path, tmp_path: Path) -> None:
    names = ("gsm8k_solution_pairs", "rmb_pairwise_sample", "hh_harmless_test")
    paths = [shared / "data" / f"{name}.jsonl.gz" for name in names]
    benchmark = {"files": [str(shared / "data" / "rmb_bon_sample.jsonl.gz")]}
    content = {"cap": 300}
    result = run(
        tmp_path / "out",
        sources=[{"path": str(path), **content} for path in paths],
        screens={"benchmarks": benchmark},
    )
    found = result.results
    check_sums(found)
    assert [found.sources[name].read for name in names] == [2426, 1133, 2307]
    assert [found.sources[name].kept for name in names] == [300, 300, 300]
    assert found.sources["hh_harmless_test"].dropped["empty"] == 4
    assert found.sources["rmb_pairwise_sample"].dropped["benchmark"] > 0
    pairs = everything(tmp_path / "out")
    assert len(pairs) == 900
    for name, split in found.splits.items():
        read = list(load_pairs(tmp_path / "out" / f"{name}.jsonl"))
        assert len(read) == split.rows
        assert {split_of(pair.prompt, {"train": 0.9, "dev": 0.05, "held_out": 0.05}) for pair in read} == {name}


def test_sides() -> None:
    subjects = [make_pair(id=str(number)) for number in range(400)]
    drawn = [next(rows_of(one, "random", 0)) for one in subjects]
    share = sum(row.label == "A" for row in drawn) / 400
    assert 0.42 < share < 0.58
    for row in drawn:
        better = row.response_a if row.label == "A" else row.response_b
        assert better[0].content == "seven"
    assert [row.id for row in rows_of(make_pair(), "both", 0)] == ["p/ab", "p/ba"]
    assert [row.label for row in rows_of(make_pair(group="g"), "both", 0)] == ["A", "B"]
    assert {row.group for row in rows_of(make_pair(group="g"), "both", 0)} == {"g"}
    assert list(rows_of(make_pair(), "given", 0)) == [make_pair()]
