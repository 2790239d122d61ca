"""PPE, Preference Proxy Evaluations (Frick and others 2024, arXiv 2410.14872): votes of people, and answers that can be verified.

Hub: ``lmarena-ai/PPE-Human-Preference-V1`` and ``lmarena-ai/PPE-{MMLU-Pro,MATH,GPQA,IFEval,MBPP-Plus}-Best-of-K``. A row of
each kind::

    {"question_id": "...", "prompt": "...", "response_1": "...", "response_2": "...", "winner": "model_a", ...}
    {"question_id": "...", "prompt": "...", "response_1": "...", ..., "response_32": "...", "model_name": "...",
     "scores": [true, ...], "sampled_conflict_pairs": [[0, 3], ...], ...}

Of the twelve metrics of the authors, two are accuracies of comparisons, and these are computed: the share of votes that the
judge agrees with (ties are left out), and the share of sampled pairs of a right and a wrong answer. The ten others rank models,
or 32 answers of one prompt, by scores that comparisons do not give.

The revisions in ``HUB`` are not pinned, and the sizes have not been compared with the hub's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rmr1.benchmarks.benchmark import STRICT, Benchmark, FileLayout, Part, Policy, Protocol
from rmr1.records import PreferencePair
from rmr1.stats import Average

PREFERENCE = "Human-Preference-V1"
CORRECTNESS = {"MMLU-Pro": 512, "MATH": 512, "GPQA": 512, "IFEval": 512, "MBPP-Plus": 507}
FORMATS = ("parquet", "jsonl", "json")
KEPT = "kept_pairs"


def metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """Agreement with people, the mean over the five kinds of verified answers, and each of these."""
    return {
        "preference": Average(("preference",)),
        "correctness": Average(tuple(CORRECTNESS)),
        **{name: Average((name,)) for name in CORRECTNESS},
    }


def conflict_pairs(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row of best of K as N responses with scores, and the names of the pairs among them that the authors sampled."""
    responses = [row[f"response_{number}"] for number in range(1, len(row["scores"]) + 1)]
    sampled = {f"{min(pair)}-{max(pair)}" for pair in row["sampled_conflict_pairs"]}
    return {
        "id": "/".join(str(row[name]) for name in ("question_id", "model_name") if name in row),
        "prompt": row["prompt"],
        "responses": responses,
        "scores": [float(score) for score in row["scores"]],
        KEPT: " ".join(sorted(sampled)),
    }


def _subset(pair: PreferencePair, part: Part) -> str | None:
    if part.name.partition("/")[0] == PREFERENCE:
        return "preference" if pair.label else None
    set_name = part.name.partition("/")[0]
    return set_name if pair.id.rpartition("#")[2] in str(pair.extra.get(KEPT, "")).split() else None


def _part(path: str, name: str) -> Part:
    if name.partition("/")[0] == PREFERENCE:
        columns = {"prompt": "prompt", "response_a": "response_1", "response_b": "response_2", "label": "winner"}
        return Part(path, name, {**columns, "id": "question_id"})
    return Part(path, name, transform=conflict_pairs)


def _found(path: str, name: str) -> Part | None:
    """The part of a file in a folder such as ``PPE-GPQA-Best-of-K``; shards are told apart by their names."""
    inner, _, rest = name.partition("/")
    shard = f"/{rest.rpartition('/')[2]}" if "-of-" in rest else ""
    known = (known for known in (PREFERENCE, *CORRECTNESS) if inner.startswith(f"PPE-{known}"))
    return next((_part(path, known + shard) for known in known), None)


PPE = Benchmark(
    name="ppe",
    title="PPE",
    source="https://huggingface.co/lmarena-ai, data sets PPE-*",
    folders=("PPE", "ppe"),
    sizes=CORRECTNESS,
    layouts=(
        FileLayout(
            tuple(f"PPE-*/**/*.{ending}" for ending in FORMATS) + tuple(f"PPE-*.{ending}" for ending in FORMATS),
            part=_found,
        ),
    ),
    metrics=metrics,
    policies={
        "official": Policy(
            "drawn", note="one order; an invalid verdict is not right; votes of people that are ties are left out"
        ),
        "strict": STRICT,
    },
    hub=(
        _part(f"hf:lmarena-ai/PPE-{PREFERENCE}#test", PREFERENCE),
        *(_part(f"hf:lmarena-ai/PPE-{name}-Best-of-K#train", name) for name in CORRECTNESS),
    ),
    subset=_subset,
    notes=("Ten of the twelve metrics of its authors rank models or 32 answers by scores; they are not computed.",),
)
