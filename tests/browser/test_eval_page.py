"""The page of an evaluation in a real browser: nothing loads, nothing complains, filters and search find what they should."""

import time

import pytest

from rmr1.report.evaluation import EvalReport, write_eval_report
from rmr1.report.figures import Metric
from tests.support.browser import open_page
from tests.support.reports import HOSTILE, make_sample, make_vote, say

STATUSES = ("right", "wrong", "tie", "invalid")
COUNT = 10_000
OPENS_IN = 3.0


def samples(count):
    words = "the quick brown fox jumps over the lazy dog while the judge writes its rubric and weighs both answers"
    for number in range(count):
        text = f"{words} {number} " * 12
        yield make_sample(
            id=f"pair-{number}",
            category=f"subset {number % 5}",
            status=STATUSES[number % 4],
            position_consistent=number % 4 != 2,
            prompt=say(f"question {number}. {text}", "user"),
            response_a=say(HOSTILE if number == 7 else text),
            votes=(make_vote(text=f"{text} [[A]]"), make_vote(order="ba", text="needle" if number == 4321 else text)),
        )


def write(path, count):
    report = EvalReport(
        title="A judge on a benchmark",
        facts=(("engine", "test"),),
        headline=(Metric("Bench", 0.7, 0.6, 0.8, "score", "share"),),
        published=None,
        benchmarks=(),
        samples=samples(count),
        samples_total=count,
        no_samples="none",
        notes=("a note",),
    )
    write_eval_report(report, path)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write(tmp_path_factory.mktemp("page") / "report.html", 240)


def shown(page):
    return page.locator(".sample").count()


def said(page):
    return page.locator("#count").text_content()


def wait_for(page, text):
    page.wait_for_function("text => document.getElementById('count').textContent === text", arg=text)


def test_pages_filters_and_links(small):
    with open_page(small) as page:
        wait_for(page, "240 of 240 match")
        assert shown(page) == 100
        page.get_by_role("button", name="Next").click()
        assert page.locator("#range").text_content() == "101 to 200"
        page.locator("label", has_text="wrong").click()
        wait_for(page, "60 of 240 match")
        assert shown(page) == 60
        page.select_option("#category", "subset 1")
        wait_for(page, "12 of 240 match")
        page.evaluate("location.hash = '#sample-150'")
        page.wait_for_function("() => document.getElementById('sample-150')?.open")
        page.locator("#sample-150 .vote").first.wait_for()
        assert "question 149." in page.locator("#sample-150").text_content()


def test_search_finds_what_a_judge_wrote_and_opens_it(small):
    with open_page(small) as page:
        page.fill("#search", "QUESTION 17.")
        wait_for(page, "1 of 240 match")
        page.locator(".sample > summary").click()
        page.locator(".sample .vote").first.wait_for()
        assert page.locator(".sample .vote").count() == 2
        page.fill("#search", "nowhere in it")
        wait_for(page, "0 of 240 match")
        assert page.locator("#none").is_visible()


def test_hostile_text_is_shown_as_text(small):
    with open_page(small) as page:
        page.evaluate("location.hash = '#sample-8'")
        page.locator("#sample-8 .response").first.wait_for()
        assert HOSTILE.split("\u2028")[0] in page.locator("#sample-8 .response").first.text_content()
        assert page.locator("#sample-8 img").count() == 0


@pytest.mark.slow
def test_ten_thousand_samples_open_at_once_and_are_searched(tmp_path):
    path = write(tmp_path / "report.html", COUNT)
    with open_page(path, fresh=True) as page:
        began = time.monotonic()
        page.goto(path.as_uri())
        wait_for(page, "10,000 of 10,000 match")
        seconds = time.monotonic() - began
        page.fill("#search", "needle")
        wait_for(page, "1 of 10,000 match")
        assert "pair-4321" in page.locator(".sample").text_content()
    assert seconds < 4 * OPENS_IN  # far above what it takes; a page that needs more has lost its packing
