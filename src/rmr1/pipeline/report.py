"""The report of a training: how the judge did at each point, and how it got there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmr1.judging import JudgeRunResult
from rmr1.report.charts import Curve, Series
from rmr1.report.console import interval, share
from rmr1.report.judge import headline, report_sample
from rmr1.report.samples import StagedSample
from rmr1.report.tables import Table
from rmr1.report.training import Stage, TrainingReport
from rmr1.runs import Journal

_SAMPLES = 100
_STEP = "optimiser step"
_SHARED = ("model", "template")
"""Keys at the top of a recipe that hold for all stages."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the judge was worth at one point of its training."""

    name: str
    result: JudgeRunResult


def training_report(
    title: str, recipe: Mapping[str, Any], metrics: Mapping[str, Path], evaluations: Sequence[Evaluation]
) -> TrainingReport:
    """Build the report.

    Args:
        title: Heading.
        recipe: What the recipe says, of which the short values are shown.
        metrics: ``metrics.jsonl`` of each stage, "sft" and "rl".
        evaluations: The same pairs judged at each point, in the order of the training; before it, perhaps the first of them only.
    """
    return TrainingReport(
        title=f"Training: {title}",
        facts=tuple((name, str(value)) for name, value in _facts(recipe)),
        stages=tuple(Stage(evaluation.name, headline(evaluation.result.results)) for evaluation in evaluations),
        curves=tuple(_curves(metrics)),
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
        ("Accuracy of single completions", *(share(result.vote_accuracy) for result in results)),
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


def _facts(recipe: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _facts(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float) and not (prefix and name in _SHARED):
            yield f"{prefix}{name}", value


def _curves(metrics: Mapping[str, Path]) -> Iterator[Curve]:
    for stage, file in metrics.items():
        with Journal(file) as journal:
            records = list(journal)
        steps = [record for record in records if record["kind"] == "step"]
        held = [record for record in records if record["kind"] == "held_out"]
        yield from (_sft_curves if stage == "sft" else _rl_curves)(steps, held)


def _sft_curves(steps: list[dict[str, Any]], held: list[dict[str, Any]]) -> Iterator[Curve]:
    yield Curve(
        "Stage 1: loss",
        "nats per token of the trace",
        _STEP,
        (_line("training", steps, "loss"), _line("held out", held, "loss")),
    )
    yield Curve(
        "Stage 1: verdict after the right reasoning",
        "share of right letters, teacher-forced",
        _STEP,
        (_line("held out", held, "accuracy"),),
    )


def _rl_curves(steps: list[dict[str, Any]], held: list[dict[str, Any]]) -> Iterator[Curve]:
    shares = ("accuracy", "position_consistency", "invalid", "zero_variance")
    yield Curve("Stage 2: reward", "mean of the rollouts", _STEP, (_line("training", steps, "reward"),))
    yield Curve(
        "Stage 2: rollouts",
        "share",
        _STEP,
        tuple(_line(name.replace("_", " "), steps, name) for name in shares),
    )
    if held:
        figures = ("accuracy", "position_consistency", "invalid")
        lines = tuple(_line(name.replace("_", " "), held, name) for name in figures)
        yield Curve("Stage 2: held-out pairs, greedy", "share", _STEP, lines)
    yield Curve("Stage 2: length", "tokens of a rollout", _STEP, (_line("training", steps, "completion_tokens"),))
    yield Curve("Stage 2: entropy", "nats per token", _STEP, (_line("training", steps, "entropy"),))
    if any(record["kl"] is not None for record in steps):
        yield Curve("Stage 2: divergence", "nats per token", _STEP, (_line("training", steps, "kl"),))


def _line(name: str, records: list[dict[str, Any]], field: str) -> Series:
    return Series(name, tuple((record["step"], record[field]) for record in records if record[field] is not None))


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
