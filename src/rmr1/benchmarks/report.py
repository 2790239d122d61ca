"""The HTML report of an evaluation: its figures, what qualifies them, and every judged comparison that the page has room for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rmr1.benchmarks.audit import CONFIDENCE_EDGES
from rmr1.benchmarks.benchmark import Benchmark, Protocol
from rmr1.benchmarks.eval_runs import EvalRun, JudgedBenchmark, read_run
from rmr1.judging import combine, read_texts
from rmr1.report.charts import Curve, Series
from rmr1.report.console import trouble_rows
from rmr1.report.evaluation import (
    Bars,
    BenchmarkSection,
    EvalReport,
    published_table,
    setting_facts,
    write_eval_report,
)
from rmr1.report.figures import Metric, noted
from rmr1.report.judge import report_sample
from rmr1.report.pairs import confusion_table, figure_rows, invalid_text, spending_rows
from rmr1.report.samples import Sample
from rmr1.report.tables import Table, figure_cells, percent
from rmr1.results import (
    BenchmarkResults,
    Calibration,
    Estimate,
    EvalResults,
    Figure,
    JudgedCounts,
    LengthBin,
    ProtocolScores,
)

MOST_SAMPLES = 10_000
"""This many comparisons make a page of some 30 MB, which still opens at once."""
NOTES = (
    "Intervals are of 95 %; comparisons that share a prompt count as one cluster.",
    "A and B are the sides of the data; for chosen and rejected responses, A is the chosen one.",
    "Single completions: each order and vote by itself; an invalid verdict is not right.",
)
OPEN_BIN = 0.5
"""How far beyond its one edge an open bin is drawn, in powers of two."""
BIAS = {
    "better_is_longer": "the better response is longer",
    "better_is_shorter": "the better response is shorter",
    "better_shown_first": "the better response is shown first",
    "better_shown_second": "the better response is shown second",
}


def write_evaluation_report(
    run: Path,
    target: Path,
    protocol: Protocol,
    *,
    most: int = MOST_SAMPLES,
    benchmarks: Iterable[Benchmark] = (),
) -> None:
    """Write the report of a run, from its directory alone.

    Args:
        run: The run's directory.
        target: The page to write.
        protocol: The protocol to show; where a benchmark does not have it, the first one that it has.
        most: List this many comparisons at most; benchmarks have equal shares of them.
        benchmarks: Benchmarks that no installed package offers.

    Raises:
        RunError: The directory is no run of ``rmr1 eval``.
        JournalError: A journal is damaged.
    """
    write_eval_report(evaluation_report(run, protocol, most=most, benchmarks=benchmarks), target)


def evaluation_report(
    run: Path, protocol: Protocol, *, most: int = MOST_SAMPLES, benchmarks: Iterable[Benchmark] = ()
) -> EvalReport:
    """Build the report of a run; see ``write_evaluation_report``."""
    found = read_run(run, benchmarks=benchmarks)
    return report_of(found, found.score(), protocol, most=most)


def report_of(run: EvalRun, results: EvalResults, protocol: Protocol, *, most: int = MOST_SAMPLES) -> EvalReport:
    """Build the report of a run that was read and scored; see ``write_evaluation_report``."""
    judged = [len(one.completions.judged) for one in run.benchmarks]
    titles = ", ".join(one.benchmark.title for one in run.benchmarks)
    scored = results.benchmarks.values()
    return EvalReport(
        title=f"{results.judge.engine} on {titles}",
        facts=(*setting_facts(results.judge), *spending_rows(results.spending)),
        headline=tuple(score_metric(one, protocol) for one in scored),
        published=published_table(results.published) if results.published else None,
        benchmarks=tuple(benchmark_section(one, protocol) for one in scored),
        samples=_samples(run.benchmarks, shares(judged, most)),
        samples_total=sum(judged),
        no_samples=_no_samples(run.benchmarks),
        notes=(*NOTES, *(results.published.notes if results.published else ())),
    )


def shares(sizes: Sequence[int], most: int) -> list[int]:
    """How many of each size to take, ``most`` together, as equally as the sizes allow."""
    taken = [0] * len(sizes)
    left = most
    for done, place in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        taken[place] = min(sizes[place], left // (len(sizes) - done))
        left -= taken[place]
    return taken


def _samples(found: Sequence[JudgedBenchmark], counts: Sequence[int]) -> Iterator[Sample]:
    for judged, count in zip(found, counts, strict=True):
        texts = {pair.id: pair for pair in read_texts(judged.path)}
        for entry in judged.completions.judged[:count]:
            if entry.id in texts:
                judgment = combine(judged.completions.samples(entry), judged.context.rule)
                sample = report_sample(texts[entry.id], judgment)
                title = "" if len(found) == 1 else f"{judged.benchmark.title}: "
                yield replace(sample, category=title + sample.category)


def _no_samples(found: Sequence[JudgedBenchmark]) -> str:
    if not any(judged.completions.judged for judged in found):
        return "Nothing is judged yet."
    return "The run does not hold the texts of its comparisons; the same command as before adds them."


def score_metric(found: BenchmarkResults, protocol: Protocol) -> Metric:
    """The score of a benchmark, as a card."""
    title, shown = found.data.title or found.data.benchmark, found.shown(protocol)
    headline = found.protocols[shown].headline if shown else None
    if headline is None:
        return Metric(title, None, None, None, "nothing is scored", "share")
    lacking = " (not the whole benchmark)" if found.data.problems else ""
    return _metric(title, headline[1], f"{headline[0]}, protocol {shown}{lacking}")


def benchmark_section(found: BenchmarkResults, protocol: Protocol) -> BenchmarkSection:
    """All that a report says about one benchmark."""
    title, shown = found.data.title or found.data.benchmark, found.shown(protocol)
    if shown is None:
        return BenchmarkSection(title, "nothing is scored", (), (), (), tuple(_reasons(found)))
    scores = found.protocols[shown]
    return BenchmarkSection(
        title=f"{title}, protocol {shown}",
        policy=f"{scores.policy[:1].upper()}{scores.policy[1:]}.",
        bars=tuple(bars for bars in _bars(found, scores) if bars.metrics),
        curves=tuple(_curves(found)),
        tables=tuple(_tables(found)),
        remarks=(*_reasons(found), *found.data.problems, *found.notes, *_trouble(found)),
    )


def _trouble(found: BenchmarkResults) -> Iterator[str]:
    """What went wrong while it was judged."""
    for name, said in trouble_rows(found.faults, found.engine_notes):
        yield f"{name}: {said}"


def _bars(found: BenchmarkResults, shown: ProtocolScores) -> Iterator[Bars]:
    yield Bars("Figures", tuple(_metric(name, figure) for name, figure in shown.metrics.items()))
    scores = ((name, scores.headline) for name, scores in found.protocols.items())
    yield Bars("Score by protocol", tuple(_metric(name, headline[1]) for name, headline in scores if headline))
    bias = ((name, getattr(found.bias, key) if found.bias else None) for key, name in BIAS.items())
    agree = ("the orders agree", found.orders.position_consistency if found.orders else None)
    yield Bars("Single completions", tuple(_metric(name, share) for name, share in (*bias, agree) if share))
    cells = tuple(_metric(name, figure) for name, figure in shown.cells.items() if name not in shown.metrics)
    yield Bars("Subsets", cells)


def _curves(found: BenchmarkResults) -> Iterator[Curve]:
    calibration, length = found.calibration, found.length
    if calibration and len(calibration.bins) > 1:
        ends = (100 * CONFIDENCE_EDGES[0], 100 * CONFIDENCE_EDGES[-1])
        ideal = Series("as often right as it is sure", tuple((end, end) for end in ends))
        yield Curve(
            f"Accuracy by confidence ({_confidence(calibration)})",
            "comparisons that are right, %",
            "confidence, %",
            (*_with_interval([(100 * one.confidence, one.accuracy) for one in calibration.bins]), ideal),
        )
    if len(length) > 1:
        yield Curve(
            "Accuracy by length",
            "single completions that are right, %",
            "length of the better response over the other one, powers of two",
            _with_interval([(_middle(one), one.accuracy) for one in length]),
        )


def _with_interval(shares: Sequence[tuple[float, Estimate]]) -> tuple[Series, ...]:
    return (
        Series("this judge", tuple((x, 100 * share.value) for x, share in shares)),
        Series("95 % interval, upper end", tuple((x, 100 * share.high) for x, share in shares)),
        Series("95 % interval, lower end", tuple((x, 100 * share.low) for x, share in shares)),
    )


def _tables(found: BenchmarkResults) -> Iterator[Table]:
    if found.judged:
        yield Table("What was judged", ("figure", "value"), tuple(_counts(found, found.judged)))
    if found.pairs:
        yield Table("Every order of a pair combined", ("figure", "value"), tuple(figure_rows(found.pairs)))
        if found.pairs.confusion:
            yield confusion_table(found.pairs)
    columns = ("accuracy", "95 %", "n")
    if found.calibration:
        rows = tuple(
            (f"{100 * one.low:.0f} to {100 * one.high:.0f} %", percent(one.confidence), *figure_cells(one.accuracy))
            for one in found.calibration.bins
        )
        yield Table(f"Confidence ({_confidence(found.calibration)})", ("confidence", "mean", *columns), rows)
    if found.length:
        lengths = tuple((_times(one), *figure_cells(one.accuracy)) for one in found.length)
        yield Table("Characters of the better response over the other one", ("times", *columns), lengths)


def _counts(found: BenchmarkResults, judged: JudgedCounts) -> Iterator[tuple[str, str]]:
    yield "items", f"{judged.items:,}"
    yield "comparisons", f"{judged.pairs:,}"
    yield "completions", f"{judged.completions:,}"
    if judged.unjudged_pairs:
        yield "comparisons not judged yet", f"{judged.unjudged_pairs:,}"
    yield "invalid verdicts", invalid_text(judged.invalid)
    if found.orders and found.orders.kappa is not None:
        yield "kappa of the two orders", f"{found.orders.kappa:.2f}"
    if found.calibration:
        yield "expected calibration error", percent(found.calibration.expected_error)
        yield "comparisons without a preference", f"{found.calibration.undecided:,}"
    yield "tokens read", f"{judged.tokens.prompt_tokens:,}"
    yield "tokens written", f"{judged.tokens.completion_tokens:,}"
    if judged.tokens.unknown:
        yield "completions whose tokens the engine does not tell", f"{judged.tokens.unknown:,}"


def _reasons(found: BenchmarkResults) -> Iterator[str]:
    for protocol, reason in found.not_computed.items():
        yield f"Protocol {protocol} is not computed: {reason}."


def _metric(name: str, figure: Figure | Estimate, note: str = "") -> Metric:
    return Metric(name, figure.value, figure.low, figure.high, noted(note, figure), "share")


def _confidence(calibration: Calibration) -> str:
    return {"probability": "probability of the letter at the verdict", "votes": "share of the votes"}[calibration.by]


def _middle(one: LengthBin) -> float:
    if one.low is None:
        return (one.high or 0.0) - OPEN_BIN
    return one.low + OPEN_BIN if one.high is None else (one.low + one.high) / 2


def _times(one: LengthBin) -> str:
    low, high = (None if edge is None else f"{2**edge:.2g}" for edge in (one.low, one.high))
    if low is None:
        return f"less than {high}"
    return f"{low} or more" if high is None else f"{low} to {high}"
