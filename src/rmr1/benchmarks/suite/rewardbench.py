"""RewardBench (Lambert and others 2024, arXiv 2403.13787): 2,985 pairs in 23 subsets of four sections.

Hub: ``allenai/reward-bench``, split ``filtered``. A row::

    {"id": 30, "subset": "alpacaeval-easy", "prompt": "...", "chosen": "...", "rejected": "..."}

A section is the mean of its subsets weighted by their sizes, except that math-prm weighs 984, as much as the six code subsets
together, although it has 447 pairs. The score is the plain mean of the sections. The authors' code for judges that write takes
the first of [[A]] and [[B]] that it looks for, in this order, and gives half a point where it finds neither.

``rewardbench-prior`` adds four older test sets, as the first leaderboard did in its column "Prior Sets (0.5 weight)": the splits
anthropic_helpful, anthropic_hhh, shp and summarize of ``allenai/preference-test-sets``. Their figure is the plain mean of the four,
and the score the mean of the sections and this figure, which weighs half as much as a section. (The authors' script for judges that
write leaves out conversations of more than four messages; here all are judged.)

The revision in ``HUB`` is not pinned; the sizes are checked at each run instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath

from rmr1.benchmarks.benchmark import RM_R1, STRICT, Benchmark, FileLayout, Part, Policy, Protocol
from rmr1.records import PreferencePair
from rmr1.stats import Average

HUB = "hf:allenai/reward-bench#filtered"
SECTIONS: dict[str, dict[str, int]] = {
    "Chat": {
        "alpacaeval-easy": 100,
        "alpacaeval-length": 95,
        "alpacaeval-hard": 95,
        "mt-bench-easy": 28,
        "mt-bench-med": 40,
    },
    "Chat Hard": {
        "mt-bench-hard": 37,
        "llmbar-natural": 100,
        "llmbar-adver-neighbor": 134,
        "llmbar-adver-GPTInst": 92,
        "llmbar-adver-GPTOut": 47,
        "llmbar-adver-manual": 46,
    },
    "Safety": {
        "refusals-dangerous": 100,
        "refusals-offensive": 100,
        "xstest-should-refuse": 154,
        "xstest-should-respond": 250,
        "donotanswer": 136,
    },
    "Reasoning": {
        "math-prm": 447,
        "hep-cpp": 164,
        "hep-go": 164,
        "hep-java": 164,
        "hep-js": 164,
        "hep-python": 164,
        "hep-rust": 164,
    },
}
SIZES = {subset: size for section in SECTIONS.values() for subset, size in section.items()}
MATH_WEIGHT = 984
PRIOR_HUB = "hf:allenai/preference-test-sets"
PRIOR = {"anthropic_helpful": 6192, "anthropic_hhh": 221, "shp": 1741, "summarize": 9000}
PRIOR_WEIGHT = 0.5


def metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """Score, sections, and the share of all pairs; the same under every protocol."""
    sections = {name: _section(subsets) for name, subsets in SECTIONS.items()}
    return {
        "score": Average(tuple(sections.values())),
        **sections,
        "micro": Average(tuple(SIZES), by_size=True),
    }


def _section(subsets: Mapping[str, int]) -> Average:
    weights = tuple(float(MATH_WEIGHT if subset == "math-prm" else size) for subset, size in subsets.items())
    return Average(tuple(subsets), weights)


REWARDBENCH = Benchmark(
    name="rewardbench",
    title="RewardBench",
    source="https://huggingface.co/datasets/allenai/reward-bench, split filtered",
    folders=("reward-bench", "RewardBench", "rewardbench"),
    sizes=SIZES,
    layouts=(
        FileLayout(("filtered*.parquet",), one=True),
        FileLayout(("filtered*.json", "filtered*.jsonl"), one=True),
        *(FileLayout((pattern,), named=True, one=True) for pattern in ("*.parquet", "*.jsonl", "*.json")),
    ),
    metrics=metrics,
    policies={
        "official": Policy(
            "drawn",
            rule="rewardbench",
            invalid=0.5,
            tie=0.5,
            note="one order; the mark for A anywhere in the text, else that for B; neither is half a point",
        ),
        "rm-r1": RM_R1,
        "strict": STRICT,
    },
    hub=(Part(HUB, "filtered"),),
)


def prior_metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """The score with the prior sets, that without them, the sections, and each prior set."""
    core = metrics(protocol)
    prior = Average(tuple(PRIOR))
    weights = (*(1.0 for _ in SECTIONS), PRIOR_WEIGHT)
    return {
        "score": Average((*(core[name] for name in SECTIONS), prior), weights),
        "score without prior sets": core["score"],
        **{name: core[name] for name in SECTIONS},
        "prior sets": prior,
        **{name: Average((name,)) for name in PRIOR},
    }


def _prior_subset(pair: PreferencePair, part: Part) -> str:
    """The prior set that a file's name tells, whatever its rows say; else the subset."""
    file = PurePath(part.name).name
    return next((name for name in PRIOR if file == name or file.startswith(f"{name}-")), pair.category)


REWARDBENCH_PRIOR = replace(
    REWARDBENCH,
    name="rewardbench-prior",
    title="RewardBench with prior sets",
    source=f"{REWARDBENCH.source}, and https://huggingface.co/datasets/allenai/preference-test-sets",
    folders=(*REWARDBENCH.folders, "preference-test-sets", "pref-test-sets"),
    sizes=SIZES | PRIOR,
    metrics=prior_metrics,
    policies={protocol: REWARDBENCH.policies[protocol] for protocol in ("official", "strict")},
    also=(
        (
            FileLayout(tuple(f"{name}-*.parquet" for name in PRIOR)),
            *(FileLayout(tuple(f"{name}.{ending}" for name in PRIOR)) for ending in ("parquet", "jsonl", "json")),
        ),
    ),
    hub=(*REWARDBENCH.hub, *(Part(f"{PRIOR_HUB}#{name}", name) for name in PRIOR)),
    subset=_prior_subset,
)
