"""``rmr1 cache``: the answers that ``--cache`` keeps."""

from __future__ import annotations

import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rmr1.cli.options import OUTPUT
from rmr1.cli.streams import tell, write_json
from rmr1.engines import AnswerCache, answers_folder, clear_answers
from rmr1.errors import ConfigError
from rmr1.report.tables import Table, print_tables

_MB = 1 << 20
LIMITS = "Limits"


class Action(StrEnum):
    """What to do."""

    INFO = "info"
    PRUNE = "prune"
    CLEAR = "clear"


def tend_cache(
    action: Annotated[
        Action,
        typer.Argument(
            help="info: what it holds; prune: forget what is old or too much; clear: delete it.", show_default=False
        ),
    ],
    unused_days: Annotated[
        float | None,
        typer.Option(
            min=0, help="prune: forget answers not used for this many days.", rich_help_panel=LIMITS, metavar="X"
        ),
    ] = None,
    max_mb: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="prune: forget the least recently used until it is this small, in megabytes.",
            rich_help_panel=LIMITS,
            metavar="X",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="info: print one JSON object.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Show, shrink or delete the answers that --cache keeps."""
    if action is Action.PRUNE and unused_days is None and max_mb is None:
        raise ConfigError("rmr1 cache prune: say what to forget, with --unused-days 30 or --max-mb 500")
    if action is not Action.PRUNE and (unused_days is not None or max_mb is not None):
        raise ConfigError(f"rmr1 cache {action}: --unused-days and --max-mb are for prune")
    folder = answers_folder()
    if action is Action.CLEAR:
        tell(f"{folder}: {_size(clear_answers(folder))} deleted")
        return
    if not (folder / "answers.sqlite").is_file():
        tell(f"{folder}: no answers are kept yet; --cache keeps them")
        if as_json:
            write_json({"folder": str(folder), "bytes": 0, "models": []})
        return
    cache = AnswerCache(folder)
    try:
        if action is Action.PRUNE:
            forgotten = cache.prune(unused_days=unused_days, most_bytes=None if max_mb is None else int(max_mb * _MB))
            tell(f"{folder}: {forgotten:,} answers forgotten, {_size(cache.bytes)} left")
        else:
            _show(cache, folder, as_json=as_json)
    finally:
        cache.close()


def _show(cache: AnswerCache, folder: Path, *, as_json: bool) -> None:
    models = cache.by_model()
    if as_json:
        write_json({"folder": str(folder), "bytes": cache.bytes, "models": [asdict(one) for one in models]})
        return
    rows = tuple((one.model, f"{one.answers:,}", _size(one.bytes), f"{one.hits:,}") for one in models)
    print_tables(
        sys.stdout, iter([Table(f"{folder}: {_size(cache.bytes)}", ("model", "answers", "size", "used again"), rows)])
    )


def _size(size: int) -> str:
    return f"{size / _MB:,.1f} MB" if size >= _MB // 10 else f"{size:,} bytes"
