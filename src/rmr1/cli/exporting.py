"""``rmr1 report --format html``, ``leaderboard`` and ``inspect``: one run as a file, for a browser or another tool."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from rmr1.benchmarks import (
    Protocol,
    is_released,
    leaderboard_entry,
    leaderboard_text,
    score_released,
    score_run,
    write_evaluation_report,
    write_inspect_logs,
)
from rmr1.errors import ConfigError

EXPORTS = ("html", "leaderboard", "inspect")
"""Formats that are of one run, and may go to ``--out``."""


def export(form: str, runs: Sequence[Path], protocol: Protocol, out: Path | None, model: str | None) -> None:
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
        typer.echo(f"written: {target}", err=True)
        return
    if out is None:
        raise ConfigError("--format inspect: name the file with --out, such as --out judge.eval or --out judge.json")
    if is_released(runs[0]):
        raise ConfigError(f"{runs[0]}: released files do not hold the completions that a log of inspect_ai is made of")
    for path in write_inspect_logs(runs[0], out, protocol):
        typer.echo(f"written: {path}", err=True)


def _leaderboard(run: Path, protocol: Protocol, out: Path | None, model: str | None) -> None:
    if protocol != "official":
        raise ConfigError(f"--protocol {protocol}: the leaderboard's scores are of the protocol official")
    results: Mapping[str, Any] = score_released(run) if is_released(run) else score_run(run)
    text = leaderboard_text(leaderboard_entry(results, model))
    if out is None:
        sys.stdout.write(text)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    typer.echo(f"written: {out}", err=True)
