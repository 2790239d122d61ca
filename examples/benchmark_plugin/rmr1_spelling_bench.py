"""A benchmark of pairs whose rejected response has spelling mistakes: ``--bench spelling --data FOLDER``.

The folder holds a file for each kind of mistake, such as ``swapped.jsonl``; a row is
``{"prompt": "...", "chosen": "...", "rejected": "..."}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rmr1.benchmarks import STRICT, Benchmark, Part, Policy, Protocol
from rmr1.stats import Average

SIZES = {"swapped": 3, "missing": 3}
"""Kinds of mistakes, and how many prompts of each the whole benchmark has."""


def parts(folder: Path) -> tuple[Part, ...]:
    """The files of the benchmark that a folder holds."""
    return tuple(Part(str(folder / f"{kind}.jsonl"), kind) for kind in SIZES if (folder / f"{kind}.jsonl").is_file())


def metrics(protocol: Protocol) -> Mapping[str, Average]:
    """The score is the plain mean over the kinds of mistakes; each kind stands beside it."""
    return {"score": Average(tuple(SIZES)), **{kind: Average((kind,)) for kind in SIZES}}


SPELLING = Benchmark(
    name="spelling",
    title="Spelling",
    source="the folder that you wrote",
    folders=("spelling",),
    sizes=SIZES,
    find=parts,
    metrics=metrics,
    policies={
        "official": Policy("mean", note="the mean over both orders; an invalid verdict is not right"),
        "strict": STRICT,
    },
    subset=lambda pair, part: part.name,
)
