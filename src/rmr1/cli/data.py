"""``rmr1 data``: make training data out of sources of pairs."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from rmr1.cli.options import OUTPUT, RUN, Layers, takes_config
from rmr1.cli.streams import spooled, tell, write_json
from rmr1.curation import DataRecipe, curate, load_recipe, recipe_file
from rmr1.report.console import print_data_summary


class _DataProgress:
    def say(self, message: str) -> None:
        tell(message)


@takes_config(DataRecipe, file=None)
def make_data(
    layers: Layers[DataRecipe],
    sources: Annotated[
        list[str],
        typer.Argument(help="A recipe (.yaml, or a name such as paper-mix); or files, hf:OWNER/NAME, - for stdin."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Directory of the result; the same one resumes it.", rich_help_panel=RUN, metavar="PATH"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print results.json instead of tables.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Mix, screen and split preference pairs by a recipe; every row that was read is accounted for."""
    flags = dict(layers.flags)
    with ExitStack() as copies:
        recipe = recipe_file(sources)
        if recipe is None:
            flags["sources"] = [
                {"path": copies.enter_context(spooled(path)), **({"name": "stdin"} if path == "-" else {})}
                for path in sources
            ]
        loaded = load_recipe(recipe, settings=layers.settings, flags=flags, options=layers.options)
        result = curate(loaded, out=out, callbacks=_DataProgress())
    if as_json:
        write_json(result.results.to_json())
    else:
        print_data_summary(sys.stdout, result.results)
    tell(f"written: {', '.join(str(result.run / f'{name}.jsonl') for name in result.results.splits)}")
