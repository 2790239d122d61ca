"""RewardBench 2 (Malik and others 2025, arXiv 2506.01937): 1,865 prompts with one right response among four, and *Ties*.

Hub: ``allenai/reward-bench-2``, split ``test``. A row::

    {"id": "...", "subset": "Math", "prompt": "...", "chosen": ["..."], "rejected": ["...", "...", "..."], ...}

A prompt is right if the chosen response is the best of the four; where it ties with others for the best place it counts one
over the number of those that tie. Here the chosen response is compared with each rejected one: a lost comparison makes the
prompt wrong, and a comparison without a verdict is a tie, so that a judge which never decides gets a quarter, as in the
authors' code. The subset *Ties* (102 prompts with many right responses) asks how far apart pointwise scores lie, which
comparisons cannot tell: it is left out.

The revision in ``HUB`` is not pinned; the sizes are checked at each run instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rmr1.benchmarks.benchmark import STRICT, Benchmark, Entry, Part, Policy, Protocol, Value, by_item
from rmr1.benchmarks.suite.files import parts
from rmr1.records import PreferencePair
from rmr1.stats import Average

HUB = "hf:allenai/reward-bench-2#test"
SIZES = {"Factuality": 475, "Precise IF": 160, "Math": 183, "Safety": 450, "Focus": 495}
LEFT_OUT = "Ties"


def metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """Score: the plain mean of the subsets; the same under every protocol."""
    return {"score": Average(tuple(SIZES)), **{name: Average((name,)) for name in SIZES}}


def observe(values: Iterable[tuple[Entry, float]]) -> Iterator[Value]:
    """Best of four: nothing for a lost comparison, else one over the number of responses in the first place."""
    for entry, item in by_item(values):
        ties = sum(value < 1.0 for value in item)
        yield Value(0.0 if min(item) <= 0.0 else 1.0 / (1 + ties), entry.subset, entry.prompt)


def _subset(pair: PreferencePair, part: Part) -> str | None:
    return None if pair.category == LEFT_OUT else pair.category


REWARDBENCH2 = Benchmark(
    name="rewardbench2",
    title="RewardBench 2",
    source="https://huggingface.co/datasets/allenai/reward-bench-2, split test",
    folders=("reward-bench-2", "RewardBench2", "rewardbench2"),
    sizes=SIZES,
    find=lambda folder: parts(folder, "**/test*.parquet", "*.parquet", "*.jsonl", "*.json"),
    metrics=metrics,
    policies={
        "official": Policy(
            "drawn", invalid=0.5, tie=0.5, note="one order; no verdict is a tie; a tie among k gives 1/k"
        ),
        "strict": STRICT,
    },
    hub=(Part(HUB, "test"),),
    subset=_subset,
    observe=observe,
    whole_items=True,
    notes=("The subset Ties needs a score for each response by itself; it is not part of the score here.",),
)
