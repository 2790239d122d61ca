"""``rmr1 rl``: train a judge on the correctness of its verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rmr1.cli.options import DATA, Layers, takes_config
from rmr1.cli.sft import TrainingRunDirectory, print_training
from rmr1.config import RlConfig
from rmr1.report.progress import RewardProgress
from rmr1.training import train_rl


@takes_config(RlConfig, recipes="rl")
def reinforce(
    layers: Layers[RlConfig],
    data: Annotated[
        Path, typer.Option(help="Labelled pairs: any file that rmr1 judge reads.", rich_help_panel=DATA, metavar="PATH")
    ],
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="Pairs to evaluate on; a share of --data if not given.", rich_help_panel=DATA, metavar="PATH"
        ),
    ] = None,
    run: TrainingRunDirectory = None,
) -> None:
    """Train a judge by reinforcement learning: correct verdicts are rewarded. Prints results as JSON; the same command resumes."""
    config = layers.load()
    with RewardProgress("GRPO") as progress:
        result = train_rl(data, config, held_out=held_out, run=run, callbacks=progress)
    print_training(result)
