"""RM-Bench (Liu and others 2024, arXiv 2410.16184): 1,327 prompts, three styles of a right and of a wrong response each.

Hub: ``THU-KEG/RM-Bench`` (``total_dataset.json``); the authors' repository has a file for each domain. A row::

    {"id": 8, "prompt": "...", "chosen": ["concise", "detailed", "detailed markdown"], "rejected": ["...", "...", "..."], ...}

M[i][j] is the share of prompts whose chosen response of style i beats the rejected one of style j. Hard is the mean above the
diagonal, where the wrong response is the showier one; normal the diagonal; easy the mean below it. A domain is the mean of the
three, and the total is the mean of four domains.

The released code of RM-R1 keeps the nine cells in three result files, reads the third twice and never the second: cell (0,1) holds
the results of (0,2), (1,2) those of (1,0), and (2,0) those of (2,1). Hard, easy, the domains and the total of the paper's tables
inherit it; ``rm-r1`` repeats it.

The revision in ``HUB`` is not pinned; the sizes are checked at each run instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath

from rmr1.benchmarks.benchmark import RM_R1, STRICT, Benchmark, Entry, FileLayout, Part, Policy, Protocol, Value
from rmr1.records import PreferencePair
from rmr1.stats import Average

HUB = "hf:THU-KEG/RM-Bench#train"
SIZES = {"chat": 129, "math": 529, "code": 228, "safety": 441}
LEVELS: dict[str, tuple[str, ...]] = {
    "hard": ("01", "02", "12"),
    "normal": ("00", "11", "22"),
    "easy": ("10", "20", "21"),
}
SLIP = {"01": "02", "12": "10", "20": "21"}
"""The cells that the released code of RM-R1 fills, and the ones from which it fills them."""


def metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """Total, levels, domains, and the levels of each domain."""
    slip = SLIP if protocol == "rm-r1" else {}
    levels = {
        (domain, level): Average(tuple(f"{domain}/{slip.get(cell, cell)}" for cell in cells))
        for domain in SIZES
        for level, cells in LEVELS.items()
    }
    domains = {domain: Average(tuple(levels[domain, level] for level in LEVELS)) for domain in SIZES}
    return {
        "total": Average(tuple(domains.values())),
        **{level: Average(tuple(levels[domain, level] for domain in SIZES)) for level in LEVELS},
        **domains,
        **{f"{domain} {level}": levels[domain, level] for domain in SIZES for level in LEVELS},
    }


def observe(values: Iterable[tuple[Entry, float]]) -> Iterator[Value]:
    """Each comparison counts in the cell of its domain and of its two styles."""
    for entry, value in values:
        chosen, rejected = entry.place
        yield Value(value, f"{entry.subset}/{chosen}{rejected}", entry.prompt)


def _subset(pair: PreferencePair, part: Part) -> str:
    """The domain: the authors' files name it in a column, in the id, or in the file's own name."""
    item = pair.id.partition("/")[0]
    named = [str(pair.extra.get("domain")), pair.category, item, PurePath(part.name).name]
    domains = [name.partition("_")[0].partition("-")[0] for name in named]
    return next((domain for domain in domains if domain in SIZES), pair.category or "no domain")


RM_BENCH = Benchmark(
    name="rm-bench",
    title="RM-Bench",
    source="https://huggingface.co/datasets/THU-KEG/RM-Bench",
    folders=("RM-Bench", "rm-bench", "rm_bench"),
    sizes=SIZES,
    layouts=(
        FileLayout(("total_dataset.json",)),
        FileLayout(tuple(f"{domain}*_filtered.json" for domain in SIZES)),
    ),
    metrics=metrics,
    policies={
        "official": Policy("drawn", note="one order; a comparison without a verdict is not won"),
        "rm-r1": Policy(
            RM_R1.orders, rule=RM_R1.rule, note=f"{RM_R1.note}; three of the nine cells hold the results of others"
        ),
        "strict": STRICT,
    },
    hub=(Part(HUB, "total_dataset"),),
    subset=_subset,
    observe=observe,
)
