"""``rmr1 sft``: fine-tune a judge on traces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rmr1.cli.options import DATA, RUN, Layers, takes_config
from rmr1.cli.streams import tell, write_json
from rmr1.config import SftConfig
from rmr1.report.progress import TrainingProgress
from rmr1.results import RlResults, SftResults
from rmr1.training import TrainingResult, train_sft

TrainingRunDirectory = Annotated[
    Path | None,
    typer.Option(
        "--run",
        "--run-directory",
        help="Directory of the run; the same one resumes it.",
        rich_help_panel=RUN,
        metavar="PATH",
    ),
]


@takes_config(SftConfig, recipes="sft")
def fine_tune(
    layers: Layers[SftConfig],
    data: Annotated[
        Path, typer.Option(help="Traces: traces.jsonl of rmr1 distill.", rich_help_panel=DATA, metavar="PATH")
    ],
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="Traces to evaluate on; a share of --data if not given.", rich_help_panel=DATA, metavar="PATH"
        ),
    ] = None,
    run: TrainingRunDirectory = None,
) -> None:
    """Fine-tune a judge on traces, evaluated on held-out traces. Prints its results as JSON; the same command resumes."""
    config = layers.load()
    with TrainingProgress("SFT") as progress:
        result = train_sft(data, config, held_out=held_out, run=run, callbacks=progress)
    print_training(result)


def print_training(result: TrainingResult[SftResults] | TrainingResult[RlResults]) -> None:
    """Print where the model is, and the results."""
    if result.concluded is None:  # one of several processes that train together, and not the first
        return
    tell(f"model: {result.model}")
    write_json({"run": str(result.run), "model": str(result.model), **result.concluded.to_json()}, indent=None)
