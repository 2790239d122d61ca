"""The HTML page of a sweep: its scores as line charts, with the tables beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmr1.report.judge_report import Table
from rmr1.report.page import render_page, write_page
from rmr1.report.sweep_tables import AXES, Score, scores, sweep_tables
from rmr1.report.training_report import Curve, Series

_NUMBERS = {"votes": "votes of each order", "max_tokens": "most tokens of a completion"}
_WRITTEN = "mean tokens written for a comparison"


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What the page of a sweep says.

    Args:
        title: Heading of the page.
        facts: Names and values of what all points share.
        curves: The scores over each number that varies, and over the tokens written.
        tables: The scores of all points.
        notes: What a reader has to know to read the figures rightly.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    curves: tuple[Curve, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


def write_sweep_page(results: Mapping[str, Any], protocol: str, path: Path) -> None:
    """Write the page of a sweep to ``path``, whole or not at all.

    Args:
        results: As in ``sweep.json``.
        protocol: The protocol to show; where a benchmark has not got it, the first one that it has.
        path: Where to.
    """
    report = sweep_report(results, protocol)
    write_page(render_page("sweep.html.j2", ("page.css", "charts.css"), None, report=report), path)


def sweep_report(results: Mapping[str, Any], protocol: str) -> SweepReport:
    """Make the page's content of the results."""
    first = results["points"][0]
    fixed = {AXES[axis]: first[axis] for axis in AXES if axis not in results["axes"]}
    varied = ", ".join(AXES[axis] for axis in AXES if axis in results["axes"])
    facts = {**results["judge"], **fixed, "protocol": protocol}
    return SweepReport(
        f"{results['judge']['engine']} by {varied}",
        tuple((name, str(value)) for name, value in facts.items()),
        tuple(_curves(results, scores(results, protocol))),
        tuple(sweep_tables(results, protocol)),
        tuple(_notes(results)),
    )


def _curves(results: Mapping[str, Any], shown: list[Score]) -> Iterator[Curve]:
    numbers = [axis for axis in _NUMBERS if axis in results["axes"]]
    for axis in numbers:
        yield from _charts(results, shown, axis, axis, _NUMBERS[axis])
    yield from _charts(results, shown, numbers[0] if numbers else None, None, _WRITTEN)


def _charts(
    results: Mapping[str, Any], shown: list[Score], along: str | None, x_axis: str | None, x_label: str
) -> Iterator[Curve]:
    """Charts with lines along an axis: one with a line for each benchmark, or one for each where other axes make more lines.

    ``x_axis`` is the setting that the horizontal axis shows, or None for the tokens written.
    """
    others = [axis for axis in AXES if axis in results["axes"] and axis != along]
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for point in results["points"]:
        lines.setdefault(", ".join(f"{AXES[axis]} {point[axis]}" for axis in others), []).append(point)
    if others:
        for score in shown:
            series = tuple(Series(name, _points(score, points, x_axis)) for name, points in lines.items())
            yield Curve(
                f"{score.benchmark} by {x_label}", f"{score.figure}, protocol {score.protocol}, %", x_label, series
            )
    elif shown:
        series = tuple(
            Series(f"{score.benchmark}: {score.figure}, {score.protocol}", _points(score, results["points"], x_axis))
            for score in shown
        )
        yield Curve(f"Score by {x_label}", "score, %", x_label, series)


def _points(
    score: Score, points: list[Mapping[str, Any]], x_axis: str | None
) -> tuple[tuple[float, float | None], ...]:
    found = []
    for point in points:
        figure = score.of(point)
        if figure is not None:
            x = point["benchmarks"][score.benchmark]["written_per_pair"] if x_axis is None else point[x_axis]
            found.append((float(x), round(100 * figure["value"], 1)))
    return tuple(found)


def _notes(results: Mapping[str, Any]) -> Iterator[str]:
    yield "Intervals are of single points. For the difference of two points, compare their runs with rmr1 report."
    if "votes" in results["axes"]:
        yield (
            "Points that differ in votes alone count the first votes of the same completions, all sampled at temperature "
            f"{results['judge']['temperature']:g}, also where one vote counts."
        )
        yield "An even number of votes can be divided evenly, which most benchmarks count as not right."
