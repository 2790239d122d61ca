"""LLMBar (Zeng and others 2023, arXiv 2310.07641): 419 pairs of which one response follows the instruction.

Data: the folder ``Dataset/LLMBar`` of the authors' repository (``princeton-nlp/LLMBar``). A row::

    {"input": "...", "output_1": "...", "output_2": "...", "label": 1}

The score is the share of completions that are right, over both orders where both were judged; an invalid verdict is not right.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rmr1.benchmarks.benchmark import STRICT, Benchmark, Part, Policy, Protocol
from rmr1.benchmarks.suite.files import matching
from rmr1.stats import Average

SIZES = {"Natural": 100, "Neighbor": 134, "GPTInst": 92, "GPTOut": 47, "Manual": 46}
COLUMNS = {
    "prompt": "input",
    "response_a": "output_1",
    "response_b": "output_2",
    "label": "label",
    "label_a": "1",
    "label_b": "2",
}


def metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """The accuracy on all pairs, on the adversarial ones, and on each subset."""
    adversarial = tuple(name for name in SIZES if name != "Natural")
    return {
        "accuracy": Average(tuple(SIZES), by_size=True),
        "adversarial": Average(adversarial, by_size=True),
        **{name: Average((name,)) for name in SIZES},
    }


def _find(folder: Path) -> tuple[Part, ...]:
    files = matching(folder, "Dataset/LLMBar/**/dataset.json", "LLMBar/**/dataset.json", "**/dataset.json")
    return tuple(Part(str(path), path.parent.name, COLUMNS) for path in files if path.parent.name in SIZES)


LLMBAR = Benchmark(
    name="llmbar",
    title="LLMBar",
    source="https://github.com/princeton-nlp/LLMBar, folder Dataset/LLMBar",
    folders=("LLMBar", "llmbar"),
    sizes=SIZES,
    find=_find,
    metrics=metrics,
    policies={
        "official": Policy("mean", note="the mean over the orders that were judged; an invalid verdict is not right"),
        "strict": STRICT,
    },
    subset=lambda pair, part: part.name,
)
