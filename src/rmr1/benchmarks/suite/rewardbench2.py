"""RewardBench 2 (Malik and others 2025, arXiv 2506.01937): 1,865 prompts with one right response among four, and *Ties*.

Hub: ``allenai/reward-bench-2``, split ``test``. A row::

    {"id": "...", "subset": "Math", "prompt": "...", "chosen": ["..."], "rejected": ["...", "...", "..."], ...}

The authors ask a judge that writes once for the best of the four responses, shown in a random order, and so does ``rewardbench2``:
the mark of a letter anywhere in the text is the choice, and a text without one counts a quarter, as much as a guess. Where they ask
for ratings instead, those that tie for the best share the point; that is not offered here.

``rewardbench2-pairs`` is another task, and ours: the chosen response is compared with each rejected one, and a prompt is right if
it beats all three, so that a coin gets 1/8. Its score is no score of the authors' table.

The subset *Ties* (102 prompts with many right responses) asks how far apart ratings lie: it is left out of both.

The revision in ``HUB`` is not pinned; the sizes are checked at each run instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

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


TIES = "The subset Ties needs a score for each response by itself; it is not part of the score here."
REWARDBENCH2 = Benchmark(
    name="rewardbench2",
    title="RewardBench 2",
    source="https://huggingface.co/datasets/allenai/reward-bench-2, split test",
    folders=("reward-bench-2", "RewardBench2", "rewardbench2"),
    sizes=SIZES,
    metrics=metrics,
    policies={
        "official": Policy(
            "drawn",
            invalid=0.25,
            tie=0.5,
            note="one choice among four; a text without a choice is a quarter of a point",
        ),
    },
    layouts=tuple(
        FileLayout((pattern,), named=True, one=True) for pattern in ("test*.parquet", "*.parquet", "*.jsonl", "*.json")
    ),
    hub=(Part(HUB, "test"),),
    subset=_subset,
    choice=True,
    not_computed={"strict": "a choice among four has no two orders", "rm-r1": "its authors have no choice among four"},
    notes=(TIES,),
)
REWARDBENCH2_PAIRS = replace(
    REWARDBENCH2,
    name="rewardbench2-pairs",
    title="RewardBench 2 in pairs",
    policies={
        "pairs": Policy(
            "drawn",
            note="one order; right if the chosen response beats each rejected one (a coin gets 1/8); no verdict is no win",
        ),
        "strict": STRICT,
    },
    observe=observe,
    whole_items=True,
    choice=False,
    not_computed={"official": "it asks once for the best of four; --bench rewardbench2 does that"},
)
