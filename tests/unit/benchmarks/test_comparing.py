"""Any number of judges side by side, on pairs that are known by what they say."""

import dataclasses
import json
import random

import pytest

from rmr1.benchmarks import compare_runs
from rmr1.benchmarks.comparing import run_names
from rmr1.data import write_pairs
from rmr1.errors import ConfigError, RunError
from rmr1.judging import judge_pairs
from rmr1.records import Generation, Message, PreferencePair
from rmr1.report.comparison import comparison_csv, comparison_tables, render_comparison
from rmr1.results import CompareResults
from rmr1.sides import OTHER_SIDE
from tests.support.benchmarks import by_gold, run_eval
from tests.support.engines import FunctionEngine, answer

PAIRS = tuple(
    PreferencePair(
        f"p{number}",
        (Message("user", f"question {number // 2}"),),
        (Message("assistant", f"good {number}"),),
        (Message("assistant", f"bad {number}"),),
        label="A",
        category="even" if number % 2 == 0 else "odd",
    )
    for number in range(60)
)


def turned(pair):
    """The same pair under another id, written the other way round."""
    return dataclasses.replace(
        pair,
        id=f"other-{pair.id}",
        response_a=pair.response_b,
        response_b=pair.response_a,
        label=pair.label and OTHER_SIDE[pair.label],
    )


def number_of(comparison):
    return int(comparison.shown_a[0].content.rpartition(" ")[2])


def right_on(numbers):
    """A judge that is right on these pairs, and wrong on others."""

    def reply(request):
        better_is_a = request.comparison.shown_a[0].content.startswith("good")
        return answer("A" if better_is_a == (number_of(request.comparison) in numbers) else "B") + " because"

    return reply


def judge(folder, name, pairs, reply, **settings):
    write_pairs(folder / f"{name}.jsonl", pairs)
    engine = FunctionEngine(reply)
    return judge_pairs(folder / f"{name}.jsonl", engine=engine, run=folder / name, **settings).run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    shuffled = [turned(pair) for pair in PAIRS]
    random.Random(0).shuffle(shuffled)
    judge(folder, "best", PAIRS, right_on(range(56)))
    judge(folder, "good", shuffled, right_on(range(50)))
    judge(folder, "bad", PAIRS[:50], right_on(range(0, 50, 4)))
    return folder


def test_the_same_pairs_are_known_under_other_names_in_another_order_and_turned(folder):
    found = compare_runs([folder / "best", folder / "good"]).results.benchmarks["pairs"]
    assert (found.pairs, found.differing) == (60, 6)
    assert [one.metrics["accuracy"].value for one in found.runs.values()] == [
        pytest.approx(56 / 60),
        pytest.approx(50 / 60),
    ]
    (versus,) = found.versus
    assert (versus.first_ahead, versus.second_ahead) == (6, 0)
    assert versus.agreement.value == pytest.approx(54 / 60)
    assert {item.id for item in found.items} == {f"p{number}" for number in range(50, 56)}


def test_items_on_which_judges_differ_have_all_texts_in_the_sides_of_the_first_run(folder):
    comparison = compare_runs([folder / "best", folder / "good"])
    item = next(one for one in comparison.results.benchmarks["pairs"].items if one.id == "p52")
    assert (item.label, item.category) == ("A", "even")
    assert [turn.content for turns in (item.prompt, item.response_a, item.response_b) for turn in turns] == [
        "question 26",
        "good 52",
        "bad 52",
    ]
    best, good = item.outcomes.values()
    assert (best.winner, best.value, good.winner, good.value) == ("A", 1.0, "B", 0.0)
    assert [(one.order, one.side) for one in good.completions] == [("ba", "B"), ("ab", "B")]
    assert all("because" in one.text for one in (*best.completions, *good.completions))
    page = render_comparison(comparison.results, comparison.samples)
    assert page.count('class="sample staged"') == 6
    for text in ("good 52", "bad 52", "question 26", "best alone is right"):
        assert text in page


def test_ranks_say_what_chance_leaves_open(folder):
    runs = [folder / name for name in ("best", "good", "bad")]
    found = compare_runs(runs).results.benchmarks["pairs"]
    ranks = {name: (one.best_rank, one.worst_rank) for name, one in found.runs.items()}
    assert ranks == {"best": (1, 2), "good": (1, 2), "bad": (3, 3)}
    assert (found.pairs, found.runs["best"].left_out, found.runs["bad"].left_out) == (50, 10, 0)
    assert any("best: 10 of its 60 judged pairs" in note for note in found.notes)
    raw, corrected = zip(*((one.difference.p, one.difference.p_adjusted) for one in found.versus), strict=True)
    assert all(p <= one for p, one in zip(raw, corrected, strict=True))
    assert sorted(corrected)[0] == pytest.approx(3 * min(raw))
    assert set(found.runs["bad"].cells_from_first) == {"even", "odd"}
    assert found.between("bad", "best") is found.between("best", "bad")


def test_a_pair_that_an_engine_failed_on_is_counted_and_left_out(folder, tmp_path):
    def fails(request):
        if number_of(request.comparison) % 6 == 0:
            return Generation(request.id, "", "error", error="boom")
        return right_on(range(60))(request)

    faulty = judge(tmp_path, "faulty", PAIRS, fails)
    found = compare_runs([folder / "best", faulty]).results.benchmarks["pairs"]
    assert (found.pairs, found.runs["faulty"].unjudged, found.runs["best"].left_out) == (50, 10, 10)
    assert any("faulty: 10 pairs of its data are not judged" in note for note in found.notes)


def test_runs_of_judge_and_eval_are_compared_on_all_their_pairs_and_evals_by_their_figures(folder, tmp_path):
    write_pairs(tmp_path / "elsewhere.jsonl", [turned(pair) for pair in PAIRS[:40]])
    write_pairs(tmp_path / "same.jsonl", PAIRS[:40])
    for name, data, numbers in (("one", "same", range(30)), ("two", "elsewhere", range(20))):
        run_eval("custom", tmp_path / f"{data}.jsonl", right_on(numbers), tmp_path / name)
    mixed = compare_runs([folder / "best", tmp_path / "one"]).results
    assert mixed.benchmarks["pairs"].pairs == 40
    assert (mixed.protocol, mixed.runs["best"].made_by, mixed.runs["one"].made_by) == ("", "judge", "eval")
    found = compare_runs([tmp_path / "one", tmp_path / "two"], protocol="strict").results
    custom = found.benchmarks["custom"]
    assert (custom.pairs, custom.differing, found.protocol) == (40, 10, "strict")
    assert custom.runs["two"].from_first["accuracy"].value == pytest.approx(-0.25)


def test_a_pair_that_stands_twice_in_the_data_is_two_pairs(tmp_path):
    twice = [PAIRS[0], dataclasses.replace(PAIRS[0], id="again"), PAIRS[1]]
    runs = [judge(tmp_path, name, twice, right_on(range(1))) for name in ("one", "two")]
    found = compare_runs(runs).results.benchmarks["pairs"]
    assert found.pairs == 3
    assert found.runs["one"].metrics["accuracy"].value == pytest.approx(2 / 3)


def test_pairs_without_labels_have_agreement_and_no_figures(tmp_path):
    unlabelled = [dataclasses.replace(pair, label=None) for pair in PAIRS[:20]]
    runs = [judge(tmp_path, name, unlabelled, right_on(range(size))) for name, size in (("one", 20), ("two", 15))]
    comparison = compare_runs(runs)
    found = comparison.results.benchmarks["pairs"]
    (versus,) = found.versus
    assert (found.pairs, versus.difference, versus.agreement.n) == (0, None, 20)
    assert versus.agreement.value == pytest.approx(0.75)
    assert found.differing == 5
    assert list(comparison_tables(comparison.results))
    assert "agree" in render_comparison(comparison.results, comparison.samples)


def test_other_settings_are_said(folder, tmp_path):
    one_order = judge(tmp_path, "given", PAIRS, right_on(range(60)), orders="given")
    notes = compare_runs([folder / "best", one_order]).results.notes
    assert "the runs differ in orders: both in best, given in given" in notes


def test_results_come_back_from_json_and_csv_has_a_run_column(folder):
    results = compare_runs([folder / name for name in ("best", "good", "bad")], items=2).results
    assert CompareResults.from_json(json.loads(json.dumps(results.to_json()))) == results
    assert (len(results.benchmarks["pairs"].items), results.benchmarks["pairs"].differing) == (2, 37)
    head, *lines = comparison_csv(results).splitlines()
    assert head.startswith("run,against,benchmark,kind,name,value,low,high")
    kinds = {(line.split(",")[0], line.split(",")[3]) for line in lines}
    assert {("good", "versus"), ("bad", "difference"), ("best", "metric"), ("bad", "agreement")} <= kinds


def test_equal_comparisons_give_equal_pages(folder):
    pages = {
        render_comparison(found.results, found.samples)
        for found in (compare_runs([folder / "best", folder / "bad"]) for _ in range(2))
    }
    assert len(pages) == 1


def test_what_cannot_be_compared_is_one_line(folder, tmp_path):
    strangers = [dataclasses.replace(pair, prompt=(Message("user", "another"),)) for pair in PAIRS[:5]]
    other = judge(tmp_path, "strangers", strangers, right_on(range(5)))
    with pytest.raises(RunError, match="nothing to compare; All pairs: no pair is judged in all of the runs"):
        compare_runs([folder / "best", other])
    with pytest.raises(ConfigError, match="1 run: name at least two to compare"):
        compare_runs([folder / "best"])
    with pytest.raises(ConfigError, match="--votes 3"):
        compare_runs([folder / "best", other], votes=(3, None))
    (other / "texts.jsonl.gz").unlink()
    with pytest.raises(RunError, match=r"has no texts\.jsonl\.gz, which a run writes at its end"):
        compare_runs([folder / "best", other])


def test_names_are_short_and_unique(tmp_path):
    a, b, c = tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "y" / "other"
    assert run_names([a, c], (None, None)) == ["run", "other"]
    assert run_names([a, b], (None, None)) == ["x/run", "y/run"]
    assert run_names([a, a], (1, 9)) == ["run, 1 vote", "run, 9 votes"]
    assert run_names([a, a, c], (None,) * 3) == ["run (1)", "run (2)", "other"]


def test_a_run_is_compared_with_itself(tmp_path):
    write_pairs(tmp_path / "same.jsonl", PAIRS[:4])
    run_eval("custom", tmp_path / "same.jsonl", by_gold(lambda *_: True), tmp_path / "run")
    found = compare_runs([tmp_path / "run", tmp_path / "run"]).results
    assert list(found.runs) == ["run (1)", "run (2)"]
    assert found.benchmarks["custom"].versus[0].difference.p == 1.0
