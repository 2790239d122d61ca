"""Results of evaluations as tables of ready-made texts: for a terminal, as Markdown, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from rmr1.report.judge_report import Table
from rmr1.report.published_tables import difference_texts, published_tables, unpaired_tables
from rmr1.stats import FEWEST_CLUSTERS

Figure = Mapping[str, Any]
NUMBERS = frozenset(
    {"value", "95 %", "n", "difference", "p", "first", "second", "items", "comparisons", "completions"}
    | {"rewardbench", "rm-bench", "rmb", "mean", "votes", "max tokens", "invalid", "tokens written"}
)
"""Columns whose cells are set to the right."""
TOO_FEW = f"n/a: some subset of the figure has fewer than {FEWEST_CLUSTERS} prompts, which is too few for an interval; judge more"
BIAS = ("benchmark", "the better response", "value", "95 %", "n")


def protocol_shown(benchmark: Mapping[str, Any], wanted: str) -> str | None:
    """The protocol to show of a benchmark of ``results.json``: the wanted one, or the first that it has; None without any."""
    return wanted if wanted in benchmark["protocols"] else next(iter(benchmark["protocols"]), None)


def result_tables(results: Mapping[str, Any], protocol: str, *, cells: bool = False) -> Iterator[Table]:
    """Tables of a run: the figures of each benchmark under a protocol, beside them the score under the others.

    Args:
        results: As in ``results.json``.
        protocol: The protocol to show; where a benchmark has not got it, the first one that it has.
        cells: Also every subset or pair of styles.
    """
    for name, found in results["benchmarks"].items():
        shown = protocol_shown(found, protocol)
        if shown is None:
            yield Table(f"{name}: nothing is scored", ("figure", "value"), tuple(found["not_computed"].items()))
            continue
        block = found["protocols"][shown]
        figures = dict(block["metrics"]) | (block["cells"] if cells else {})
        rows = tuple((key, *_figure(figure), _lacking(figure)) for key, figure in figures.items())
        yield Table(f"{name}, protocol {shown}: {block['policy']}", ("figure", "value", "95 %", "n", "without"), rows)
    yield _protocols(results)
    if results.get("published"):
        yield from published_tables(results["published"])
    bias = tuple(_bias(results))
    if bias:
        yield Table("Single completions by what should not matter; invalid is not right", BIAS, bias)
    qualifying = tuple(_qualifying(results))
    if qualifying:
        yield Table("What qualifies these figures", ("benchmark", "what"), qualifying)


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


def print_tables(stream: TextIO, tables: Iterator[Table]) -> None:
    """Print tables for people."""
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else 160)
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
        lines += [f"### {table.title}", "", _cells(table.columns), "|" + "---|" * len(table.columns)]
        lines += [_cells(row) for row in table.rows] + [""]
    return "\n".join(lines)


def results_csv(results: Mapping[str, Any]) -> str:
    """Every figure and cell of every protocol and every published row, one a line, values as shares of 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("benchmark", "protocol", "kind", "name", "value", "low", "high", "n", "clusters", "missing", "source")
    )
    for benchmark, found in results["benchmarks"].items():
        for protocol, block in found["protocols"].items():
            for kind, key in (("metric", "metrics"), ("cell", "cells")):
                for name, figure in block[key].items():
                    values = (figure.get(column) for column in ("value", "low", "high", "n", "clusters"))
                    writer.writerow((benchmark, protocol, kind, name, *values, " ".join(figure.get("missing", ())), ""))
    for row in (results.get("published") or {}).get("rows", ()):
        for benchmark, value in (row["scores"] | {"mean": row["mean"]}).items():
            if value is not None:
                about = (benchmark, row["protocol"] or "", "published", row["model"], value, "", "", "", "", "")
                writer.writerow((*about, row["source"]))
    return text.getvalue()


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


def _cells(row: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"


def _figure(figure: Figure) -> tuple[str, str, str]:
    value = f"{100 * figure['value']:.1f} %"
    if figure.get("low") is None:
        return value, "n/a", "n/a"
    return value, f"{100 * figure['low']:.1f} to {100 * figure['high']:.1f}", str(figure["n"])


def _lacking(figure: Figure) -> str:
    missing = figure.get("missing", ())
    if len(missing) > 2:
        missing = dict.fromkeys(cell.rpartition("/")[0] or cell for cell in missing)
    return ", ".join(missing)


def _protocols(results: Mapping[str, Any]) -> Table:
    rows = []
    for name, found in results["benchmarks"].items():
        for protocol, block in found["protocols"].items():
            figure, value = next(iter(block["metrics"].items()))
            rows.append((name, protocol, figure, *_figure(value)[:2]))
        rows += [(name, protocol, "not computed", reason, "") for protocol, reason in found["not_computed"].items()]
    return Table("Protocols", ("benchmark", "protocol", "figure", "value", "95 %"), tuple(rows))


def _bias(results: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, found in results["benchmarks"].items():
        for place, figure in found.get("bias", {}).items():
            if figure is not None:
                yield name, place.removeprefix("better_").replace("_", " "), *_figure(figure)


def _qualifying(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, found in results["benchmarks"].items():
        for problem in found["data"].get("problems", ()):
            yield name, f"not the whole benchmark: {problem}"
        judged = found.get("judged")
        if judged:
            items = sum(found["data"]["items"].values())
            yield from ((name, text) for text in _judged(judged, found["orders"], items))
        if "logged" in found:
            logged = found["logged"]
            yield (
                name,
                f"{logged['result_as_logged']} of {logged['completions']} logged completions have the logged result",
            )
        yield from ((name, note) for note in found.get("notes", ()))


def _judged(judged: Mapping[str, Any], orders: Mapping[str, Any], items: int) -> Iterator[str]:
    of = "" if judged["items"] == items else f" of {items}"
    yield f"{judged['items']}{of} items, {judged['pairs']} comparisons, {judged['completions']} completions"
    if judged["unjudged_pairs"]:
        yield f"{judged['unjudged_pairs']} comparisons are not judged; run the same command again"
    invalid = judged["invalid"]
    if invalid["share"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in invalid["by_reason"].items())
        yield f"{100 * invalid['share']:.1f} % of the verdicts are invalid ({reasons})"
    consistency = orders["position_consistency"]
    if consistency:
        kappa = "" if orders["kappa"] is None else f", kappa {orders['kappa']:.2f}"
        yield f"the orders agree on {100 * consistency['value']:.1f} % of the comparisons{kappa}"
