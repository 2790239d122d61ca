"""``rmr1 train``: a whole recipe, from data to an evaluated judge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rmr1.cli.training import train_and_print
from rmr1.config import find_recipe


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe by name, or a YAML file.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Evaluate on the first N pairs only.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the recipe, such as grpo.max_steps=20.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Directory of the run; the same one resumes it.")] = None,
    try_it: Annotated[bool, typer.Option("--try", help="Judge a pair of your own at the end.")] = False,
) -> None:
    """Data, traces, fine-tuning, reinforcement learning and evaluation as one resumable run with a report."""
    train_and_print(
        find_recipe("train", recipe), settings or (), {"evaluation.limit": limit}, run, ask_for_a_pair=try_it
    )
