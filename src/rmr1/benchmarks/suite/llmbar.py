"""LLMBar (Zeng and others 2023, arXiv 2310.07641): 419 pairs of which one response follows the instruction.

Data: the folder ``Dataset/LLMBar`` of the authors' repository (``princeton-nlp/LLMBar``). The data set of this name on the hub is a
script that fetches these files; scripts are not run, so clone the repository. A row::

    {"input": "...", "output_1": "...", "output_2": "...", "label": 1}

Each pair is shown in both orders. The accuracy of a subset is the mean over both presentations, a verdict of none being wrong.
*Adversarial* is the plain mean of the four adversarial subsets, and the score the plain mean of all five, as in the paper's tables;
``micro`` is the share of all completions. *Agreement* is how often both presentations prefer the same response. The authors' code
compares verdicts, so that none and none agree: ``official`` counts so, ``strict`` does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath

from rmr1.benchmarks.benchmark import STRICT, Benchmark, FileLayout, Part, Policy, Protocol, agreement_cell
from rmr1.stats import Average

SIZES = {"Natural": 100, "Neighbor": 134, "GPTInst": 92, "GPTOut": 47, "Manual": 46}
ADVERSARIAL = tuple(name for name in SIZES if name != "Natural")
COLUMNS = {
    "prompt": "input",
    "response_a": "output_1",
    "response_b": "output_2",
    "label": "label",
    "label_a": "1",
    "label_b": "2",
}


def metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """The mean accuracy of all subsets, of the adversarial ones, the share of all completions, each subset; agreement likewise."""
    return {
        "accuracy": Average(tuple(SIZES)),
        "adversarial": Average(ADVERSARIAL),
        "micro": Average(tuple(SIZES), by_size=True),
        **{name: Average((name,)) for name in SIZES},
        "agreement": Average(tuple(agreement_cell(name) for name in SIZES)),
        "adversarial agreement": Average(tuple(agreement_cell(name) for name in ADVERSARIAL)),
    }


def _part(path: str, name: str) -> Part | None:
    subset = PurePath(path).parent.name
    return Part(path, subset, COLUMNS) if subset in SIZES else None


LLMBAR = Benchmark(
    name="llmbar",
    title="LLMBar",
    source="https://github.com/princeton-nlp/LLMBar, folder Dataset/LLMBar",
    folders=("LLMBar", "llmbar"),
    sizes=SIZES,
    metrics=metrics,
    policies={
        "official": Policy(
            "mean",
            none_agrees=True,
            note="the mean over both presentations, then over subsets; no verdict is not right; none and none agree",
        ),
        "strict": replace(STRICT, none_agrees=False),
    },
    layouts=(
        FileLayout(("Natural/dataset.json", "Adversarial/*/dataset.json"), part=_part),
        FileLayout(tuple(f"{name}/dataset.json" for name in SIZES), part=_part),
    ),
    subset=lambda pair, part: part.name,
)
