"""Two runs side by side: tables and CSV of their differences."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from rmr1.report.evaluation import _points
from rmr1.report.tables import Table
from rmr1.stats import FEWEST_CLUSTERS

TOO_FEW = f"n/a: some subset of the figure has fewer than {FEWEST_CLUSTERS} prompts, which is too few for an interval; judge more"
QUALIFYING = ("benchmark", "what")


def difference_tables(comparison: Mapping[str, Any], *, cells: bool = False, listed: int = 20) -> Iterator[Table]:
    """Tables of two runs: the differences, and the first comparisons on which they differ.

    Where the comparison is not paired, there are only differences, and what qualifies them.
    """
    if not comparison["paired"]:
        yield from unpaired_tables(comparison, cells=cells)
        return
    for name, found in comparison["benchmarks"].items():
        if "problem" in found:
            yield Table(name, ("figure", "difference"), (("nothing to compare", found["problem"]),))
            continue
        figures = dict(found["metrics"]) | (found["cells"] if cells else {})
        rows = tuple(
            (key, *difference_texts(figure), "n/a" if figure["p"] is None else f"{figure['p']:.3f}")
            for key, figure in figures.items()
        )
        title = (
            f"{name}, protocol {comparison['protocol']}: second less first, in points, on {found['pairs']} comparisons"
        )
        yield Table(title, ("figure", "difference", "95 %", "p"), rows)
        if any(figure["low"] is None for figure in figures.values()):
            yield Table(f"{name}: what qualifies these differences", ("what",), ((TOO_FEW,),))
        differing = found["differing"]
        shown = tuple((d["id"], d["subset"], f"{d['first']:g}", f"{d['second']:g}") for d in differing[:listed])
        heading = f"{name}: {len(differing)} comparisons differ" + (
            f", the first {listed}" if len(differing) > listed else ""
        )
        yield Table(heading, ("comparison", "subset", "first", "second"), shown)


def differences_csv(comparison: Mapping[str, Any]) -> str:
    """Every difference, one a line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("benchmark", "kind", "name", "difference", "low", "high", "p", "interval"))
    interval = "paired" if comparison["paired"] else "unpaired"
    for benchmark, found in comparison["benchmarks"].items():
        for kind, key in (("metric", "metrics"), ("cell", "cells")):
            for name, figure in found.get(key, {}).items():
                values = (figure[column] for column in ("value", "low", "high", "p"))
                writer.writerow((benchmark, kind, name, *values, "" if figure["low"] is None else interval))
    return text.getvalue()


def unpaired_tables(comparison: Mapping[str, Any], *, cells: bool = False) -> Iterator[Table]:
    """Tables of a comparison that knows figures only: both values, the difference, and what could not be compared."""
    for name, found in comparison["benchmarks"].items():
        if "problem" in found:
            yield Table(name, ("figure", "difference"), (("nothing to compare", found["problem"]),))
            continue
        figures = dict(found["metrics"]) | (found["cells"] if cells else {})
        rows = tuple((key, *_difference(figure)) for key, figure in figures.items())
        title = f"{name}, protocol {comparison['protocol']}: second less first, in points, unpaired"
        yield Table(title, ("figure", "first", "second", "difference", "95 %"), rows)
    yield Table("What qualifies these differences", QUALIFYING, tuple(_qualifying(comparison)))


def difference_texts(figure: Mapping[str, Any]) -> tuple[str, str]:
    """A difference and its interval, in points."""
    low, high = figure["low"], figure["high"]
    return _signed(figure["value"]), "n/a" if low is None else f"{_signed(low)} to {_signed(high)}"


def _signed(value: float) -> str:
    return f"{round(100 * value, 1) + 0.0:+.1f}"  # adding 0 makes 0 of -0


def _difference(figure: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return _points(figure["first"]), _points(figure["second"]), *difference_texts(figure)


def _qualifying(comparison: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from (("all", note) for note in comparison["notes"])
    for name, found in comparison["benchmarks"].items():
        yield from ((name, note) for note in found.get("notes", ()))
    yield from ((name, f"not compared: {reason}") for name, reason in comparison["not_compared"].items())
