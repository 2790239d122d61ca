"""The HTML report of a run of a judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rmr1.report.figures import Metric
from rmr1.report.page import render_page, write_page
from rmr1.report.samples import Sample, categories, outcome_choices
from rmr1.report.tables import Table

SCRIPT = "samples.js"


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """What a judge report says.

    Args:
        title: Heading of the page.
        facts: Names and values that describe the run: model, template and its hash, data, seed, orders, votes, command.
        headline: The figures that matter most.
        tables: Breakdowns of them.
        samples: The judged pairs to list; a few hundred at most make a page that opens quickly.
        samples_total: How many pairs the run has judged; the page says so where it lists fewer.
        notes: What a reader has to know to read the figures rightly.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    headline: tuple[Metric, ...]
    tables: tuple[Table, ...]
    samples: tuple[Sample, ...]
    samples_total: int
    notes: tuple[str, ...]


def render_judge_report(report: JudgeReport) -> str:
    """Return the report as one HTML document; equal reports give equal text."""
    return render_page(
        "judge_report.html.j2",
        ("page.css",),
        SCRIPT if report.samples else None,
        report=report,
        filters=outcome_choices(report.samples),
        categories=categories(report.samples),
    )


def write_judge_report(report: JudgeReport, path: Path) -> None:
    """Write the report to ``path``, whole or not at all: readers see the old file until the new one is complete."""
    write_page(render_judge_report(report), path)
