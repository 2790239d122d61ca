"""The HTML reports: one run of a judge, an evaluation on benchmarks, a training with the judge at each of its stages."""

from __future__ import annotations

from pathlib import Path

from rmr1.report.eval_report import EvalReport
from rmr1.report.judge_report import JudgeReport
from rmr1.report.page import render_page, write_page
from rmr1.report.sample_filters import categories, change_choices, outcome_choices
from rmr1.report.sample_pack import BLOCK, pack_samples
from rmr1.report.stages import stage_cards
from rmr1.report.training_report import TrainingReport

SCRIPT = "samples.js"


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


def render_eval_report(report: EvalReport) -> str:
    """Return the report as one HTML document; equal reports give equal text. The samples are packed, see ``sample_pack``."""
    samples = pack_samples(report.samples)
    return render_page(
        "eval_report.html.j2",
        ("page.css", "charts.css", "evaluation.css"),
        "packed_samples.js" if samples.listed else None,
        report=report,
        samples=samples,
        block=BLOCK,
        filters=outcome_choices(samples.listed),
        categories=categories(samples.listed),
    )


def write_eval_report(report: EvalReport, path: Path) -> None:
    """Write the report to ``path``, whole or not at all: readers see the old file until the new one is complete."""
    write_page(render_eval_report(report), path)


def render_training_report(report: TrainingReport) -> str:
    """Return the report as one HTML document; equal reports give equal text."""
    outcomes = [sample.last for sample in report.samples]
    return render_page(
        "training_report.html.j2",
        ("page.css", "charts.css", "training.css"),
        SCRIPT if report.samples else None,
        report=report,
        cards=stage_cards(report.stages),
        filters=(*change_choices(report.samples), *outcome_choices(outcomes)),
        categories=categories(outcomes),
    )


def write_training_report(report: TrainingReport, path: Path) -> None:
    """Write the report to ``path``, whole or not at all: readers see the old file until the new one is complete."""
    write_page(render_training_report(report), path)
