"""``rmr1 report``: score a run again, or set two runs side by side."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rmr1.benchmarks import (
    PROTOCOLS,
    Protocol,
    compare_runs,
    is_released,
    is_sweep,
    published_beside,
    score_released,
    score_run,
    score_sweep,
)
from rmr1.cli.exporting import EXPORTS, export
from rmr1.errors import ConfigError
from rmr1.report.comparison import difference_tables, differences_csv
from rmr1.report.evaluation import result_tables, results_csv
from rmr1.report.sweep import sweep_csv, sweep_tables
from rmr1.report.tables import Table, markdown, print_tables

FORMATS = ("text", "markdown", "json", "csv", *EXPORTS)


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="A run or a sweep of rmr1 eval, or a folder of released logs; or two runs.")
    ],
    protocol: Annotated[str, typer.Option(help="official, rm-r1 or strict.")] = "official",
    form: Annotated[
        str, typer.Option("--format", help="text, markdown, json, csv, html, leaderboard or inspect.")
    ] = "text",
    cells: Annotated[bool, typer.Option("--cells", help="Also every subset, or pair of styles.")] = False,
    votes: Annotated[
        str | None, typer.Option(help="Count the first K votes of each order: K, or one for each run.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File for html, leaderboard or inspect; .eval or .json for inspect.")
    ] = None,
    model_name: Annotated[str | None, typer.Option(help="ORG/MODEL in the leaderboard's file.")] = None,
) -> None:
    """Score a run of rmr1 eval again, without judging; or compare two: differences, intervals, and where they differ.

    Format html writes its page; leaderboard and inspect write it for RewardBench's leaderboard and for inspect_ai.
    """
    shown = checked_protocol(protocol)
    if form not in FORMATS:
        raise ConfigError(f"--format {form}: unknown; the formats are {', '.join(FORMATS)}")
    if form in EXPORTS:
        if votes:
            raise ConfigError(f"--format {form}: has all votes of a run; leave out --votes {votes}")
        export(form, runs, shown, out, model_name)
        return
    if out or model_name:
        raise ConfigError(f"--format {form}: --out and --model-name belong to the formats {', '.join(EXPORTS)}")
    if len(runs) > 2:
        raise ConfigError(f"{len(runs)} runs: one is reported, two are compared; name one or two")
    counted = _numbers(votes)
    if len(runs) == 2:
        first, second = _votes(counted, 2)
        comparison = compare_runs(runs[0], runs[1], shown, (first, second))
        _write(form, comparison, lambda: difference_tables(comparison, cells=cells), differences_csv)
        return
    if is_sweep(runs[0]):
        points = score_sweep(runs[0], counted)
        _write(form, points, lambda: sweep_tables(points, shown), sweep_csv)
        return
    results = _results(runs[0], *_votes(counted, 1))
    if published := published_beside(results):
        results["published"] = published
    _write(form, results, lambda: result_tables(results, shown, cells=cells), results_csv)


def _results(run: Path, votes: int | None) -> dict[str, Any]:
    if not is_released(run):
        return score_run(run, votes)
    if votes is not None:
        raise ConfigError(f"--votes {votes}: {run} holds released figures, without votes that could be counted")
    return score_released(run)


def _numbers(votes: str | None) -> tuple[int, ...]:
    try:
        return tuple(map(int, votes.split(","))) if votes else ()
    except ValueError as error:
        raise ConfigError(f"--votes {votes}: expected whole numbers, such as 4 or 1,4") from error


def _votes(counted: tuple[int, ...], runs: int) -> tuple[int | None, ...]:
    """The number of votes for each run; one number is for all of them."""
    if len(counted) not in (0, 1, runs):
        raise ConfigError(
            f"--votes: {len(counted)} numbers for {runs} run{'s' * (runs > 1)}; give one, or one for each"
        )
    return counted * runs if len(counted) == 1 else counted or (None,) * runs


def checked_protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        ConfigError: There is no such protocol.
    """
    for protocol in PROTOCOLS:
        if protocol == name:
            return protocol
    raise ConfigError(f"--protocol {name}: unknown; the protocols are {', '.join(PROTOCOLS)}")


def _write(
    form: str, content: Mapping[str, Any], tables: Callable[[], Iterator[Table]], as_csv: Callable[[Any], str]
) -> None:
    if form == "text":
        print_tables(sys.stdout, tables())
    elif form == "markdown":
        sys.stdout.write(markdown(tables()))
    elif form == "json":
        sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(as_csv(content))
