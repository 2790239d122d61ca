"""The HTML report of an evaluation: its figures, what qualifies them, and every judged comparison that the page has room for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rmr1.benchmarks.benchmark import Protocol
from rmr1.benchmarks.published import published_beside
from rmr1.benchmarks.report_sections import benchmark_section, score_metric
from rmr1.benchmarks.results import JudgedBenchmark, read_run, results_of
from rmr1.benchmarks.texts import read_texts
from rmr1.judging import combine
from rmr1.report.evaluation import EvalReport, protocol_shown, published_table, write_eval_report
from rmr1.report.judge import report_sample
from rmr1.report.samples import Sample

MOST_SAMPLES = 10_000
"""So many comparisons make a page of some 30 MB, which still opens at once."""
NOTES = (
    "Intervals are of 95 %; comparisons that share a prompt count as one cluster.",
    "A and B are the sides of the data; for chosen and rejected responses, A is the chosen one.",
    "Single completions: each order and vote by itself; an invalid verdict is not right.",
)


def write_evaluation_report(run: Path, target: Path, protocol: Protocol, *, most: int = MOST_SAMPLES) -> None:
    """Write the report of a run, from its directory alone.

    Args:
        run: The run's directory.
        target: The page to write.
        protocol: The protocol to show; where a benchmark has not got it, the first one that it has.
        most: List so many comparisons at most; benchmarks have equal shares of them.

    Raises:
        RunError: The directory is no run of ``rmr1 eval``.
        JournalError: A journal is damaged.
    """
    write_eval_report(evaluation_report(run, protocol, most=most), target)


def evaluation_report(run: Path, protocol: Protocol, *, most: int = MOST_SAMPLES) -> EvalReport:
    """Build the report of a run; see ``write_evaluation_report``."""
    identity, found = read_run(run)
    results = results_of(identity, found)
    published = published_beside(results)
    shown = {name: protocol_shown(block, protocol) for name, block in results["benchmarks"].items()}
    titles = {judged.benchmark.name: judged.benchmark.title for judged in found}
    return EvalReport(
        title=f"{identity['engine']} on {', '.join(titles.values())}",
        facts=tuple((name.replace("_", " "), str(value)) for name, value in results["judge"].items()),
        headline=tuple(score_metric(titles[name], shown[name], block) for name, block in results["benchmarks"].items()),
        published=published_table(published) if published else None,
        benchmarks=tuple(
            benchmark_section(titles[name], shown[name], block) for name, block in results["benchmarks"].items()
        ),
        samples=_samples(found, shares([len(judged.completions.judged) for judged in found], most)),
        samples_total=sum(len(judged.completions.judged) for judged in found),
        no_samples=_no_samples(found),
        notes=(*NOTES, *(published["notes"] if published else ())),
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
        texts = read_texts(judged.path)
        for entry in judged.completions.judged[:count]:
            if entry.id in texts:
                judgment = combine(judged.completions.samples(entry), judged.asked.rule)
                sample = report_sample(texts[entry.id], judgment)
                yield replace(sample, category=_category(judged, sample, alone=len(found) == 1))


def _category(judged: JudgedBenchmark, sample: Sample, *, alone: bool) -> str:
    return sample.category if alone else f"{judged.benchmark.title}: {sample.category}"


def _no_samples(found: Sequence[JudgedBenchmark]) -> str:
    if not any(judged.completions.judged for judged in found):
        return "Nothing is judged yet."
    return "The run does not hold the texts of its comparisons; the same command as before adds them."
