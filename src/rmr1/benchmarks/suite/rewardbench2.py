"""RewardBench 2 (Malik and others 2025, arXiv 2506.01937): 1,865 prompts with one right response among four, and *Ties*.

Hub: ``allenai/reward-bench-2``, split ``test``. A row::

    {"id": "...", "subset": "Math", "prompt": "...", "chosen": ["..."], "rejected": ["...", "...", "..."], ...}

The authors ask a judge that writes once for the best of the four responses, or for a rating of each (a coin gets 1/4). Comparisons
are another task: ``pairs`` compares the chosen response with each rejected one, and a prompt is right if it beats all three, so
that a coin gets 1/8. Its score is no score of the authors' table. The subset *Ties* (102 prompts with many right responses) asks
how far apart ratings lie, which comparisons cannot tell: it is left out.

The revision in ``HUB`` is not pinned; the sizes are checked at each run instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rmr1.benchmarks.benchmark import STRICT, Benchmark, Entry, FileLayout, Part, Policy, Protocol, Value, by_item
from rmr1.records import PreferencePair
from rmr1.stats import Average

HUB = "hf:allenai/reward-bench-2#test"
SIZES = {"Factuality": 475, "Precise IF": 160, "Math": 183, "Safety": 450, "Focus": 495}
LEFT_OUT = "Ties"


def metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """Score: the plain mean of the subsets; the same under every protocol."""
    return {"score": Average(tuple(SIZES)), **{name: Average((name,)) for name in SIZES}}


def observe(values: Iterable[tuple[Entry, float]]) -> Iterator[Value]:
    """A prompt counts if every comparison is won."""
    for entry, item in by_item(values):
        yield Value(float(min(item) >= 1.0), entry.subset, entry.prompt)


def _subset(pair: PreferencePair, part: Part) -> str | None:
    return None if pair.category == LEFT_OUT else pair.category


REWARDBENCH2 = Benchmark(
    name="rewardbench2",
    title="RewardBench 2",
    source="https://huggingface.co/datasets/allenai/reward-bench-2, split test",
    folders=("reward-bench-2", "RewardBench2", "rewardbench2"),
    sizes=SIZES,
    layouts=tuple(
        FileLayout((pattern,), named=True, one=True) for pattern in ("test*.parquet", "*.parquet", "*.jsonl", "*.json")
    ),
    metrics=metrics,
    policies={
        "pairs": Policy(
            "drawn",
            note="one order; right if the chosen response beats each rejected one (a coin gets 1/8); no verdict is no win",
        ),
        "strict": STRICT,
    },
    hub=(Part(HUB, "test"),),
    subset=_subset,
    observe=observe,
    whole_items=True,
    not_computed={
        "official": "the authors ask once for the best of four, or for ratings; these are comparisons of two"
    },
    notes=("The subset Ties needs a score for each response by itself; it is not part of the score here.",),
)
