"""``rmr1 doctor``: what is wrong with a set-up, and how to fix it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rmr1.cli.options import OUTPUT, Layers, takes_config
from rmr1.cli.streams import write_json
from rmr1.config import JudgeConfig
from rmr1.doctor import examine
from rmr1.report.console import print_examination
from rmr1.report.progress import ExaminationProgress

_OWN = ("model", "votes", "temperature", "orders", "logprobs")
"""Keys that the examination sets itself."""


@takes_config(JudgeConfig, without=_OWN)
def examine_setup(
    layers: Layers[JudgeConfig],
    model: Annotated[str, typer.Argument(help="ENGINE/MODEL, a name of the catalogue, or a path.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Find out what is wrong with a model and its settings, each finding with its fix. Code 1 if something must be fixed."""
    config = layers.load({"model": model})
    with ExaminationProgress() as progress:
        results = examine(model, config, callbacks=progress)
    if as_json:
        write_json(results.to_json())
    else:
        print_examination(sys.stdout, results)
    if results.has_failures:
        raise typer.Exit(1)
