"""``rmr1 data``: make training data out of sources of pairs."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from rmr1.cli.stdin import spooled
from rmr1.report.console import print_data_summary


def data(
    sources: Annotated[
        list[str],
        typer.Argument(help="A recipe (.yaml, or a name such as paper-mix), or files, hf:OWNER/NAME, - for stdin."),
    ],
    out: Annotated[Path | None, typer.Option(help="Directory of the result; the same one resumes it.")] = None,
    size: Annotated[int | None, typer.Option(help="Pairs in all; whatever passes where not given.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of draws, splits and sides.")] = None,
    orders: Annotated[str | None, typer.Option(help="random, both or given: the sides of each pair.")] = None,
    difficulty: Annotated[
        Path | None,
        typer.Option(help="A run of 'rmr1 judge --votes K': keep what is judged right not always, not never."),
    ] = None,
    low: Annotated[float | None, typer.Option(help="The share of right completions lies above this.")] = None,
    high: Annotated[float | None, typer.Option(help="The share of right completions lies below this.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, such as splits.dev=0.1.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json in place of tables.")] = False,
) -> None:
    """Mix, screen and split preference pairs by a recipe; every row that was read is accounted for."""
    from rmr1.curation import curate, load_recipe, recipe_file

    flags: dict[str, Any] = {
        "size": size,
        "seed": seed,
        "orders": orders,
        "difficulty.run": None if difficulty is None else str(difficulty),
        "difficulty.low": low,
        "difficulty.high": high,
    }
    with ExitStack() as copies:
        recipe = recipe_file(sources)
        if recipe is None:
            flags["sources"] = [
                {"path": copies.enter_context(spooled(path)), **({"name": "stdin"} if path == "-" else {})}
                for path in sources
            ]
        result = curate(load_recipe(recipe, settings=settings or (), flags=flags), out=out, callbacks=_Callbacks())
    if as_json:
        sys.stdout.write(json.dumps(result.results.to_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        print_data_summary(sys.stdout, result.results)
    typer.echo(f"written: {', '.join(str(result.run / f'{name}.jsonl') for name in result.results.splits)}", err=True)


class _Callbacks:
    def say(self, message: str) -> None:
        typer.echo(message, err=True)
