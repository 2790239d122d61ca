"""EvalBiasBench (Park and others 2024, arXiv 2407.06551): 80 pairs whose worse response has what judges fall for, of six kinds.

Data: ``data/evalbiasbench/biasbench.json`` of ``ncsoft/offsetbias``, an object with a list for each kind::

    {"length bias": [{"bias": "length bias", "instruction": "...", "response1": "...", "response2": "...", "label": 1}, ...], ...}

Each pair is shown in both orders. As in the authors' script, ``official`` counts the presentations that are right, and how often
both name the same response; ``strict`` the pairs that are right in both. No verdict is neither right nor agreement. Their script
prints the figures of each kind; ``accuracy`` over all pairs stands before them here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rmr1.benchmarks.benchmark import STRICT, Benchmark, FileLayout, Part, Policy, Protocol, agreement_cell
from rmr1.stats import Average

SIZES = {
    "length bias": 17,
    "concreteness": 14,
    "empty reference": 13,
    "content_continuation": 12,
    "nested_instruction": 12,
    "familiar knowledge preference bias": 12,
}
COLUMNS = {
    "prompt": "instruction",
    "response_a": "response1",
    "response_b": "response2",
    "label": "label",
    "label_a": "1",
    "label_b": "2",
    "category": "bias",
}


def metrics(protocol: Protocol = "official") -> Mapping[str, Average]:
    """The share of all pairs, each kind of bias, and agreement over all pairs."""
    return {
        "accuracy": Average(tuple(SIZES), by_size=True),
        **{name: Average((name,)) for name in SIZES},
        "agreement": Average(tuple(agreement_cell(name) for name in SIZES), by_size=True),
    }


EVALBIASBENCH = Benchmark(
    name="evalbiasbench",
    title="EvalBiasBench",
    source="https://github.com/ncsoft/offsetbias, file data/evalbiasbench/biasbench.json",
    folders=("evalbiasbench", "EvalBiasBench", "offsetbias"),
    sizes=SIZES,
    metrics=metrics,
    policies={
        "official": Policy(
            "mean",
            none_agrees=False,
            note="the mean over both presentations; no verdict is not right, and agrees with nothing",
        ),
        "strict": replace(STRICT, none_agrees=False),
    },
    layouts=(FileLayout(("biasbench.json",), part=lambda path, name: Part(path, "biasbench", COLUMNS)),),
)
