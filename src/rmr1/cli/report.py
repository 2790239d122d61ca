"""``rmr1 report``: score a run again, or write it for a browser or another tool."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from rmr1.benchmarks import (
    PROTOCOLS,
    Protocol,
    is_released,
    is_sweep,
    leaderboard_entry,
    leaderboard_text,
    score_released,
    score_run,
    score_sweep,
    write_evaluation_report,
    write_inspect_logs,
)
from rmr1.cli.options import OUTPUT
from rmr1.cli.streams import tell, write_json
from rmr1.errors import ConfigError, did_you_mean
from rmr1.files import write_text
from rmr1.report.evaluation import result_tables, results_csv
from rmr1.report.sweep import sweep_csv, sweep_tables
from rmr1.report.tables import Table, markdown, print_tables
from rmr1.results import EvalResults, SweepResults

EXPORTS = ("html", "leaderboard", "inspect")
"""Formats that are of one run, and may go to ``--out``."""
FORMATS = ("text", "markdown", "json", "csv", *EXPORTS)

ProtocolOption = Annotated[
    str,
    typer.Option(
        help="Protocol whose scores are shown; all are kept.",
        rich_help_panel=OUTPUT,
        metavar="|".join(PROTOCOLS),
    ),
]
VotesOption = Annotated[
    str | None,
    typer.Option(
        help="Count only the first K votes of each order: K, or one number for each run.",
        rich_help_panel=OUTPUT,
        metavar="K,...",
    ),
]


def report_runs(
    runs: Annotated[list[Path], typer.Argument(help="A run or a sweep of rmr1 eval, or a folder of released logs.")],
    protocol: ProtocolOption = "official",
    form: Annotated[
        str, typer.Option("--format", help="Format of the report.", rich_help_panel=OUTPUT, metavar="|".join(FORMATS))
    ] = "text",
    cells: Annotated[
        bool, typer.Option("--cells", help="Also every subset, or pair of styles.", rich_help_panel=OUTPUT)
    ] = False,
    votes: VotesOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for html, leaderboard or inspect; .eval or .json for inspect.",
            rich_help_panel=OUTPUT,
            metavar="PATH",
        ),
    ] = None,
    model_name: Annotated[
        str | None,
        typer.Option(help="Model's name in the leaderboard's file.", rich_help_panel=OUTPUT, metavar="ORG/MODEL"),
    ] = None,
) -> None:
    """Score a run of rmr1 eval again, without judging.

    Format html writes its page; leaderboard and inspect write it for RewardBench's leaderboard and for inspect_ai.
    """
    shown = checked_protocol(protocol)
    if form not in FORMATS:
        raise ConfigError(
            f"--format {form}: unknown; the formats are {', '.join(FORMATS)}{did_you_mean(form, FORMATS)}"
        )
    if form in EXPORTS:
        if votes:
            raise ConfigError(f"--format {form}: has all votes of a run; leave out --votes {votes}")
        _export(form, runs, shown, out, model_name)
        return
    if out or model_name:
        raise ConfigError(f"--format {form}: --out and --model-name belong to the formats {', '.join(EXPORTS)}")
    if len(runs) > 1:
        raise ConfigError(f"{len(runs)} runs: one is reported; rmr1 compare sets any number side by side")
    counted = numbers_of(votes, None if is_sweep(runs[0]) else 1)
    if is_sweep(runs[0]):
        points = score_sweep(runs[0], counted)
        _write(form, points, lambda: sweep_tables(points, shown), sweep_csv)
        return
    results = _results(runs[0], next(iter(counted), None))
    _write(form, results, lambda: result_tables(results, shown, cells=cells), results_csv)


def _results(run: Path, votes: int | None) -> EvalResults:
    if not is_released(run):
        return score_run(run, votes)
    if votes is not None:
        raise ConfigError(f"--votes {votes}: {run} holds released figures, without votes that could be counted")
    return score_released(run)


def numbers_of(votes: str | None, runs: int | None) -> tuple[int, ...]:
    """The number of votes to count of each run; none for all votes. One number is for all of them.

    Args:
        votes: As given on the command line.
        runs: How many runs there are; any number will do where None.

    Raises:
        ConfigError: They are no numbers, or not one for each run.
    """
    try:
        counted = tuple(map(int, votes.split(","))) if votes else ()
    except ValueError as error:
        raise ConfigError(f"--votes {votes}: expected whole numbers, such as 4 or 1,4") from error
    if runs is None:
        return counted
    if len(counted) not in (0, 1, runs):
        raise ConfigError(
            f"--votes: {len(counted)} numbers for {runs} run{'s' * (runs > 1)}; give one, or one for each"
        )
    return counted * runs if len(counted) == 1 else counted


def checked_protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        ConfigError: There is no such protocol.
    """
    for protocol in PROTOCOLS:
        if protocol == name:
            return protocol
    raise ConfigError(
        f"--protocol {name}: unknown; the protocols are {', '.join(PROTOCOLS)}{did_you_mean(name, PROTOCOLS)}"
    )


Content = TypeVar("Content", EvalResults, SweepResults)


def _write(
    form: str, content: Content, tables: Callable[[], Iterator[Table]], as_csv: Callable[[Content], str]
) -> None:
    if form == "text":
        print_tables(sys.stdout, tables())
    elif form == "markdown":
        sys.stdout.write(markdown(tables()))
    elif form == "json":
        write_json(content.to_json())
    else:
        sys.stdout.write(as_csv(content))


def _export(form: str, runs: Sequence[Path], protocol: Protocol, out: Path | None, model: str | None) -> None:
    """Write one run in a format of ``EXPORTS``, and say on stderr where.

    Without ``out``, the leaderboard's goes to stdout and the page into the run's directory.

    Raises:
        ConfigError: Not one run, or an option that the format cannot do with or without.
        RunError: The run does not hold what the format needs.
    """
    if len(runs) != 1:
        raise ConfigError(f"--format {form}: {len(runs)} runs; it is of one")
    if form == "leaderboard":
        _leaderboard(runs[0], protocol, out, model)
        return
    if form == "html":
        target = out or runs[0] / "report.html"
        write_evaluation_report(runs[0], target, protocol)
        tell(f"written: {target}")
        return
    if out is None:
        raise ConfigError("--format inspect: name the file with --out, such as --out judge.eval or --out judge.json")
    if is_released(runs[0]):
        raise ConfigError(f"{runs[0]}: released files do not hold the completions that a log of inspect_ai is made of")
    for path in write_inspect_logs(runs[0], out, protocol):
        tell(f"written: {path}")


def _leaderboard(run: Path, protocol: Protocol, out: Path | None, model: str | None) -> None:
    if protocol != "official":
        raise ConfigError(f"--protocol {protocol}: the leaderboard's scores are of the protocol official")
    results = score_released(run) if is_released(run) else score_run(run)
    text = leaderboard_text(leaderboard_entry(results, model))
    if out is None:
        sys.stdout.write(text)
        return
    write_text(out, text)
    tell(f"written: {out}")
