"""Sweeps: the score at every point as tables, as CSV, and as an HTML page with line charts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmr1.report.charts import Curve, Series
from rmr1.report.evaluation import protocol_shown
from rmr1.report.page import render_page, write_page
from rmr1.report.tables import Table

AXES = {"template": "template", "max_tokens": "max tokens", "votes": "votes"}
"""The settings that a sweep may vary, and what their columns are called."""
_FIGURES = ("value", "95 %", "n", "invalid", "tokens written")
_CSV = ("value", "low", "high", "n", "clusters")
_NUMBERS = {"votes": "votes of each order", "max_tokens": "most tokens of a completion"}
_WRITTEN = "mean tokens written for a comparison"


@dataclass(frozen=True, slots=True)
class Score:
    """What is shown of a benchmark: the first figure of a protocol.

    Args:
        benchmark: Its name.
        protocol: The one that was asked for, or the first one that the benchmark has.
        figure: The figure's name.
        policy: The protocol in words.
    """

    benchmark: str
    protocol: str
    figure: str
    policy: str

    def of(self, point: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The figure with its interval at a point, or None where it is not scored there."""
        found = point["benchmarks"].get(self.benchmark, {"protocols": {}})
        figure: Mapping[str, Any] | None = (
            found["protocols"].get(self.protocol, {"metrics": {}})["metrics"].get(self.figure)
        )
        return figure


def scores(results: Mapping[str, Any], protocol: str) -> list[Score]:
    """What is shown of each benchmark that is scored at some point."""
    found: dict[str, Score] = {}
    for point in results["points"]:
        for name, benchmark in point["benchmarks"].items():
            blocks = benchmark["protocols"]
            shown = protocol_shown(benchmark, protocol)
            if shown is not None and blocks[shown]["metrics"]:
                figure = next(iter(blocks[shown]["metrics"]))
                found.setdefault(name, Score(name, shown, figure, blocks[shown]["policy"]))
    return list(found.values())


def place_text(results: Mapping[str, Any], point: Mapping[str, Any]) -> str:
    """A point by the settings that vary, such as ``max tokens 512, votes 4``."""
    return ", ".join(f"{AXES[axis]} {_text(point[axis])}" for axis in _axes(results))


def sweep_tables(results: Mapping[str, Any], protocol: str) -> Iterator[Table]:
    """Tables of a sweep: for each benchmark its score at every point, and what qualifies them.

    Args:
        results: As in ``sweep.json``.
        protocol: The protocol to show; where a benchmark has not got it, the first one that it has.
    """
    axes = _axes(results)
    for score in scores(results, protocol):
        title = f"{score.benchmark}: {score.figure}, protocol {score.protocol}: {score.policy}"
        rows = tuple((*(_text(point[axis]) for axis in axes), *_figures(score, point)) for point in results["points"])
        yield Table(title, (*(AXES[axis] for axis in axes), *_FIGURES), rows)
    qualifying = tuple(dict.fromkeys(_qualifying(results)))
    if qualifying:
        yield Table("What qualifies these figures", ("benchmark", "what"), qualifying)


def sweep_csv(results: Mapping[str, Any]) -> str:
    """Every figure of every protocol at every point, one a line, values as shares of 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*AXES, "benchmark", "protocol", "name", *_CSV, "invalid", "written_per_pair"))
    for point in results["points"]:
        for benchmark, found in point["benchmarks"].items():
            counts = (found["judged"]["invalid"]["share"], found["written_per_pair"])
            for protocol, block in found["protocols"].items():
                for name, figure in block["metrics"].items():
                    place = (point[axis] for axis in AXES)
                    writer.writerow((*place, benchmark, protocol, name, *(figure[key] for key in _CSV), *counts))
    return text.getvalue()


def _axes(results: Mapping[str, Any]) -> Sequence[str]:
    return [axis for axis in AXES if axis in results["axes"]] or ["votes"]


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _figures(score: Score, point: Mapping[str, Any]) -> tuple[str, ...]:
    figure = score.of(point)
    if figure is None:
        return "not scored", *[""] * (len(_FIGURES) - 1)
    found = point["benchmarks"][score.benchmark]
    return (
        f"{100 * figure['value']:.1f} %",
        f"{100 * figure['low']:.1f} to {100 * figure['high']:.1f}",
        str(figure["n"]),
        f"{100 * found['judged']['invalid']['share']:.1f} %",
        f"{found['written_per_pair']:,.0f}",
    )


def _qualifying(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "all", "tokens written: the mean over comparisons, of all completions of one"
    for point in results["points"]:
        if not point["benchmarks"]:
            yield "all", f"{place_text(results, point)}: not judged yet; run the same command again"
        for name, found in point["benchmarks"].items():
            for problem in found["data"]["problems"]:
                yield name, f"not the whole benchmark: {problem}"
            unjudged = found["judged"]["unjudged_pairs"]
            if unjudged:
                what = f"{unjudged} comparisons are not judged; run the same command again"
                yield name, f"{place_text(results, point)}: {what}"


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
