"""Evaluations on benchmarks: the HTML report, tables, CSV, and the plan of what will be asked."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmr1.report.charts import Curve
from rmr1.report.figures import Metric
from rmr1.report.page import macro, render_page, write_page
from rmr1.report.progress import duration
from rmr1.report.samples import BLOCK, Sample, categories, outcome_choices, pack_samples
from rmr1.report.tables import Table

Figure = Mapping[str, Any]
BIAS = ("benchmark", "the better response", "value", "95 %", "n")
COUNTED = ("items", "pairs", "generations", "prompt_tokens", "most_written_tokens", "cost", "seconds")
_COLUMNS = ("items", "comparisons", "completions", "prompt tokens", "written tokens", "cost", "time")


@dataclass(frozen=True, slots=True)
class Bars:
    """Figures on one scale, one below the other."""

    title: str
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class BenchmarkSection:
    """One benchmark of an evaluation.

    Args:
        title: Its name and the protocol that is shown.
        policy: What the protocol counts, in a sentence.
        bars: Its figures, its subsets, what should not matter.
        curves: Accuracy by confidence and by length.
        tables: What is better read than seen.
        remarks: What a reader has to know about these figures.
    """

    title: str
    policy: str
    bars: tuple[Bars, ...]
    curves: tuple[Curve, ...]
    tables: tuple[Table, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvalReport:
    """What the report of an evaluation says.

    Args:
        title: Heading of the page.
        facts: Names and values that describe the judge: model, template, orders, votes, seed.
        headline: The score of each benchmark.
        published: Published results beside the run's own.
        benchmarks: A section for each.
        samples: The judged comparisons to list, read once.
        samples_total: How many comparisons are judged; the page says so where it lists fewer.
        no_samples: Said in their place where there are none.
        notes: What a reader has to know to read the figures rightly.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    headline: tuple[Metric, ...]
    published: Table | None
    benchmarks: tuple[BenchmarkSection, ...]
    samples: Iterable[Sample]
    samples_total: int
    no_samples: str
    notes: tuple[str, ...]


def render_eval_report(report: EvalReport) -> str:
    """Return the report as one HTML document; equal reports give equal text. The samples are packed, see ``samples``."""
    samples = pack_samples(
        report.samples, macro("sample.html.j2", "sample_line"), macro("sample.html.j2", "sample_body")
    )
    return render_page(
        "eval_report.html.j2",
        ("page.css", "charts.css", "evaluation.css"),
        "packed_samples.js" if samples.listed else None,
        report=report,
        samples=samples,
        block=BLOCK,
        filters=outcome_choices(samples.listed),
        categories=categories(samples.listed),
    )


def write_eval_report(report: EvalReport, path: Path) -> None:
    """Write the report to ``path``, whole or not at all: readers see the old file until the new one is complete."""
    write_page(render_eval_report(report), path)


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


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def plan_table(plans: Sequence[Mapping[str, Any]], basis: str = "") -> Table:
    """What an evaluation will ask, with cost and time where the plan has them.

    Args:
        plans: One for each benchmark.
        basis: What cost and time are estimated from.
    """
    rows = [(plan["benchmark"], *_texts(plan).values()) for plan in plans]
    if len(plans) > 1:
        rows.append(("all", *_texts(_sum(plans)).values()))
    columns = tuple(column for name, column in zip(COUNTED, _COLUMNS, strict=True) if name in plans[0])
    title = "Plan: nothing is judged" + (f"; estimates from {basis}" if basis else "")
    return Table(title, ("benchmark", *columns), tuple(rows))


def plan_line(plans: Sequence[Mapping[str, Any]], basis: str = "") -> str:
    """The sum of a plan in a line."""
    texts = _texts(_sum(plans))
    said = ", ".join(
        f"{texts[name]} {word}"
        for name, word in zip(
            COUNTED[1:5], ("comparisons", "completions", "prompt tokens", "written tokens"), strict=True
        )
    )
    estimates = [f"{word} {texts[name]}" for name, word in (("cost", "cost"), ("seconds", "time")) if name in texts]
    return f"plan: {'; '.join([said, *estimates])}" + (f" (estimates from {basis})" if basis else "")


def _sum(plans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: sum(plan[name] for plan in plans) for name in COUNTED if name in plans[0]}


def _texts(plan: Mapping[str, Any]) -> dict[str, str]:
    texts = {name: f"{plan[name]:,}" for name in ("items", "pairs", "generations")}
    texts["prompt_tokens"] = f"about {plan['prompt_tokens']:,}"
    texts["most_written_tokens"] = f"at most {plan['most_written_tokens']:,}"
    if "cost" in plan:
        texts["cost"] = f"at most about {_money(plan['cost'])}"
    if "seconds" in plan:
        texts["seconds"] = f"at most about {duration(plan['seconds'])}"
    return texts


def _money(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 else f"{value:.2g}"
