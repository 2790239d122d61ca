"""The page of an evaluation: what it says, where its texts come from, and that none of them can break out."""

import re
import shutil

import pytest

from rmr1.benchmarks import evaluation_report, score_run, write_evaluation_report
from rmr1.benchmarks.report import shares
from rmr1.errors import RunError
from rmr1.judging import TEXTS
from rmr1.report.evaluation import render_eval_report
from tests.support.benchmarks import by_gold, run_eval, write_rm_bench
from tests.support.html_tree import parse, texts
from tests.support.packed import packed_rows

DOMAINS = ("chat", "code")


def decided(pair_id, order):
    """Right in every other prompt, biased in every fifth, without a verdict in every seventh."""
    number = int(pair_id.rpartition("#")[0].rpartition("/")[2])
    return None if number % 7 == 6 else order == "ab" if number % 5 == 4 else number % 2 == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    data = write_rm_bench(folder / "RM-Bench", DOMAINS)
    run_eval("rm-bench", data, by_gold(decided), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def page(run):
    return parse(render_eval_report(evaluation_report(run, "official")))


def test_the_score_on_the_page_is_that_of_the_results(run, page):
    total = score_run(run).benchmarks["rm-bench"].protocols["official"].metrics["total"]
    (card,) = page.find("li", class_="card")
    words = texts(card.find("p"))
    assert texts(card.find("h3")) == ["RM-Bench"]
    assert words[0] == f"{100 * total.value:.1f} %"
    assert words[1] == f"95 % interval {100 * total.low:.1f} % to {100 * total.high:.1f} %"
    assert words[2] == (f"total, protocol official (not the whole benchmark); n = {total.n}, {total.clusters} prompts")


def test_every_figure_and_subset_is_a_bar(run, page):
    found = score_run(run).benchmarks["rm-bench"].protocols["official"]
    names = texts(page.find("span", class_="bar-name"))
    assert {*found.metrics, *found.cells} <= set(names)
    assert {"strict", "rm-r1", "the better response is longer", "the orders agree"} <= set(names)


def test_what_is_missing_is_said(page):
    assert any("math: none of 529" in text for text in texts(page.find("p", class_="remark")))


def test_a_protocol_that_is_not_there_gives_way_and_the_page_says_so(run):
    report = evaluation_report(run, "strict")
    assert report.headline[0].note.startswith("total, protocol strict")
    assert report.benchmarks[0].title == "RM-Bench, protocol strict"


def test_all_comparisons_are_listed_with_their_outcomes(page):
    index, rows = packed_rows(page)
    assert len(index) == len(rows) == 2 * 10 * 9
    outcomes = ("right", "wrong", "tie", "invalid", "inconsistent")
    counts = {name: sum(name in str(row[0]).split() for row in index) for name in outcomes}
    assert counts == {"right": 2 * 3 * 9, "wrong": 2 * 4 * 9, "tie": 2 * 2 * 9, "invalid": 2 * 9, "inconsistent": 36}
    labels = {
        re.sub(r"\s*[\d,]+$", "", text): int(text.rsplit(None, 1)[1])
        for text in texts(page.find("div", class_="choices")[0].find("label"))
    }
    assert labels == {"all": 180, "right": 54, "wrong": 72, "tie": 36, "inconsistent": 36, "invalid": 18}


def test_a_sample_has_its_prompt_both_responses_and_both_completions(page):
    index, rows = packed_rows(page)
    place = next(number for number, row in enumerate(index) if "chat_filtered/0#0-1" in str(row[2]))
    body = parse(str(rows[place][0]))
    assert "chat 0" in texts(body.find("div", class_="box"))[0]
    responses = texts(body.find("section", class_="response"))
    assert "good 0" in responses[0]
    assert "labelled better" in responses[0]
    assert "bad 1" in responses[1]
    votes = body.find("details", class_="vote")
    assert [texts(vote.find("h5"))[0] for vote in votes] == ["Order ab, vote 0", "Order ba, vote 0"]
    assert all("<answer>" in vote.text for vote in votes)


def test_the_page_is_written_again_from_the_run_alone(run, tmp_path):
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    write_evaluation_report(run, first, "official")
    write_evaluation_report(run, second, "official")
    assert first.read_bytes() == second.read_bytes()


def test_a_page_holds_at_most_a_number_of_comparisons_and_says_so(run):
    report = evaluation_report(run, "official", most=25)
    page = parse(render_eval_report(report))
    assert len(packed_rows(page)[0]) == 25
    assert any("25 of the 180 comparisons" in text for text in texts(page.find("p", class_="lead")))


def test_a_run_without_texts_has_its_figures_and_says_what_is_lacking(run, tmp_path):
    old = tmp_path / "run"
    shutil.copytree(run, old)
    (old / "rm-bench" / TEXTS).unlink()
    page = parse(render_eval_report(evaluation_report(old, "official")))
    assert page.find("li", class_="card")
    assert any("does not hold the texts" in text for text in texts(page.find("p", class_="empty")))
    assert not [node for node in page.find("script") if "type" not in node.attrs]


def test_what_is_no_run_of_an_evaluation_is_refused(tmp_path):
    with pytest.raises(RunError, match="not a run directory"):
        evaluation_report(tmp_path, "official")


@pytest.mark.parametrize(
    ("sizes", "most", "wanted"),
    [
        ([10, 10], 100, [10, 10]),
        ([10, 100, 100], 110, [10, 50, 50]),
        ([100], 7, [7]),
        ([0, 5], 4, [0, 4]),
        ([3, 3, 3], 2, [0, 1, 1]),
        ([], 5, []),
    ],
)
def test_benchmarks_share_the_room_on_the_page(sizes, most, wanted):
    assert shares(sizes, most) == wanted
