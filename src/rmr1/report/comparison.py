"""Two runs side by side: tables and CSV of their differences."""

from __future__ import annotations

from collections.abc import Iterator

from rmr1.report.tables import Table, csv_text
from rmr1.results import BenchmarkDifference, ComparisonResults, Difference


def difference_tables(comparison: ComparisonResults, *, cells: bool = False, listed: int = 20) -> Iterator[Table]:
    """Tables of two runs: the differences, and the first comparisons on which they differ.

    Where the comparison is not paired, both values stand beside the difference, and then what qualifies them.

    Args:
        comparison: Of the two.
        cells: Also every subset or pair of styles.
        listed: How many differing comparisons to list.
    """
    for name, found in comparison.benchmarks.items():
        if found.problem is not None:
            yield Table(name, ("figure", "difference"), (("nothing to compare", found.problem),))
        elif comparison.paired:
            yield from _paired(name, comparison.protocol, found, cells, listed)
        else:
            yield _unpaired(name, comparison.protocol, found, cells)
    if not comparison.paired:
        yield Table("What qualifies these differences", ("benchmark", "what"), tuple(_qualifying(comparison)))


def differences_csv(comparison: ComparisonResults) -> str:
    """Every difference, one a line."""
    columns = ("benchmark", "kind", "name", "difference", "low", "high", "p", "interval")
    return csv_text(columns, _csv_rows(comparison))


def _csv_rows(comparison: ComparisonResults) -> Iterator[tuple[object, ...]]:
    interval = "paired" if comparison.paired else "unpaired"
    for benchmark, found in comparison.benchmarks.items():
        for kind, figures in (("metric", found.metrics), ("cell", found.cells)):
            for name, one in figures.items():
                values = (one.value, one.low, one.high, one.p)
                yield (benchmark, kind, name, *values, "" if one.low is None else interval)


def _paired(name: str, protocol: str, found: BenchmarkDifference, cells: bool, listed: int) -> Iterator[Table]:
    figures = {**found.metrics, **(found.cells if cells else {})}
    rows = tuple((key, *_texts(one), "n/a" if one.p is None else f"{one.p:.3f}") for key, one in figures.items())
    title = f"{name}, protocol {protocol}: second less first, in points, on {found.pairs} comparisons"
    yield Table(title, ("figure", "difference", "95 %", "p"), rows)
    caveats = tuple((key, one.caveat) for key, one in figures.items() if one.caveat)
    if caveats:
        yield Table(f"{name}: what qualifies these differences", ("figure", "its interval is"), caveats)
    shown = tuple((one.id, one.subset, f"{one.first:g}", f"{one.second:g}") for one in found.differing[:listed])
    more = f", the first {listed}" if len(found.differing) > listed else ""
    heading = f"{name}: {len(found.differing)} comparisons differ{more}"
    yield Table(heading, ("comparison", "subset", "first", "second"), shown)


def _unpaired(name: str, protocol: str, found: BenchmarkDifference, cells: bool) -> Table:
    figures = {**found.metrics, **(found.cells if cells else {})}
    rows = tuple((key, _points(one.first), _points(one.second), *_texts(one)) for key, one in figures.items())
    title = f"{name}, protocol {protocol}: second less first, in points, unpaired"
    return Table(title, ("figure", "first", "second", "difference", "95 %"), rows)


def _texts(difference: Difference) -> tuple[str, str]:
    """A difference and its interval, in points."""
    low, high = difference.low, difference.high
    return _signed(difference.value), "n/a" if low is None or high is None else f"{_signed(low)} to {_signed(high)}"


def _signed(value: float) -> str:
    return f"{round(100 * value, 1) + 0.0:+.1f}"  # adding 0 makes 0 of -0


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _qualifying(comparison: ComparisonResults) -> Iterator[tuple[str, str]]:
    yield from (("all", note) for note in comparison.notes)
    for name, found in comparison.benchmarks.items():
        yield from ((name, note) for note in found.notes)
    yield from ((name, f"not compared: {reason}") for name, reason in comparison.not_compared.items())
