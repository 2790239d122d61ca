"""A run's RewardBench figures in the shape of the leaderboard's results.

Followed here: ``scripts/run_generative.py`` and ``save_to_hub`` in ``rewardbench/utils.py`` of github.com/allenai/reward-bench, and
the files ``scripts/results/eval-set/general-preference/*.json`` there. The data set ``allenai/reward-bench-results`` holds a
file ``eval-set/ORG/MODEL.json`` for each model: a share for each of the 23 subsets, ``model``, ``model_type`` (``Generative RM``
for judges that write) and ``chat_template`` (null unless a FastChat template was named), keys sorted, indented by four.

RewardBench 2 has a repository of its own, ``allenai/reward-bench-2-results``, with the same shape over six subsets
(``scripts/run_generative_v2.py``). One of them is *Ties*, which needs a score for each response by itself: such a file cannot be
made of choices or comparisons.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from rmr1.benchmarks.suite.rewardbench import REWARDBENCH
from rmr1.errors import ConfigError, RunError
from rmr1.results import EvalResults, Figure

PROTOCOL = "official"
MODEL_TYPE = "Generative RM"
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_NAMED_AS_ON_THE_HUB = ("openai", "hf")
"""Engines whose models are usually called as on the hub; elsewhere a name with one slash is a file."""


def leaderboard_entry(results: EvalResults, model: str | None = None) -> dict[str, object]:
    """The content of ``eval-set/ORG/MODEL.json``.

    Args:
        results: Of the run.
        model: ORG/MODEL; taken from the run where its engine names models so.

    Raises:
        RunError: The run has no RewardBench, or not all of it, or no official score.
        ConfigError: The model's name is not ORG/MODEL.
    """
    found = results.benchmarks.get(REWARDBENCH.name)
    if found is None:
        raise RunError(
            f"no {REWARDBENCH.title} in this run{_of_the_second(results)}; judge it with --bench rewardbench"
        )
    if PROTOCOL not in found.protocols:
        reason = found.not_computed.get(PROTOCOL, "not computed")
        raise RunError(f"{REWARDBENCH.title} has no score under the protocol {PROTOCOL}: {reason}")
    cells = found.protocols[PROTOCOL].cells
    lacking = list(_lacking(cells))
    if lacking:
        more = f" and {len(lacking) - 3} others" if len(lacking) > 3 else ""
        raise RunError(f"not the whole of {REWARDBENCH.title}: {', '.join(lacking[:3])}{more}; judge all of it first")
    shares = {subset: cells[subset].value for subset in REWARDBENCH.sizes}
    return {**shares, "model": _model(results, model), "model_type": MODEL_TYPE, "chat_template": None}


def leaderboard_text(entry: Mapping[str, object]) -> str:
    """The text of the file."""
    return json.dumps(entry, indent=4, sort_keys=True) + "\n"


def _lacking(cells: Mapping[str, Figure]) -> Iterator[str]:
    for subset, size in REWARDBENCH.sizes.items():
        judged = cells[subset].n if subset in cells else 0
        if judged != size:
            yield f"{subset} has {judged} of {size} pairs"
    yield from (f"{cell} is no subset of it" for cell in cells if cell not in REWARDBENCH.sizes)


def _model(results: EvalResults, given: str | None) -> str:
    engine, _, own = results.judge.engine.partition("/")
    name = given or (own if engine in _NAMED_AS_ON_THE_HUB else "")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--model-name {given or 'is not given'}: the leaderboard files results under ORG/MODEL")
    return name


def _of_the_second(results: EvalResults) -> str:
    if "rewardbench2" not in results.benchmarks:
        return ""
    return ", and the file of RewardBench 2 cannot be made here: its subset Ties needs a score for each response"
