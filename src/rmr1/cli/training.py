"""What the training verbs share: run a recipe, print how the judge did, let the user try it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import typer

from rmr1.cli.judging import JudgingOutput
from rmr1.cli.own_pair import own_pair
from rmr1.judging import Judge
from rmr1.pipeline import TrainRecipe, TrainResult, load_train_recipe, train
from rmr1.pipeline.report import comparison_table
from rmr1.report.console import print_judgment, print_summary
from rmr1.report.progress import JudgingProgress, RewardProgress, TrainingProgress


class _Callbacks:
    """Prints stages with the time so far."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, message: str) -> None:
        typer.echo(message, err=True)

    def stage(self, name: str) -> None:
        minutes, seconds = divmod(round(time.monotonic() - self._began), 60)
        self.say(f"[{minutes}:{seconds:02d}] {name}")

    def distilling(self) -> AbstractContextManager[JudgingProgress]:
        return JudgingProgress(doing="traces")

    def judging(self) -> AbstractContextManager[JudgingOutput]:
        return JudgingOutput()

    def fine_tuning(self) -> AbstractContextManager[TrainingProgress]:
        return TrainingProgress("SFT")

    def optimising(self) -> AbstractContextManager[RewardProgress]:
        return RewardProgress("GRPO")


def train_and_print(
    file: Path, settings: Iterable[str], flags: Mapping[str, Any], run: Path | None, *, ask_for_a_pair: bool
) -> None:
    """Train by a recipe, print the evaluations side by side, and judge a pair of the user's own."""
    recipe = load_train_recipe(file, settings=settings, flags=flags)
    result = train(recipe, _Callbacks(), name=file.stem, run=run)
    table = comparison_table(result.evaluations)
    for evaluation in result.evaluations:
        pair, judgment = evaluation.result.first[0]
        sys.stdout.write(f"{evaluation.name}\n")
        print_judgment(sys.stdout, pair, judgment)
    rows = ((row[0], "  ->  ".join(row[1:])) for row in table.rows)
    print_summary(sys.stdout, rows, {})
    typer.echo(f"model: {result.model}\nreport: {result.run / 'report.html'}", err=True)
    if ask_for_a_pair:
        _judge_own_pair(recipe, result)


def _judge_own_pair(recipe: TrainRecipe, result: TrainResult) -> None:
    pair = own_pair()
    if pair is None:
        return
    settings = recipe.evaluation.judge.model_dump(exclude={"model"}, exclude_none=True)
    with Judge(f"hf/{result.model}", **settings) as judge:
        print_judgment(sys.stdout, pair, next(iter(judge.compare_many([pair]))))
