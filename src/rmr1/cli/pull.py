"""``rmr1 pull``: fetch a model of the catalogue."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rmr1.cli.options import OUTPUT
from rmr1.cli.streams import tell
from rmr1.errors import ModelNotFoundError, did_you_mean
from rmr1.models import cached_file, find_model, load_catalogue, pull


def pull_model(
    name: Annotated[str, typer.Argument(help="A name in the catalogue.", show_default=False)] = "",
    list_all: Annotated[bool, typer.Option("--list", help="List the catalogue.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Fetch a model's file into the cache, verify it, and print its path."""
    if list_all:
        for entry in load_catalogue().values():
            where = "cached" if cached_file(entry) else "to pull" if entry.file else "needs a GPU server"
            template = (
                f"{entry.template}{f' ({entry.exact_template} for exact parity)' if entry.exact_template else ''}"
            )
            sys.stdout.write(
                f"{entry.name}\t{entry.hub.repository}\t{entry.licence}\tcontext {entry.context}\t"
                f"template {template}\tthink {entry.think}\t{where}\n"
            )
        return
    if not name:
        raise typer.BadParameter(
            'name a model, or pass --list to see them; for example "rmr1 pull smollm2-135m-instruct"'
        )
    wanted = find_model(name)
    if wanted is None:
        near = did_you_mean(name, load_catalogue())
        raise ModelNotFoundError(
            f'"{name}" is not in the catalogue; its models are {", ".join(load_catalogue())}{near}'
        )
    sys.stdout.write(f"{pull(wanted, tell)}\n")
