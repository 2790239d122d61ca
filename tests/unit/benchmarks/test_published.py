"""Published rows, and a run's own beside them."""

import csv
import json
from dataclasses import replace

import pytest

from rmr1.benchmarks import PUBLISHED, published_beside, published_rows
from rmr1.benchmarks.published import SLIP_NOTE, THREE
from rmr1.benchmarks.released import score_released
from rmr1.report.evaluation import result_tables, results_csv
from tests.support.benchmarks import by_gold, run_eval, write_rm_bench

DOMAINS = ("chat", "math", "code", "safety-refuse")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    data = write_rm_bench(folder / "RM-Bench", DOMAINS, 4)
    judge = by_gold(lambda pair_id, order: pair_id.endswith("0-2"))
    return run_eval("rm-bench", data, judge, folder / "run").results


def test_each_published_row_has_its_source_and_its_mean():
    """Means were printed from unrounded scores, so they may be a tenth off those of the printed ones."""
    assert len({row.model for row in PUBLISHED}) == len(PUBLISHED)
    for row in PUBLISHED:
        assert "arXiv" in row.source
        assert all(0.5 < score < 1 for score in row.scores.values())
        assert set(row.scores) <= set(THREE)
        if len(row.scores) == len(THREE):
            assert row.mean == pytest.approx(sum(row.scores.values()) / 3, abs=0.0011), row.model


def test_published_rows_are_those_of_the_benchmarks_asked_for():
    assert len(published_rows(["rewardbench"])) == 13
    assert len(published_rows(["rmb", "custom"])) == 9
    assert published_rows(["judgebench", "custom"]) == ()
    assert [row.model for row in published_rows(THREE)][-2:] == ["BR-RM-14B", "ReasonGRM-32B"]


def test_a_runs_own_rows_stand_beside_the_published_ones(results):
    beside = published_beside(results.benchmarks)
    assert results.published == beside
    scores = {row.protocol: row.scores["rm-bench"] for row in beside.own}
    protocols = results.benchmarks["rm-bench"].protocols
    assert scores == {name: protocols[name].metrics["total"].value for name in ("rm-r1", "official")}
    assert scores["rm-r1"] != scores["official"], "the slip shows"
    assert {row.source for row in beside.own} == {"this run; not the whole of rm-bench"}
    assert beside.notes[0] == SLIP_NOTE
    assert all(set(row.scores) == {"rm-bench"} and row.mean is None for row in beside.rows)


def test_published_rows_in_tables_and_csv(results):
    tables = {table.title: table for table in result_tables(results, "official")}
    table = next(table for title, table in tables.items() if title.startswith("Published"))
    assert table.columns == ("model", "rm-bench", "source")
    assert ("RM-R1-Qwen-Instruct-32B", "79.1", "RM-R1, arXiv 2505.02387") in table.rows
    assert [row[0] for row in table.rows[:2]] == ["this run, rm-r1", "this run, official"]
    rows = [row for row in csv.DictReader(results_csv(results).splitlines()) if row["kind"] == "published"]
    assert len(rows) == 9
    assert {row["benchmark"] for row in rows} == {"rm-bench"}
    assert json.loads(json.dumps(results.to_json()))["published"]["rows"]


def test_without_published_figures_nothing_is_shown(results):
    assert published_beside({"custom": results.benchmarks["rm-bench"]}) is None
    alone = replace(results, published=None)
    assert not [table for table in result_tables(alone, "official") if "ublished" in table.title]


def test_published_row_of_a_released_model_is_what_its_files_give(shared):
    """RM-Bench is 79.2 in the files of the instruct model, and 79.1 in the paper."""
    for folder, model in (
        ("RM-R1-DeepSeek-Distilled-Qwen-32B", "RM-R1-DeepSeek-Distilled-Qwen-32B"),
        ("RM-R1-Qwen2.5-Instruct-32B", "RM-R1-Qwen-Instruct-32B"),
    ):
        beside = score_released(shared / "published" / folder).published
        (own,) = beside.own
        row = next(row for row in beside.rows if row.model == model)
        assert own.source == "this run"
        assert own.mean == pytest.approx(row.mean, abs=0.0006)
        for name in THREE:
            assert own.scores[name] == pytest.approx(row.scores[name], abs=0.0015), name
