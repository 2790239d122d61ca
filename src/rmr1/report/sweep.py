"""Sweeps: the score at every point as tables, as CSV, and as an HTML page with line charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rmr1.report.charts import Curve, Series
from rmr1.report.console import trouble_rows
from rmr1.report.evaluation import setting_facts
from rmr1.report.page import render_page, write_page
from rmr1.report.pairs import spending_rows
from rmr1.report.tables import Table, csv_text, figure_cells, percent
from rmr1.results import Figure, SweepPoint, SweepResults

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
        protocol: The wanted one, or the first one that the benchmark has.
        figure: The figure's name.
        policy: The protocol in words.
    """

    benchmark: str
    protocol: str
    figure: str
    policy: str

    def of(self, point: SweepPoint) -> Figure | None:
        """The figure with its interval at a point, or None where it is not scored there."""
        found = point.benchmarks.get(self.benchmark)
        scores = found.protocols.get(self.protocol) if found else None
        return scores.metrics.get(self.figure) if scores else None


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


def write_sweep_page(results: SweepResults, protocol: str, path: Path) -> None:
    """Write the page of a sweep to ``path``, whole or not at all.

    Args:
        results: Of the sweep.
        protocol: The protocol to show; where a benchmark does not have it, the first one that it has.
        path: Where to.
    """
    report = sweep_report(results, protocol)
    write_page(render_page("sweep.html.j2", ("page.css", "charts.css"), None, report=report), path)


def sweep_report(results: SweepResults, protocol: str) -> SweepReport:
    """Make the page's content of the results."""
    first = results.points[0]
    fixed = tuple((AXES[axis], _value(first, axis)) for axis in AXES if axis not in results.axes)
    varied = ", ".join(AXES[axis] for axis in AXES if axis in results.axes)
    return SweepReport(
        f"{results.judge.engine} by {varied}",
        (*setting_facts(results.judge), *fixed, ("protocol", protocol)),
        tuple(_curves(results, scores(results, protocol))),
        tuple(sweep_tables(results, protocol)),
        tuple(_notes(results)),
    )


def scores(results: SweepResults, protocol: str) -> list[Score]:
    """What is shown of each benchmark that is scored at some point."""
    found: dict[str, Score] = {}
    for point in results.points:
        for name, benchmark in point.benchmarks.items():
            shown = benchmark.shown(protocol)
            headline = benchmark.protocols[shown].headline if shown else None
            if shown and headline:
                found.setdefault(name, Score(name, shown, headline[0], benchmark.protocols[shown].policy))
    return list(found.values())


def place_text(results: SweepResults, point: SweepPoint) -> str:
    """A point by the settings that vary, such as ``max tokens 512, votes 4``."""
    return ", ".join(f"{AXES[axis]} {_value(point, axis)}" for axis in _axes(results))


def sweep_tables(results: SweepResults, protocol: str) -> Iterator[Table]:
    """Tables of a sweep: for each benchmark its score at every point, and what qualifies them.

    Args:
        results: Of the sweep.
        protocol: The protocol to show; where a benchmark does not have it, the first one that it has.
    """
    axes = _axes(results)
    for score in scores(results, protocol):
        title = f"{score.benchmark}: {score.figure}, protocol {score.protocol}: {score.policy}"
        rows = tuple((*(_value(point, axis) for axis in axes), *_figures(score, point)) for point in results.points)
        yield Table(title, (*(AXES[axis] for axis in axes), *_FIGURES), rows)
    qualifying = tuple(dict.fromkeys(_qualifying(results)))
    if qualifying:
        yield Table("What qualifies these figures", ("benchmark", "what"), qualifying)
    if spent := tuple(spending_rows(results.spending)):
        yield Table("Budget", ("what", "value"), spent)


def sweep_csv(results: SweepResults) -> str:
    """Every figure of every protocol at every point, one a line, values as shares of 1."""
    columns = (*AXES, "benchmark", "protocol", "name", *_CSV, "invalid", "written_per_pair")
    return csv_text(columns, _csv_rows(results))


def _csv_rows(results: SweepResults) -> Iterator[tuple[object, ...]]:
    for point in results.points:
        place = (point.template, point.max_tokens, point.votes)
        for benchmark, found in point.benchmarks.items():
            invalid = found.judged.invalid.share if found.judged else None
            counts = (invalid, point.written_per_pair.get(benchmark))
            for protocol, block in found.protocols.items():
                for name, one in block.metrics.items():
                    values = (one.value, one.low, one.high, one.n, one.clusters)
                    yield (*place, benchmark, protocol, name, *values, *counts)


def _axes(results: SweepResults) -> Sequence[str]:
    return [axis for axis in AXES if axis in results.axes] or ["votes"]


def _value(point: SweepPoint, axis: str) -> str:
    """A setting of a point in words."""
    return point.template if axis == "template" else f"{_number(point, axis):,}"


def _number(point: SweepPoint, axis: str) -> int:
    return point.votes if axis == "votes" else point.max_tokens


def _figures(score: Score, point: SweepPoint) -> tuple[str, ...]:
    figure = score.of(point)
    if figure is None:
        return "not scored", *[""] * (len(_FIGURES) - 1)
    judged = point.benchmarks[score.benchmark].judged
    written = point.written_per_pair.get(score.benchmark)
    return (
        *figure_cells(figure),
        percent(judged.invalid.share) if judged else "",
        "" if written is None else f"{written:,.0f}",
    )


def _qualifying(results: SweepResults) -> Iterator[tuple[str, str]]:
    yield "all", "tokens written: the mean over comparisons, of all completions of one"
    for point in results.points:
        if not point.benchmarks:
            yield "all", f"{place_text(results, point)}: not judged yet; run the same command again"
        for name, found in point.benchmarks.items():
            for problem in found.data.problems:
                yield name, f"not the whole benchmark: {problem}"
            if found.judged and found.judged.unjudged_pairs:
                what = f"{found.judged.unjudged_pairs} comparisons are not judged; run the same command again"
                yield name, f"{place_text(results, point)}: {what}"


def _curves(results: SweepResults, shown: list[Score]) -> Iterator[Curve]:
    numbers = [axis for axis in _NUMBERS if axis in results.axes]
    for axis in numbers:
        yield from _charts(results, shown, axis, axis, _NUMBERS[axis])
    yield from _charts(results, shown, numbers[0] if numbers else None, None, _WRITTEN)


def _charts(
    results: SweepResults, shown: list[Score], along: str | None, x_axis: str | None, x_label: str
) -> Iterator[Curve]:
    """Charts with lines along an axis: one with a line for each benchmark, or one for each where other axes make more lines.

    ``x_axis`` is the setting that the horizontal axis shows, or None for the tokens written.
    """
    others = [axis for axis in AXES if axis in results.axes and axis != along]
    lines: dict[str, list[SweepPoint]] = {}
    for point in results.points:
        lines.setdefault(", ".join(f"{AXES[axis]} {_value(point, axis)}" for axis in others), []).append(point)
    if others:
        for score in shown:
            series = tuple(Series(name, _points(score, points, x_axis)) for name, points in lines.items())
            yield Curve(
                f"{score.benchmark} by {x_label}", f"{score.figure}, protocol {score.protocol}, %", x_label, series
            )
    elif shown:
        series = tuple(
            Series(f"{score.benchmark}: {score.figure}, {score.protocol}", _points(score, results.points, x_axis))
            for score in shown
        )
        yield Curve(f"Score by {x_label}", "score, %", x_label, series)


def _points(score: Score, points: Sequence[SweepPoint], x_axis: str | None) -> tuple[tuple[float, float | None], ...]:
    found = []
    for point in points:
        figure, written = score.of(point), point.written_per_pair.get(score.benchmark)
        x = written if x_axis is None else _number(point, x_axis)
        if figure is not None and x is not None:
            found.append((float(x), round(100 * figure.value, 1)))
    return tuple(found)


def _notes(results: SweepResults) -> Iterator[str]:
    yield "Intervals are of single points. For the difference of two points, compare their runs with rmr1 compare."
    for name, said in trouble_rows(results.faults, results.engine_notes):
        yield f"{name}: {said}"
    if "votes" in results.axes:
        yield (
            "Points that differ in votes alone count the first votes of the same completions, all sampled at temperature "
            f"{results.judge.temperature or 0:g}, also where one vote counts."
        )
        yield "An even number of votes can be divided evenly, which most benchmarks count as not right."
