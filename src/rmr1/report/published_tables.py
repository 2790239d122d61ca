"""Tables of published figures beside a run's own, and of comparisons with released ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rmr1.report.judge_report import Table

QUALIFYING = ("benchmark", "what")


def published_tables(published: Mapping[str, Any]) -> Iterator[Table]:
    """The table of published rows and of the run's own, and what qualifies them; see ``published_table``."""
    yield published_table(published)
    yield Table("What qualifies the published rows", ("what",), tuple((note,) for note in published["notes"]))


def published_table(published: Mapping[str, Any]) -> Table:
    """The published rows below the run's own.

    Args:
        published: ``benchmarks``: those to show; ``own`` and ``rows``: each row with ``model``, ``scores`` by benchmark, ``mean``,
            ``source``; ``notes``: texts.
    """
    names, found = tuple(published["benchmarks"]), [*published["own"], *published["rows"]]
    with_mean = any(row["mean"] is not None for row in found)
    rows = tuple(
        (
            row["model"],
            *(_points(row["scores"].get(name)) for name in names),
            *((_points(row["mean"]),) if with_mean else ()),
            row["source"],
        )
        for row in found
    )
    columns = ("model", *names, *(("mean",) if with_mean else ()), "source")
    return Table("Published, RM-R1's rows by the rm-r1 protocol; marked with their source", columns, rows)


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


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"
