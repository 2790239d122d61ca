"""``rmr1 quickstart``: a small model judges, learns to judge on this machine, and judges again."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Annotated

import typer

from rmr1.cli.judge import JudgeOutput, RunDirectoryOption, judge_and_print
from rmr1.cli.options import DATA, RUN
from rmr1.cli.streams import tell
from rmr1.config import JudgeConfig, find_recipe, load_config
from rmr1.judging import PairTask
from rmr1.models import find_model, pull

_MODEL = "smollm2-135m-instruct"
_RECIPE = "smollm2-135m-cpu"


def show_quickstart(
    judge_only: Annotated[
        bool,
        typer.Option("--judge-only", help="Do not train: judge 40 pairs with the model as it is.", rich_help_panel=RUN),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Judge at most N pairs each time.", rich_help_panel=DATA, metavar="N")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any key of the training recipe as KEY=VALUE; repeat it for several.",
            rich_help_panel=RUN,
            metavar="KEY=VALUE",
        ),
    ] = None,
    run: RunDirectoryOption = None,
) -> None:
    """Fetch a small model and teach it to judge on this machine's CPU; judge before and after, then a pair of your own."""
    entry = find_model(_MODEL)
    assert entry is not None
    tell(f"model: {pull(entry, tell)}")
    if not judge_only:
        from rmr1.cli.train import train_and_print

        recipe = find_recipe("train", _RECIPE)
        train_and_print(recipe, settings or (), {"evaluation.limit": limit}, run, ask_for_a_pair=True)
        return
    config = load_config(
        JudgeConfig, arguments={"model": f"llamacpp/{_MODEL}", "constrain": True, "max_tokens": 240}, environment={}
    )
    with as_file(files("rmr1.data") / "starter_pairs.jsonl") as pairs:
        judge_and_print(PairTask(str(pairs), limit=limit), config, JudgeOutput(show=3))
