"""Your own pairs: any file that ``rmr1 judge`` reads, with a category column if it has subsets.

The score is the accuracy of ``rmr1 judge`` on the same pairs: right is a pair of which every order that was judged names the
better response. Pairs that people call ties are in ``agreement``, the share of all labelled pairs of which every order says what
people say; where each order is judged once, that is the agreement that Auto-J reports (Li and others 2023, arXiv 2310.05470).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rmr1.benchmarks.benchmark import ALL, ALL_WITH_TIES, STRICT, Benchmark, Part, Policy, Protocol
from rmr1.stats import Average

NO_CATEGORY = "no category"


def metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """The accuracy on all pairs whose label is a side, the plain mean of the categories, and the agreement on ties as well."""
    return {
        "accuracy": Average((ALL,), by_size=True),
        "mean of categories": Average((ALL,)),
        "agreement": Average((ALL_WITH_TIES,), by_size=True),
    }


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
        "official": Policy("agree", note="right in every order that was judged; an invalid verdict is not right"),
        "strict": STRICT,
    },
    subset=lambda pair, part: (pair.category or NO_CATEGORY) if pair.label else None,
    keeps_ties=True,
)
