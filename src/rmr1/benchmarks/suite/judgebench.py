"""JudgeBench (Tan and others 2024, arXiv 2410.12784): pairs of which one response is correct, written by one model.

Hub: ``ScalerLab/JudgeBench``, splits ``gpt`` (350 pairs by GPT-4o) and ``claude`` (270 by Claude 3.5 Sonnet). A row::

    {"pair_id": "...", "source": "mmlu-pro-law", "question": "...", "response_A": "...", "response_B": "...", "label": "A>B"}

Each pair is judged in both orders; +1 for each right one, -1 for each wrong one, nothing without a verdict; a pair is right if
the sum is above 0. The leaderboard shows the GPT-4o pairs.

The revision in ``HUB`` is not pinned; the sizes are checked at each run instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rmr1.benchmarks.benchmark import STRICT, Benchmark, Part, Policy, Protocol
from rmr1.benchmarks.suite.files import parts
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
    kinds = (*SOURCES.values(), "other")
    cells = {writer: tuple(f"{writer}/{kind}" for kind in kinds) for writer in SIZES}
    return {
        **{writer: Average(cells[writer], by_size=True) for writer in SIZES},
        **{cell: Average((cell,)) for writer in SIZES for cell in cells[writer]},
    }


def _subset(pair: PreferencePair, part: Part) -> str:
    writer = next((writer for writer in SIZES if writer in part.name), part.name)
    kind = next((kind for source, kind in SOURCES.items() if pair.category.startswith(source)), "other")
    return f"{writer}/{kind}"


def _find(folder: Path) -> tuple[Part, ...]:
    found = parts(folder, "**/*response_model=*.jsonl", "**/*gpt*.jsonl")
    return found if "gpt" not in "".join(part.name for part in found) else _with_claude(folder, found)


def _with_claude(folder: Path, found: tuple[Part, ...]) -> tuple[Part, ...]:
    names = {part.path for part in found}
    return found + tuple(part for part in parts(folder, "**/*claude*.jsonl") if part.path not in names)


JUDGEBENCH = Benchmark(
    name="judgebench",
    title="JudgeBench",
    source="https://huggingface.co/datasets/ScalerLab/JudgeBench",
    folders=("JudgeBench", "judgebench"),
    sizes=SIZES,
    find=_find,
    metrics=metrics,
    policies={
        "official": Policy("sum", note="right if more orders are right than wrong; no verdict counts as neither"),
        "strict": STRICT,
    },
    hub=tuple(Part(f"{HUB}#{split}", split) for split in SIZES),
    subset=_subset,
    counted_as=lambda subset: subset.partition("/")[0],
)
