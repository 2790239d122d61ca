"""``rmr1 quickstart``: a small model judges, learns to judge on this machine, and judges again."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from rmr1.cli.judging import Output, run_and_print
from rmr1.config import JudgeConfig, find_recipe, load_config
from rmr1.judging import PairTask
from rmr1.models import find_model, pull

_MODEL = "smollm2-135m-instruct"
_RECIPE = "smollm2-135m-cpu"


def quickstart(
    judge_only: Annotated[
        bool, typer.Option("--judge-only", help="Do not train: judge 40 pairs with the model as it is.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Judge N pairs at most, at each point.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE of the training recipe.")] = None,
    run: Annotated[Path | None, typer.Option(help="Directory of the training; the same one resumes it.")] = None,
) -> None:
    """Fetch a small model and teach it to judge on this machine's CPU; judged before and after, then a pair of your own."""
    entry = find_model(_MODEL)
    assert entry is not None
    typer.echo(f"model: {pull(entry, lambda message: typer.echo(message, err=True))}", err=True)
    if not judge_only:
        from rmr1.cli.training import train_and_print

        recipe = find_recipe("train", _RECIPE)
        train_and_print(recipe, settings or (), {"evaluation.limit": limit}, run, ask_for_a_pair=True)
        return
    config = load_config(
        JudgeConfig, flags={"model": f"llamacpp/{_MODEL}", "constrain": True, "max_tokens": 240}, environment={}
    )
    with as_file(files("rmr1.data") / "starter_pairs.jsonl") as pairs:
        run_and_print(PairTask(str(pairs), limit=limit), config, Output(show=3))
