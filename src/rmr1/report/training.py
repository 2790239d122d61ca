"""The HTML report of a training: the judge at each stage, curves, and pairs judged at several stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rmr1.report.charts import Curve
from rmr1.report.figures import MISSING, Bar, Metric, bars, figure, interval
from rmr1.report.judge import SCRIPT
from rmr1.report.page import render_page, write_page
from rmr1.report.samples import (
    StagedSample,
    categories,
    change_choices,
    outcome_choices,
)
from rmr1.report.tables import Table


@dataclass(frozen=True, slots=True)
class Stage:
    """A point of the training at which the judge was evaluated.

    Args:
        name: Such as "before training" or "after SFT".
        metrics: What was measured there. Metrics of one name and unit are drawn together over all stages.

    Raises:
        ValueError: A metric occurs twice.
    """

    name: str
    metrics: tuple[Metric, ...]

    def __post_init__(self) -> None:
        names = [metric.name for metric in self.metrics]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"stage {self.name!r}: metric {name!r} occurs twice; give each metric a name of its own"
                )


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What the report of a training says.

    Args:
        title: Heading of the page.
        facts: Names and values that describe the run: model, data, seed, settings, command.
        stages: The evaluations, in the order of the training.
        curves: What was measured while training.
        tables: Breakdowns.
        samples: Pairs judged at each stage; a few hundred at most make a page that opens quickly.
        notes: What a reader has to know to read the figures rightly.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    stages: tuple[Stage, ...]
    curves: tuple[Curve, ...]
    tables: tuple[Table, ...]
    samples: tuple[StagedSample, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageFigure:
    """A metric at one stage, in words and drawn; ``figure`` is "n/a" where it was not measured."""

    stage: str
    figure: str
    interval: str
    bar: Bar | None


@dataclass(frozen=True, slots=True)
class StageCard:
    """A metric over all stages, on one scale. ``ticks`` is None where nothing is drawn."""

    name: str
    figures: tuple[StageFigure, ...]
    ticks: Bar | None
    notes: tuple[str, ...]


def stage_cards(stages: Sequence[Stage]) -> tuple[StageCard, ...]:
    """The metrics of all stages, each in the place where it first occurs."""
    found = [{(metric.name, metric.unit): metric for metric in stage.metrics} for stage in stages]
    keys = dict.fromkeys(key for metrics in found for key in metrics)
    return tuple(_card(key[0], stages, [metrics.get(key) for metrics in found]) for key in keys)


def _card(name: str, stages: Sequence[Stage], metrics: Sequence[Metric | None]) -> StageCard:
    drawn = bars(metrics)
    figures = tuple(
        StageFigure(
            stage.name,
            figure(metric.value, metric.unit) if metric else MISSING,
            interval(metric) if metric else "",
            bar,
        )
        for stage, metric, bar in zip(stages, metrics, drawn, strict=True)
    )
    notes = dict.fromkeys(metric.note for metric in metrics if metric and metric.note)
    return StageCard(name, figures, next(filter(None, drawn), None), tuple(notes))


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
