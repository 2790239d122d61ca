"""The stages of a training side by side: each metric over all stages, each completion of a pair over all stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rmr1.records import Order
from rmr1.report.figures import MISSING, Bar, bars, figure, interval
from rmr1.report.judge_report import Metric, SampleVote
from rmr1.report.training_report import Stage, StagedSample


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


@dataclass(frozen=True, slots=True)
class VoteRow:
    """One completion of a pair over its stages; None where a stage did not ask for it."""

    order: Order
    vote: int
    cells: tuple[tuple[str, SampleVote | None], ...]


def stage_cards(stages: Sequence[Stage]) -> tuple[StageCard, ...]:
    """The metrics of all stages, each in the place where it first occurs."""
    found = [{(metric.name, metric.unit): metric for metric in stage.metrics} for stage in stages]
    keys = dict.fromkeys(key for metrics in found for key in metrics)
    return tuple(_card(key[0], stages, [metrics.get(key) for metrics in found]) for key in keys)


def vote_rows(sample: StagedSample) -> tuple[VoteRow, ...]:
    """The completions of a pair, so that those of one order and number stand beside each other."""
    votes = [(stage, {(vote.order, vote.vote): vote for vote in judged.votes}) for stage, judged in sample.stages]
    keys = dict.fromkeys(key for _, by_key in votes for key in by_key)
    return tuple(VoteRow(*key, tuple((stage, by_key.get(key)) for stage, by_key in votes)) for key in keys)


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
