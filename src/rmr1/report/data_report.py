"""What became of the rows of a data recipe, as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rmr1.report.console import share
from rmr1.results import DataResults, ResponseLengths, SplitCounts

_WIDTH = 160


def print_data_summary(stream: TextIO, results: DataResults) -> None:
    """Print the counts of sources and splits, and the lengths."""
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else _WIDTH)
    console.print(_sources(results))
    console.print(_splits(results.splits))
    for line in _lengths(results.lengths):
        console.print(escape(line))


def _sources(results: DataResults) -> Table:
    total = results.pairs
    table = Table("source", "read", "kept", *(reason.replace("_", " ") for reason in total.dropped), box=None)
    rows = dict(results.sources)
    if len(rows) > 1:
        rows["total"] = total
    for name, counts in rows.items():
        dropped = (str(counts.dropped.get(reason, 0)) for reason in total.dropped)
        table.add_row(escape(name), str(counts.read), str(counts.kept), *dropped)
    return _numbers_right(table)


def _splits(splits: Mapping[str, SplitCounts]) -> Table:
    table = Table("split", "pairs", "rows", "better response is A", box=None)
    for name, split in splits.items():
        table.add_row(name, str(split.pairs), str(split.rows), share(split.label_a_share))
    return _numbers_right(table)


def _lengths(lengths: ResponseLengths) -> list[str]:
    better, worse = lengths.chosen_words, lengths.rejected_words
    if better is None or worse is None:
        return []
    return [
        f"words, better response: mean {better.mean:.1f}, median {better.median:g}; "
        f"worse: mean {worse.mean:.1f}, median {worse.median:g}",
        f"the better response is longer in {share(lengths.chosen_longer)}, as long in {share(lengths.equally_long)}",
    ]


def _numbers_right(table: Table) -> Table:
    for column in table.columns[1:]:
        column.justify = "right"
    return table
