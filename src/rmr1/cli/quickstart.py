"""``rmr1 quickstart``: a small model judges the pairs that ship with the package."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Annotated

import typer

from rmr1.catalogue import find_model, pull
from rmr1.cli.judging import Output, run_and_print
from rmr1.config import JudgeConfig, load_config
from rmr1.judging import JudgeTask

_MODEL = "smollm2-135m-instruct"


def quickstart(
    limit: Annotated[int | None, typer.Option(min=1, help="Judge the first N pairs only.")] = None,
) -> None:
    """Fetch a small model and let it judge 40 pairs on this machine's CPU, with its reasons on the screen."""
    entry = find_model(_MODEL)
    assert entry is not None
    typer.echo(f"model: {pull(entry, lambda message: typer.echo(message, err=True))}", err=True)
    flags = {"model": f"llamacpp/{_MODEL}", "constrain": True, "max_tokens": 240}
    config = load_config(JudgeConfig, flags=flags, environment={})
    with as_file(files("rmr1.data") / "starter_pairs.jsonl") as pairs:
        run_and_print(JudgeTask(str(pairs), limit=limit), config, Output(show=3))
