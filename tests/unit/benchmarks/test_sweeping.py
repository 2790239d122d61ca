"""Sweeps: fewer votes are the first of more, every judging run is an ordinary one, and what is shown of the points."""

import asyncio
import csv
import json
import zlib
from dataclasses import replace

import pytest

from rmr1.benchmarks import (
    Axes,
    EvalTask,
    compare_runs,
    find_benchmarks,
    is_sweep,
    score_run,
    score_sweep,
    sweep,
)
from rmr1.config import JudgeConfig, load_config
from rmr1.errors import ConfigError, EngineError, RunError, RunMismatchError
from rmr1.records import Generation, Usage
from rmr1.report.progress import EvalProgress
from rmr1.report.sweep import sweep_csv, sweep_report, sweep_tables
from rmr1.results import EvalResults, SweepResults
from tests.support.benchmarks import run_eval, write_rm_bench, write_rmb
from tests.support.engines import FunctionEngine, answer
from tests.support.html_tree import parse, texts

VOTES = (1, 2, 5)


def drawn(request):
    """A judge whose answer is drawn from the request's id and its limit, and who writes as many tokens as its vote's number."""
    chance = zlib.crc32(request.id.encode()) % 10
    comparison = request.comparison
    other = {"A": "B", "B": "A"}[comparison.gold]
    text = "no verdict" if chance == 0 else answer(comparison.gold if chance < 7 else other)
    length = 10 * (comparison.vote + 1) + request.sampling.max_tokens
    return Generation(request.id, text, usage=Usage(100, length))


def parsed(**texts):
    return Axes.parse(**{"votes": None, "max_tokens": None, "template": None} | texts)


def run_sweep(axes, data, run, reply=drawn, names="rm-bench,rmb", *, engine=None, protocol="official", **settings):
    config = load_config(JudgeConfig, flags=settings | axes.flags(), environment={})
    engine = engine or FunctionEngine(reply, batch=3)
    task = EvalTask(find_benchmarks(names), data, run=run, protocol=protocol)
    result = asyncio.run(sweep(task, axes, config, EvalProgress(), engine=engine))
    return result, engine


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_rm_bench(folder / "RM-Bench", ("chat", "code"), 3)
    write_rmb(folder / "RMB_dataset", 9)
    return folder


@pytest.fixture(scope="module")
def over_votes(data, tmp_path_factory):
    return run_sweep(Axes(votes=VOTES), data, tmp_path_factory.mktemp("sweep") / "run")


@pytest.fixture(scope="module")
def over_all(data, tmp_path_factory):
    axes = Axes(votes=(1, 3), max_tokens=(64, 128), template=("cor", "cor-brief"))
    return run_sweep(axes, data, tmp_path_factory.mktemp("sweep") / "run", protocol="strict")


def test_a_list_is_an_axis_and_a_single_value_is_none():
    assert parsed(votes="16,1, 4", template="cor,cor-brief") == Axes((1, 4, 16), (), ("cor", "cor-brief"))
    assert not parsed(votes="4", max_tokens="512", template="cor")
    assert not parsed()


def test_a_file_with_a_comma_in_its_name_is_one_template(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b.txt").write_text("judge")
    assert not parsed(template="a,b.txt")
    assert parsed(template="c,d.txt")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"votes": "1,x"}, r"--votes 1,x: expected whole numbers from 1 on, such as --votes 1,4,16"),
        ({"votes": "0,4"}, r"--votes 0,4: expected whole numbers"),
        ({"max_tokens": "512,-1"}, r"--max-tokens 512,-1: expected whole numbers"),
        ({"max_tokens": "512,"}, r"--max-tokens 512,: a value is empty"),
        ({"votes": "4,1,04"}, r"--votes 4,1,04: 4 is there 2 times"),
        ({"template": "cor,cor"}, r"--template cor,cor: cor is there 2 times"),
    ],
)
def test_a_list_with_a_mistake_is_named(values, message):
    with pytest.raises(ConfigError, match=message):
        parsed(**values)


def test_a_sweep_over_votes_asks_no_more_than_its_most_votes(over_votes, data):
    result, engine = over_votes
    comparisons = 2 * 3 * 9 + 9
    assert len(engine.asked) == len({request.id for request in engine.asked}) == comparisons * 2 * max(VOTES)
    assert {request.sampling.temperature for request in engine.asked} == {1.0}
    assert not engine.closed
    assert [path.name for path in sorted(result.run.iterdir()) if path.is_dir()] == ["5-votes"]


@pytest.mark.parametrize("votes", VOTES)
def test_a_point_is_what_a_run_with_so_many_votes_would_be(over_votes, data, tmp_path, votes):
    result, engine = over_votes
    alone = FunctionEngine(drawn)
    separate = run_eval("rm-bench,rmb", data, None, tmp_path / "run", engine=alone, votes=votes, temperature=1.0)
    assert {replace(request, comparison=None) for request in alone.asked} <= {
        replace(request, comparison=None) for request in engine.asked
    }
    assert score_run(result.run / "5-votes", votes) == separate.results
    point = next(point for point in result.results.points if point.votes == votes)
    for name, expected in separate.results.benchmarks.items():
        found = point.benchmarks[name]
        for protocol, block in expected.protocols.items():
            assert found.protocols[protocol].metrics == block.metrics
            assert not found.protocols[protocol].cells
        assert (found.bias, found.length, found.calibration) == (None, (), None)
        assert (found.judged, found.orders) == (expected.judged, expected.orders)
        assert point.written_per_pair[name] == 2 * sum(10 * (vote + 1) + 2048 for vote in range(votes))


def test_points_differ(over_votes):
    values = {
        point.benchmarks["rm-bench"].protocols["official"].metrics["total"].value
        for point in over_votes[0].results.points
    }
    assert len(values) == len(VOTES)


def test_the_same_sweep_again_asks_nothing_and_another_one_is_refused(over_votes, data):
    result, _ = over_votes
    before = (result.run / "sweep.json").read_bytes()
    again, engine = run_sweep(Axes(votes=VOTES), data, result.run)
    assert not engine.asked
    assert again.results == result.results == SweepResults.from_json(json.loads(before))
    assert (result.run / "sweep.json").read_bytes() == before
    with pytest.raises(RunMismatchError, match=r"votes was \[1, 2, 5\], now \[1, 2\]"):
        run_sweep(Axes(votes=(1, 2)), data, result.run)


def test_a_sweep_is_reported_from_its_journals_for_any_votes(over_votes, tmp_path):
    result, _ = over_votes
    assert score_sweep(result.run) == result.results
    other = score_sweep(result.run, (3, 1, 3))
    assert [point.votes for point in other.points] == [1, 3]
    assert other.points[0] == result.results.points[0]
    assert is_sweep(result.run)
    assert not is_sweep(result.run / "5-votes")
    assert not is_sweep(tmp_path)


def test_what_there_is_not_is_refused(over_votes, data):
    run = over_votes[0].run
    for refused in (lambda: score_sweep(run, (1, 6)), lambda: score_run(run / "5-votes", 6)):
        with pytest.raises(ConfigError, match=r"--votes 6: .* has 5 of each order"):
            refused()
    with pytest.raises(ConfigError, match="--votes 0"):
        score_run(run / "5-votes", 0)
    with pytest.raises(RunError, match="not a run of rmr1 eval; it is a sweep, name a run in it: 5-votes"):
        score_run(run)
    with pytest.raises(RunError, match="not a sweep"):
        score_sweep(run / "5-votes")
    with pytest.raises(ConfigError, match="several votes at temperature 0"):
        run_sweep(Axes(votes=(1, 2)), data, run, temperature=0)


def test_points_of_one_run_are_compared(over_votes):
    run = over_votes[0].run / "5-votes"
    found = compare_runs([run, run], votes=(1, 5)).results.benchmarks["rm-bench"]
    totals = [
        score_run(run, votes).benchmarks["rm-bench"].protocols["official"].metrics["total"].value for votes in (1, 5)
    ]
    difference = found.runs["5-votes, 5 votes"].from_first["total"]
    assert difference.value == pytest.approx(totals[1] - totals[0])
    assert found.differing


def test_a_fault_of_a_late_vote_leaves_the_points_before_it(data, tmp_path):
    def faulty(request):
        is_late = request.comparison.vote == 2 and "#0-0" in request.id
        return Generation(request.id, "", "error", error="boom") if is_late else drawn(request)

    result, _ = run_sweep(Axes(votes=(2, 3)), data, tmp_path / "run", faulty, "rm-bench")
    assert result.engine_errors == 2 * 6
    assert [(kind.reason, kind.count) for kind in result.results.faults] == [("boom", 12)]
    assert SweepResults.from_json(result.results.to_json()).faults == result.results.faults
    assert "failed requests: 12: boom" in sweep_report(result.results, "official").notes
    unjudged = [point.benchmarks["rm-bench"].judged.unjudged_pairs for point in result.results.points]
    assert unjudged == [0, 6]
    tables = list(sweep_tables(result.results, "official"))
    assert ("rm-bench", "votes 3: 6 comparisons are not judged; run the same command again") in tables[-1].rows


def test_limits_and_templates_have_runs_of_their_own(over_all, data, tmp_path):
    result, engine = over_all
    names = [f"{template}-{tokens}-tokens-3-votes" for template in ("cor", "cor-brief") for tokens in (64, 128)]
    assert sorted(path.name for path in result.run.iterdir() if path.is_dir()) == sorted(names)
    assert len(engine.asked) == 4 * (2 * 3 * 9 + 9) * 2 * 3
    assert [(point.run, point.votes) for point in result.results.points] == [
        (name, votes) for name in names for votes in (1, 3)
    ]
    settings = {"votes": 3, "max_tokens": 128, "template": "cor-brief"}
    separate = run_eval("rm-bench,rmb", data, drawn, tmp_path / "run", **settings)
    inside = result.run / names[-1]
    kept = EvalResults.from_json(json.loads((inside / "results.json").read_text()))
    assert kept == separate.results == score_run(inside)
    again = run_eval("rm-bench,rmb", data, None, inside, engine=FunctionEngine(None), **settings)
    assert again.results == separate.results


def test_templates_of_one_name_are_refused(data, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.txt").write_text(folder)
    axes = Axes(template=(str(tmp_path / "a" / "mine.txt"), str(tmp_path / "b" / "mine.txt")))
    with pytest.raises(ConfigError, match="give template files different names"):
        run_sweep(axes, data, tmp_path / "run")


def test_a_sweep_that_stopped_goes_on_and_shows_what_it_has(over_all, data, tmp_path):
    whole, engine = over_all
    axes = Axes(votes=(1, 3), max_tokens=(64, 128), template=("cor", "cor-brief"))
    answered = len(engine.asked) * 3 // 10

    def mortal(request):
        if len(dying.asked) > answered:
            raise EngineError("gone")
        return drawn(request)

    dying = FunctionEngine(mortal)
    with pytest.raises(EngineError, match="gone"):
        run_sweep(axes, data, tmp_path / "run", engine=dying)
    under_way = score_sweep(tmp_path / "run")
    assert under_way.points[0] == whole.results.points[0]
    assert under_way.points[-1].benchmarks == {}
    tables = list(sweep_tables(under_way, "strict"))
    assert tables[0].rows[-1][:4] == ("cor-brief", "128", "3", "not scored")
    place = "template cor-brief, max tokens 128, votes 3"
    assert ("all", f"{place}: not judged yet; run the same command again") in tables[-1].rows
    finished, living = run_sweep(axes, data, tmp_path / "run", protocol="strict")
    assert len(living.asked) == len(engine.asked) - answered
    for name in ("sweep.json", "sweep.html"):
        assert (finished.run / name).read_bytes() == (whole.run / name).read_bytes()


def test_tables_have_a_row_for_every_point(over_all):
    results = over_all[0].results
    rm_bench, rmb, qualifying = sweep_tables(results, "strict")
    assert rm_bench.title.startswith("rm-bench: total, protocol strict: right only if both orders")
    assert rmb.columns[:4] == ("template", "max tokens", "votes", "value")
    assert [row[:3] for row in rmb.rows] == [
        (template, tokens, votes) for template in ("cor", "cor-brief") for tokens in ("64", "128") for votes in "13"
    ]
    figure = results.points[1].benchmarks["rm-bench"].protocols["strict"].metrics["total"]
    assert rm_bench.rows[1][3:6] == (
        f"{100 * figure.value:.1f} %",
        f"{100 * figure.low:.1f} to {100 * figure.high:.1f}",
        "54",
    )
    assert rm_bench.rows[1][-1] == f"{2 * (10 + 20 + 30 + 3 * 64):,}"
    assert ("rm-bench", "not the whole benchmark: math: none of 529 items") in qualifying.rows


def test_csv_has_every_figure_of_every_protocol(over_votes):
    results = over_votes[0].results
    rows = list(csv.DictReader(sweep_csv(results).splitlines()))
    assert {row["votes"] for row in rows} == {"1", "2", "5"}
    assert {row["protocol"] for row in rows} == {"official", "rm-r1", "strict"}
    row = next(row for row in rows if (row["votes"], row["protocol"], row["name"]) == ("5", "rm-r1", "hard"))
    point = results.points[2]
    assert float(row["value"]) == point.benchmarks["rm-bench"].protocols["rm-r1"].metrics["hard"].value
    assert float(row["written_per_pair"]) == point.written_per_pair["rm-bench"]


def test_one_number_is_a_chart_with_a_line_for_each_benchmark(over_votes):
    by_votes, by_tokens = sweep_report(over_votes[0].results, "rm-r1").curves
    assert [series.name for series in by_votes.series] == ["rm-bench: total, rm-r1", "rmb: score, rm-r1"]
    assert [[x for x, _ in series.points] for series in by_votes.series] == [[1.0, 2.0, 5.0]] * 2
    point = over_votes[0].results.points[1]
    value = round(100 * point.benchmarks["rm-bench"].protocols["rm-r1"].metrics["total"].value, 1)
    assert by_votes.series[0].points[1] == (2.0, value)
    assert by_tokens.series[0].points[1] == (point.written_per_pair["rm-bench"], value)


def test_more_axes_are_a_chart_for_each_benchmark_with_a_line_for_each_place(over_all):
    curves = sweep_report(over_all[0].results, "strict").curves
    assert len(curves) == 2 * 3
    assert [series.name for series in curves[0].series] == [
        f"template {template}, max tokens {tokens}" for template in ("cor", "cor-brief") for tokens in (64, 128)
    ]
    assert [series.name for series in curves[2].series][:2] == ["template cor, votes 1", "template cor, votes 3"]
    assert [x for x, _ in curves[2].series[0].points] == [64.0, 128.0]


def test_templates_alone_are_points_over_tokens(data, tmp_path):
    result, _ = run_sweep(Axes(template=("cor", "cor-brief")), data, tmp_path / "run", names="rmb")
    assert result.results.judge.temperature == 0.0
    (curve,) = sweep_report(result.results, "official").curves
    assert [(series.name, len(series.points)) for series in curve.series] == [
        ("template cor", 1),
        ("template cor-brief", 1),
    ]


def test_the_page_is_whole_and_says_how_points_hang_together(over_votes):
    page = (over_votes[0].run / "sweep.html").read_text()
    tree = parse(page)
    assert len(tree.find("figure", class_="chart")) == 2
    assert "test/function by votes" in texts(tree.find("h1"))
    notes = " ".join(texts(tree.find("li")))
    assert (
        "count the first votes of the same completions, all sampled at temperature 1, also where one vote counts"
        in notes
    )
    assert not tree.find("script")
    targets = [node.attrs["href"] for node in tree.find("a", class_="skip")]
    assert targets == ["#breakdown"]
    assert tree.find("h2", id="breakdown")
    assert "http" not in page.replace("http-equiv", "")
