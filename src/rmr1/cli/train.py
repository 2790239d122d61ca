"""``rmr1 train``: a whole recipe, from data to an evaluated judge."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from rmr1.cli.judge import PrintingProgress, RunDirectoryOption
from rmr1.cli.options import DATA, OUTPUT, RUN
from rmr1.cli.streams import spooled, tell
from rmr1.config import find_recipe
from rmr1.data import load_pairs
from rmr1.judging import Judge
from rmr1.pipeline import TrainRecipe, TrainResult, load_train_recipe, train
from rmr1.pipeline.report import comparison_table
from rmr1.records import Message, PreferencePair
from rmr1.report.console import print_judgment, print_summary
from rmr1.report.progress import JudgingProgress, RewardProgress, TrainingProgress


def train_by_recipe(
    recipe: Annotated[str, typer.Argument(help="A recipe by name, or a YAML file.")],
    limit: Annotated[
        int | None, typer.Option(min=1, help="Evaluate on the first N pairs only.", rich_help_panel=DATA, metavar="N")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any key of the recipe as KEY=VALUE, such as rl.max_steps=20; repeat it for several.",
            rich_help_panel=RUN,
            metavar="KEY=VALUE",
        ),
    ] = None,
    run: RunDirectoryOption = None,
    try_it: Annotated[
        bool, typer.Option("--try", help="Judge a pair of your own at the end.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Data, traces, fine-tuning, reinforcement learning and evaluation as one resumable run with a report."""
    train_and_print(
        find_recipe("train", recipe), settings or (), {"evaluation.limit": limit}, run, ask_for_a_pair=try_it
    )


class _StageProgress:
    """Prints stages with the time so far."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, message: str) -> None:
        tell(message)

    def stage(self, name: str) -> None:
        minutes, seconds = divmod(round(time.monotonic() - self._began), 60)
        self.say(f"[{minutes}:{seconds:02d}] {name}")

    def distilling(self) -> AbstractContextManager[JudgingProgress]:
        return JudgingProgress(doing="traces")

    def judging(self) -> AbstractContextManager[PrintingProgress]:
        return PrintingProgress()

    def fine_tuning(self) -> AbstractContextManager[TrainingProgress]:
        return TrainingProgress("SFT")

    def optimising(self) -> AbstractContextManager[RewardProgress]:
        return RewardProgress("GRPO")


def train_and_print(
    file: Path, settings: Iterable[str], flags: Mapping[str, object], run: Path | None, *, ask_for_a_pair: bool
) -> None:
    """Train by a recipe, print the evaluations side by side, and judge a pair of the user's own."""
    recipe = load_train_recipe(file, settings=settings, flags=flags)
    result = train(recipe, name=file.stem, run=run, callbacks=_StageProgress())
    table = comparison_table(result.evaluations)
    for evaluation in result.evaluations:
        pair, judgment = evaluation.result.first[0]
        sys.stdout.write(f"{evaluation.name}\n")
        print_judgment(sys.stdout, pair, judgment)
    rows = ((row[0], "  ->  ".join(row[1:])) for row in table.rows)
    print_summary(sys.stdout, rows)
    tell(f"model: {result.model}\nreport: {result.run / 'report.html'}")
    if ask_for_a_pair:
        _judge_own_pair(recipe, result)


def _judge_own_pair(recipe: TrainRecipe, result: TrainResult) -> None:
    pair = own_pair()
    if pair is None:
        return
    settings = recipe.evaluation.judge.model_dump(exclude={"model"}, exclude_none=True)
    with Judge(f"hf/{result.model}", **settings) as judge:
        print_judgment(sys.stdout, pair, next(iter(judge.compare_many([pair]))))


def own_pair() -> PreferencePair | None:
    """Ask at a terminal for a prompt and two responses; elsewhere read the first pair of standard input.

    Returns:
        The pair, or None if the user gave none.

    Raises:
        DataError: Standard input holds something else than pairs.
    """
    return _typed() if sys.stdin.isatty() else _piped()


def _typed() -> PreferencePair | None:
    tell("Now a pair of your own (an empty line to leave).")
    texts = []
    for name in ("prompt", "response A", "response B"):
        sys.stderr.write(f"{name}: ")
        sys.stderr.flush()
        text = sys.stdin.readline().strip()
        if not text:
            return None
        texts.append(text)
    prompt, a, b = texts
    return PreferencePair("yours", (Message("user", prompt),), (Message("assistant", a),), (Message("assistant", b),))


def _piped() -> PreferencePair | None:
    with spooled("-") as path:
        if not Path(path).read_bytes().strip():
            return None
        return next(iter(load_pairs(path, name="standard input", advice="correct the row")), None)
