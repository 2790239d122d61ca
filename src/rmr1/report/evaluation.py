"""Evaluations on benchmarks: the HTML report, tables, CSV, and the plan of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rmr1.report.charts import Curve
from rmr1.report.figures import Metric
from rmr1.report.page import macro, render_page, write_page
from rmr1.report.pairs import confusion_table, figure_rows, interval, invalid_text, spending_rows
from rmr1.report.progress import duration
from rmr1.report.samples import BLOCK, Sample, categories, outcome_choices, pack_samples
from rmr1.report.tables import Table, csv_text, fact_rows, figure_cells
from rmr1.results import (
    BenchmarkPlan,
    BenchmarkResults,
    BiasAudit,
    EvalResults,
    Figure,
    JudgedCounts,
    JudgeSettings,
    OrderAgreement,
    PublishedTable,
)

BIAS = ("benchmark", "the better response", "value", "95 %", "n")
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


def setting_facts(settings: JudgeSettings) -> tuple[tuple[str, str], ...]:
    """The judge's settings by name; those that are not known are left out."""
    return fact_rows(asdict(settings))


def result_tables(results: EvalResults, protocol: str, *, cells: bool = False) -> Iterator[Table]:
    """Tables of a run: the figures of each benchmark under a protocol, beside them the score under the others.

    Args:
        results: Of the run.
        protocol: The protocol to show; where a benchmark does not have it, the first one that it has.
        cells: Also every subset or pair of styles.
    """
    for name, found in results.benchmarks.items():
        shown = found.shown(protocol)
        if shown is None:
            yield Table(f"{name}: nothing is scored", ("figure", "value"), tuple(found.not_computed.items()))
            continue
        scores = found.protocols[shown]
        figures = {**scores.metrics, **(scores.cells if cells else {})}
        rows = tuple((key, *figure_cells(figure), _lacking(figure)) for key, figure in figures.items())
        yield Table(f"{name}, protocol {shown}: {scores.policy}", ("figure", "value", "95 %", "n", "without"), rows)
    yield _protocols(results)
    if spent := tuple(spending_rows(results.spending)):
        yield Table("Budget", ("what", "value"), spent)
    if results.published:
        yield published_table(results.published)
        notes = tuple((note,) for note in results.published.notes)
        yield Table("What qualifies the published rows", ("what",), notes)
    for name, found in results.benchmarks.items():
        if found.pairs:
            yield Table(f"{name}, every order of a pair combined", ("figure", "value"), tuple(figure_rows(found.pairs)))
            if found.pairs.has_ties:
                yield confusion_table(found.pairs)
    bias = tuple(_bias(results))
    if bias:
        yield Table("Single completions by what should not matter; invalid is not right", BIAS, bias)
    qualifying = tuple(_qualifying(results))
    if qualifying:
        yield Table("What qualifies these figures", ("benchmark", "what"), qualifying)


def results_csv(results: EvalResults) -> str:
    """Every figure and cell of every protocol and every published row, one a line, values as shares of 1."""
    columns = (
        *("benchmark", "protocol", "kind", "name", "value", "low", "high", "n", "clusters"),
        *("fewest", "missing", "source"),
    )
    return csv_text(columns, _csv_rows(results))


def _csv_rows(results: EvalResults) -> Iterator[tuple[object, ...]]:
    for benchmark, found in results.benchmarks.items():
        for protocol, scores in found.protocols.items():
            for kind, figures in (("metric", scores.metrics), ("cell", scores.cells)):
                for name, one in figures.items():
                    values = (one.value, one.low, one.high, one.n, one.clusters, one.fewest)
                    yield (benchmark, protocol, kind, name, *values, " ".join(one.missing), "")
    for row in results.published.rows if results.published else ():
        for benchmark, value in {**row.scores, "mean": row.mean}.items():
            if value is not None:
                about = (benchmark, row.protocol or "", "published", row.model, value, "", "", "", "", "", "")
                yield (*about, row.source)


def published_table(published: PublishedTable) -> Table:
    """The published rows below the run's own."""
    found = (*published.own, *published.rows)
    with_mean = any(row.mean is not None for row in found)
    rows = tuple(
        (
            row.model,
            *(_points(row.scores.get(name)) for name in published.benchmarks),
            *((_points(row.mean),) if with_mean else ()),
            row.source,
        )
        for row in found
    )
    columns = ("model", *published.benchmarks, *(("mean",) if with_mean else ()), "source")
    return Table("Published, RM-R1's rows by the rm-r1 protocol; marked with their source", columns, rows)


def plan_table(plans: Sequence[BenchmarkPlan], basis: str = "") -> Table:
    """What an evaluation will judge, with cost and time where the plan has them.

    Args:
        plans: One for each benchmark, at least one.
        basis: What cost and time are estimated from.
    """
    rows = [(plan.benchmark, *_texts(plan)) for plan in plans]
    if len(plans) > 1:
        rows.append(("all", *_texts(_sum(plans))))
    known = [place for place, text in enumerate(_texts(plans[0])) if text]
    columns = ("benchmark", *(_COLUMNS[place] for place in known))
    title = "Plan: nothing is judged" + (f"; estimates from {basis}" if basis else "")
    return Table(title, columns, tuple((row[0], *(row[place + 1] for place in known)) for row in rows))


def plan_line(plans: Sequence[BenchmarkPlan], basis: str = "") -> str:
    """The sum of a plan in a line."""
    _, *counts, money, time = _texts(_sum(plans))
    said = ", ".join(f"{text} {column}" for text, column in zip(counts, _COLUMNS[1:5], strict=True))
    estimates = [f"{column} {text}" for column, text in (("cost", money), ("time", time)) if text]
    return f"plan: {'; '.join([said, *estimates])}" + (f" (estimates from {basis})" if basis else "")


def _lacking(figure: Figure) -> str:
    missing = figure.missing
    if len(missing) > 2:
        missing = tuple(dict.fromkeys(cell.rpartition("/")[0] or cell for cell in missing))
    return ", ".join(missing)


def _protocols(results: EvalResults) -> Table:
    rows = []
    for name, found in results.benchmarks.items():
        for protocol, scores in found.protocols.items():
            if scores.headline:
                rows.append((name, protocol, scores.headline[0], *figure_cells(scores.headline[1])))
        rows += [(name, protocol, "not computed", reason, "", "") for protocol, reason in found.not_computed.items()]
    return Table("Protocols", ("benchmark", "protocol", "figure", "value", "95 %", "n"), tuple(rows))


def _bias(results: EvalResults) -> Iterator[tuple[str, ...]]:
    for name, found in results.benchmarks.items():
        for field in fields(BiasAudit):
            estimate = getattr(found.bias, field.name) if found.bias else None
            if estimate is not None:
                yield name, field.name.removeprefix("better_").replace("_", " "), *figure_cells(estimate)


def _qualifying(results: EvalResults) -> Iterator[tuple[str, str]]:
    for name, found in results.benchmarks.items():
        yield from ((name, text) for text in _remarks(found))


def _remarks(found: BenchmarkResults) -> Iterator[str]:
    for problem in found.data.problems:
        yield f"not the whole benchmark: {problem}"
    if found.judged:
        yield from _judged(found.judged, found.orders, sum(found.data.items.values()))
    if found.logged:
        logged = found.logged
        yield f"{logged.result_as_logged} of {logged.completions} logged completions have the logged result"
    yield from found.notes


def _judged(judged: JudgedCounts, orders: OrderAgreement | None, items: int) -> Iterator[str]:
    of = "" if judged.items == items else f" of {items}"
    yield f"{judged.items}{of} items, {judged.pairs} comparisons, {judged.completions} completions"
    if judged.unjudged_pairs:
        yield f"{judged.unjudged_pairs} comparisons are not judged; run the same command again"
    if judged.invalid.share:
        yield f"invalid verdicts: {invalid_text(judged.invalid)}"
    if orders and orders.position_consistency:
        kappa = "" if orders.kappa is None else f"; kappa of the two orders {orders.kappa:.2f}"
        yield f"the orders agree on {interval(orders.position_consistency)} of the comparisons{kappa}"


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _sum(plans: Sequence[BenchmarkPlan]) -> BenchmarkPlan:
    costs, seconds = [plan.cost for plan in plans], [plan.seconds for plan in plans]
    return BenchmarkPlan(
        benchmark="all",
        items=sum(plan.items for plan in plans),
        pairs=sum(plan.pairs for plan in plans),
        completions=sum(plan.completions for plan in plans),
        prompt_characters=sum(plan.prompt_characters for plan in plans),
        prompt_tokens=sum(plan.prompt_tokens for plan in plans),
        max_completion_tokens=sum(plan.max_completion_tokens for plan in plans),
        cost=None if None in costs else sum(filter(None, costs)),
        seconds=None if None in seconds else sum(filter(None, seconds)),
    )


def _texts(plan: BenchmarkPlan) -> tuple[str, ...]:
    """One text for each of the columns; "" for what is not known."""
    return (
        f"{plan.items:,}",
        f"{plan.pairs:,}",
        f"{plan.completions:,}",
        f"about {plan.prompt_tokens:,}",
        f"at most {plan.max_completion_tokens:,}",
        "" if plan.cost is None else f"at most about {_money(plan.cost)}",
        "" if plan.seconds is None else f"at most about {duration(plan.seconds)}",
    )


def _money(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 else f"{value:.2g}"
