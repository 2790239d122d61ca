"""The report of a training: how the judge did at each point, and how it got there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rmr1.judging import JudgeRunResult
from rmr1.pipeline.recipe import TrainRecipe
from rmr1.report.charts import Curve, Series
from rmr1.report.judge import headline, report_sample
from rmr1.report.pairs import interval, share
from rmr1.report.samples import StagedSample
from rmr1.report.tables import Table, fact_text
from rmr1.report.training import Stage, TrainingReport
from rmr1.results import (
    RlEvalMetrics,
    RlStepMetrics,
    SftEvalMetrics,
    SftStepMetrics,
    TrainingMetrics,
    read_metrics,
)
from rmr1.runs import read_journal

_SAMPLES = 100
_STEP = "optimiser step"
_SHARED = ("model", "template")
"""Keys at the top of a recipe that hold for all stages."""
MetricsT = TypeVar("MetricsT", bound=TrainingMetrics)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the judge was worth at one point of its training."""

    name: str
    result: JudgeRunResult


def training_report(title: str, recipe: TrainRecipe, run: Path, evaluations: Sequence[Evaluation]) -> TrainingReport:
    """Build the report.

    Args:
        title: Heading.
        recipe: What was trained, of which the short values are shown.
        run: The training's directory, with the runs of its stages.
        evaluations: The same pairs judged at each point, in the order of the training; before it, perhaps the first of them only.
    """
    return TrainingReport(
        title=f"Training: {title}",
        facts=tuple(_facts(recipe.model_dump(mode="json", exclude_unset=True))),
        stages=tuple(Stage(evaluation.name, headline(evaluation.result.results)) for evaluation in evaluations),
        curves=(
            *(_sft_curves(run / "sft" / "metrics.jsonl") if recipe.sft is not None else ()),
            *(_rl_curves(run / "rl" / "metrics.jsonl") if recipe.rl is not None else ()),
        ),
        tables=(comparison_table(evaluations),),
        samples=tuple(_staged(evaluations)),
        notes=(
            _judged([evaluation.result.results.pairs for evaluation in evaluations]),
            f"The first {_SAMPLES} of them are listed at most.",
            "Ties, disagreement of the two orders among them, and pairs without a valid verdict count as wrong.",
            "Intervals are 95 % Wilson intervals; pairs that share a prompt count as one cluster.",
        ),
    )


def comparison_table(evaluations: Sequence[Evaluation]) -> Table:
    """The figures of all evaluations side by side."""
    results = [evaluation.result.results for evaluation in evaluations]
    rows = [
        ("Accuracy, both orders", *(interval(result.accuracy) for result in results)),
        ("Accuracy of single completions", *(interval(result.vote_accuracy) for result in results)),
        ("Position consistency", *(interval(result.position_consistency) for result in results)),
        ("Invalid verdicts", *(share(result.invalid.share) for result in results)),
    ]
    for category in results[-1].by_category:
        row = (interval(result.by_category.get(category)) for result in results)
        rows.append((f"Accuracy, {category or 'no category'}", *row))
    return Table("Before and after", ("Figure", *(evaluation.name for evaluation in evaluations)), tuple(rows))


def _judged(pairs: Sequence[int]) -> str:
    said = f"Every evaluation judges the same {pairs[-1]} held-out pairs, in both orders; no prompt of theirs was trained on."
    return f"{said} The one before training judges the first {pairs[0]} of them." if pairs[0] < pairs[-1] else said


def _facts(recipe: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _facts(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float) and not (prefix and name in _SHARED):
            yield f"{prefix}{name}", fact_text(value)


def _sft_curves(file: Path) -> Iterator[Curve]:
    steps, held = _metrics(file, SftStepMetrics), _metrics(file, SftEvalMetrics)
    losses = _line("training", steps, lambda step: step.loss), _line("held out", held, lambda metrics: metrics.loss)
    yield Curve("Stage 1: loss", "nats per token of the trace", _STEP, losses)
    yield Curve(
        "Stage 1: verdict after the right reasoning",
        "share of right letters, teacher-forced",
        _STEP,
        (_line("held out", held, lambda metrics: metrics.accuracy),),
    )


def _rl_curves(file: Path) -> Iterator[Curve]:
    steps, held = _metrics(file, RlStepMetrics), _metrics(file, RlEvalMetrics)

    def of_training(title: str, unit: str, figure: Callable[[RlStepMetrics], float | None]) -> Curve:
        return Curve(title, unit, _STEP, (_line("training", steps, figure),))

    yield of_training("Stage 2: reward", "mean of the rollouts", lambda step: step.reward)
    yield Curve(
        "Stage 2: rollouts",
        "share",
        _STEP,
        (
            _line("accuracy", steps, lambda step: step.accuracy),
            _line("position consistency", steps, lambda step: step.position_consistency),
            _line("invalid", steps, lambda step: step.invalid),
            _line("zero variance", steps, lambda step: step.zero_variance),
        ),
    )
    if held:
        lines = (
            _line("accuracy", held, lambda metrics: metrics.accuracy),
            _line("position consistency", held, lambda metrics: metrics.position_consistency),
            _line("invalid", held, lambda metrics: metrics.invalid),
        )
        yield Curve("Stage 2: held-out pairs, greedy", "share", _STEP, lines)
    yield of_training("Stage 2: length", "tokens of a rollout", lambda step: step.completion_tokens)
    yield of_training("Stage 2: entropy", "nats per token", lambda step: step.entropy)
    if any(step.kl is not None for step in steps):
        yield of_training("Stage 2: divergence", "nats per token", lambda step: step.kl)


def _metrics(file: Path, kind: type[MetricsT]) -> list[MetricsT]:
    return read_metrics((line.record for line in read_journal(file.parent, file.name)), kind)


def _line(name: str, metrics: Sequence[MetricsT], figure: Callable[[MetricsT], float | None]) -> Series:
    points = ((each.step, figure(each)) for each in metrics)
    return Series(name, tuple((step, value) for step, value in points if value is not None))


def _staged(evaluations: Sequence[Evaluation]) -> Iterator[StagedSample]:
    by_stage = [
        {pair.id: report_sample(pair, judgment) for pair, judgment in evaluation.result.first}
        for evaluation in evaluations
    ]
    names = [evaluation.name for evaluation in evaluations]
    for pair_id in list(by_stage[-1])[:_SAMPLES]:
        yield StagedSample(
            tuple((name, samples[pair_id]) for name, samples in zip(names, by_stage, strict=True) if pair_id in samples)
        )
