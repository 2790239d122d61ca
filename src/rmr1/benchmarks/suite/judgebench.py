"""JudgeBench (Tan and others 2024, arXiv 2410.12784): pairs of which one response is correct, written by one model.

Hub: ``ScalerLab/JudgeBench``, splits ``gpt`` (350 pairs by GPT-4o) and ``claude`` (270 by Claude 3.5 Sonnet). A row::

    {"pair_id": "...", "source": "mmlu-pro-law", "question": "...", "response_A": "...", "response_B": "...", "label": "A>B"}

The authors' repository has them in ``data``; its folder ``outputs`` holds the same pairs again with what other judges made of
them, in files that name a judge, and is not read.

Each pair is judged in both orders; +1 for each right one, -1 for each wrong one, nothing without a verdict; a pair is right if
the sum is above 0. The leaderboard shows the GPT-4o pairs.

The revision in ``HUB`` is not pinned; the sizes are checked at each run instead.
"""

from __future__ import annotations

from collections.abc import Mapping

from rmr1.benchmarks.benchmark import STRICT, Benchmark, FileLayout, Part, Policy, Protocol
from rmr1.records import PreferencePair
from rmr1.stats import Average

HUB = "hf:ScalerLab/JudgeBench"
SIZES = {"gpt": 350, "claude": 270}
SOURCES = {
    "mmlu-pro": "knowledge",
    "livebench-reasoning": "reasoning",
    "livebench-math": "math",
    "livecodebench": "coding",
}


def metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """The accuracy on the pairs of each writer, and of each kind of question."""
    cells = {writer: tuple(f"{writer}/{kind}" for kind in SOURCES.values()) for writer in SIZES}
    return {
        **{writer: Average(cells[writer], by_size=True) for writer in SIZES},
        **{cell: Average((cell,)) for writer in SIZES for cell in cells[writer]},
    }


def _subset(pair: PreferencePair, part: Part) -> str:
    writer = next((writer for writer in SIZES if writer in part.name), part.name)
    kind = next((kind for source, kind in SOURCES.items() if pair.category.startswith(source)), pair.category)
    return f"{writer}/{kind}"


def _writer(subset: str) -> str:
    """The writer of the pairs of a subset; a kind of question that the benchmark has not stays what it is."""
    writer, _, kind = subset.partition("/")
    return writer if kind in SOURCES.values() else subset


def _not_judged(path: str, name: str) -> Part | None:
    return None if "judge_name=" in name else Part(path, name)


JUDGEBENCH = Benchmark(
    name="judgebench",
    title="JudgeBench",
    source="https://huggingface.co/datasets/ScalerLab/JudgeBench",
    folders=("JudgeBench", "judgebench"),
    sizes=SIZES,
    layouts=(
        FileLayout(("dataset=*response_model=*.jsonl",), part=_not_judged),
        *(
            FileLayout(tuple(f"{writer}*{ending}" for writer in SIZES), named=True, part=_not_judged)
            for ending in (".parquet", ".jsonl", ".json")
        ),
    ),
    metrics=metrics,
    policies={
        "official": Policy("sum", note="right if more orders are right than wrong; no verdict counts as neither"),
        "strict": STRICT,
    },
    hub=tuple(Part(f"{HUB}#{split}", split) for split in SIZES),
    subset=_subset,
    counted_as=_writer,
)
