"""Tables of ready-made texts: for a terminal, and as Markdown."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.markup import escape
from rich.table import Table as RichTable

from rmr1.report.terminal import printable, terminal_console
from rmr1.results import Estimate, Figure

NUMBERS = frozenset(
    {"value", "95 %", "n", "difference", "p", "first", "second", "items", "comparisons", "completions"}
    | {"other less one", "p (Holm)", "one ahead", "other ahead", "agree", "agree, 95 %", "kappa", "judged", "unjudged"}
    | {"rewardbench", "rm-bench", "rmb", "mean", "votes", "max tokens", "invalid", "tokens written"}
    | {"flipped", "flipped, 95 %", "no verdict", "change", "change, 95 %", "flipped without the fence, less with it"}
)
"""Columns whose cells are set to the right."""
_FORMULAS = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
_NUMBER = re.compile(r"[+-]?\d[\d.,]*([eE][+-]?\d+)?( ?%)?")


@dataclass(frozen=True, slots=True)
class Table:
    """A captioned table of ready-made texts. The first cell of a row names the row.

    Raises:
        ValueError: A row has not one cell for each column.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.title!r}: row {number} has {len(row)} cells for {len(self.columns)} columns"
                )


def print_tables(stream: TextIO, tables: Iterator[Table]) -> None:
    """Print tables for people."""
    console = terminal_console(stream)
    for table in tables:
        console.print(f"[bold]{escape(table.title)}[/bold]", soft_wrap=True)
        shown = RichTable(box=None, pad_edge=False)
        for column in table.columns:
            shown.add_column(escape(column), justify="right" if column in NUMBERS else "left", overflow="fold")
        for row in table.rows:
            shown.add_row(*(escape(cell) for cell in row))
        console.print(shown)
        console.print()


def markdown(tables: Iterator[Table]) -> str:
    """Tables as Markdown."""
    lines = []
    for table in tables:
        lines += [f"### {_as_markdown(table.title)}", "", _cells(table.columns), "|" + "---|" * len(table.columns)]
        lines += [_cells(row) for row in table.rows] + [""]
    return "\n".join(lines)


def _cells(row: Sequence[str]) -> str:
    return "| " + " | ".join(_as_markdown(cell).replace("|", "\\|") for cell in row) + " |"


def _as_markdown(text: str) -> str:
    """A text on one line that makes neither a tag nor a link."""
    return printable(" ".join(text.splitlines())).replace("<", "&lt;").replace("[", "\\[")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV that a spreadsheet takes for texts and numbers, never for formulas.

    A text that a spreadsheet would work out gets an apostrophe before it, as OWASP advises ("CSV Injection"); numbers stay as
    they are, and None is an empty cell.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_csv_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _csv_cell(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    is_formula = cell.lstrip(" \n\u3000")[:1] in _FORMULAS and not _NUMBER.fullmatch(cell)
    return f"'{printable(cell)}" if is_formula else printable(cell)


def fact_rows(facts: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Settings as rows of name and text; those that are None or empty are left out."""
    known = ((name.replace("_", " "), value) for name, value in facts.items() if value not in (None, "", {}))
    return tuple((name, fact_text(value)) for name, value in known)


def fact_text(value: object) -> str:
    """A setting in words: yes or no, a list with commas, and a mapping as ``FIELD=COLUMN,...``, as the command line takes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ",".join(f"{name}={fact_text(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(fact_text, value))
    return str(value)


def percent(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.1f} %"


def percent_range(low: float, high: float) -> str:
    """The ends of an interval of a share, in per cent."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def figure_cells(figure: Figure | Estimate) -> tuple[str, str, str]:
    """A figure, its interval with what qualifies it, and the number of observations; "n/a" for what is not known."""
    if figure.low is None or figure.high is None:
        return percent(figure.value), "n/a", "n/a"
    ends = percent_range(figure.low, figure.high)
    return percent(figure.value), f"{ends} ({figure.caveat})" if figure.caveat else ends, f"{figure.n:,}"
