"""Published figures to set beside a run: RM-R1's, those that its paper compares with, and those of two later papers.

All scores are shares of 1, printed by their authors in points with one decimal, without intervals. RewardBench is the mean of
the four sections, RM-Bench the total, RMB the mean of its four figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rmr1.results import BenchmarkResults, PublishedRow, PublishedTable

PAPER = "RM-R1, arXiv 2505.02387"
LISTED = "as listed by RM-R1, arXiv 2505.02387"
ABLATION = "recipe ablation of RM-R1, arXiv 2505.02387"
THREE = ("rewardbench", "rm-bench", "rmb")
"""The benchmarks whose plain mean the papers report."""
OWN = ("rm-r1", "official")
"""The protocols under which a run stands beside the published rows."""

SLIP_NOTE = (
    "RM-Bench: the rows of RM-R1 are of code that reads one of its three result files twice (see the protocols in the docs), so "
    "set them beside this run's rm-r1, not beside its official score; how the other rows were added up is not known"
)
SOURCE_NOTE = (
    "rows of RM-R1 are of the protocol rm-r1; the protocol of the others is their source's; none comes with an interval, and "
    "prompts, sampling and the drawn order were not those of this run"
)


def _row(model: str, source: str, protocol: str | None, *printed: int) -> PublishedRow:
    """A row from scores in tenths of a point, in the order of ``THREE``, and their mean."""
    scores = dict(zip(THREE, (tenths / 1000 for tenths in printed), strict=False))
    return PublishedRow(model, source, protocol, scores, printed[3] / 1000 if len(printed) > 3 else None)


PUBLISHED: tuple[PublishedRow, ...] = (
    _row("RM-R1-DeepSeek-Distilled-Qwen-7B", PAPER, "rm-r1", 801, 724, 551, 692),
    _row("RM-R1-DeepSeek-Distilled-Qwen-14B", PAPER, "rm-r1", 889, 815, 685, 796),
    _row("RM-R1-DeepSeek-Distilled-Qwen-32B", PAPER, "rm-r1", 909, 839, 698, 815),
    _row("RM-R1-Qwen-Instruct-7B", PAPER, "rm-r1", 852, 702, 664, 739),
    _row("RM-R1-Qwen-Instruct-14B", PAPER, "rm-r1", 882, 761, 692, 778),
    _row("RM-R1-Qwen-Instruct-32B", PAPER, "rm-r1", 914, 791, 730, 812),
    _row("Qwen-Instruct-32B", ABLATION, "rm-r1", 858),
    _row("Qwen-Instruct-32B + cold-start RL", ABLATION, "rm-r1", 895),
    _row("Qwen-Instruct-32B + cold-start RL + rubrics", ABLATION, "rm-r1", 901),
    _row("Qwen-Instruct-32B + cold-start RL + rubrics + query categories", ABLATION, "rm-r1", 908),
    _row("GPT-4o", LISTED, None, 867, 725, 738, 777),
    _row("INF-ORM-70B", LISTED, None, 951, 709, 705, 788),
    _row("Skywork-Critic-70B", LISTED, None, 933, 719, 655, 769),
    PublishedRow("BR-RM-14B", "arXiv 2510.23596", None, {}, 0.842),
    PublishedRow("ReasonGRM-32B", "arXiv 2506.16712", None, {}, 0.833),
)


def published_rows(benchmarks: Iterable[str]) -> tuple[PublishedRow, ...]:
    """The published rows that say something about given benchmarks; those of which only the mean is known need all three.

    Args:
        benchmarks: Names as in ``--bench``.
    """
    names = set(benchmarks)
    return tuple(row for row in PUBLISHED if names & set(row.scores) or (row.mean and names.issuperset(THREE)))


def own_rows(benchmarks: Mapping[str, BenchmarkResults]) -> tuple[PublishedRow, ...]:
    """A run's own scores as such rows, one for each of ``OWN`` that it has; ``source`` says what they lack."""
    rows = []
    for protocol in OWN:
        headlines = {
            name: found.protocols[protocol].headline
            for name, found in benchmarks.items()
            if name in THREE and protocol in found.protocols
        }
        scores = {name: headline[1].value for name, headline in headlines.items() if headline}
        if not scores:
            continue
        partial = [name for name in scores if not _is_whole(benchmarks[name])]
        source = f"this run; not the whole of {', '.join(partial)}" if partial else "this run"
        mean = sum(scores.values()) / len(THREE) if len(scores) == len(THREE) else None
        rows.append(PublishedRow(f"this run, {protocol}", source, protocol, scores, mean))
    return tuple(rows)


def published_beside(benchmarks: Mapping[str, BenchmarkResults]) -> PublishedTable | None:
    """A run's own rows and the published ones, for reports, or None where nothing is published of the run's benchmarks."""
    names = tuple(name for name in THREE if name in benchmarks)
    rows = published_rows(names)
    if not rows:
        return None
    notes = (SLIP_NOTE, SOURCE_NOTE) if "rm-bench" in names else (SOURCE_NOTE,)
    own, others = (tuple(_limited(row, names) for row in group) for group in (own_rows(benchmarks), rows))
    return PublishedTable(names, own, others, notes)


def _limited(row: PublishedRow, names: tuple[str, ...]) -> PublishedRow:
    """A row without scores of other benchmarks and without a mean that is not of the given ones."""
    scores = {name: row.scores[name] for name in names if name in row.scores}
    return replace(row, scores=scores, mean=row.mean if len(names) == len(THREE) else None)


def _is_whole(found: BenchmarkResults) -> bool:
    if found.data.problems:
        return False
    judged = found.judged
    return judged is None or (not judged.unjudged_pairs and judged.items == sum(found.data.items.values()))
