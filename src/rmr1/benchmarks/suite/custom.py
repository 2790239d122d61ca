"""Your own pairs: any file that ``rmr1 judge`` reads, with a category column if it has subsets.

The score is the mean over the orders that were judged, of all labelled pairs; the categories stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rmr1.benchmarks.benchmark import ALL, STRICT, Benchmark, Part, Policy, Protocol
from rmr1.stats import Average

NO_CATEGORY = "no category"


def metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """The accuracy on all pairs and the plain mean of the categories."""
    return {"accuracy": Average((ALL,), by_size=True), "mean of categories": Average((ALL,))}


def _find(path: Path) -> tuple[Part, ...]:
    return (Part(str(path), path.name),)


CUSTOM = Benchmark(
    name="custom",
    title="Own pairs",
    source="a file of pairs",
    folders=(),
    sizes={},
    find=_find,
    metrics=metrics,
    policies={
        "official": Policy("mean", note="the mean over the orders that were judged; an invalid verdict is not right"),
        "strict": STRICT,
    },
    subset=lambda pair, part: (pair.category or NO_CATEGORY) if pair.label else None,
)
