"""Two judges side by side of which at least one is known by its released figures alone, not by its completions.

Released files say how many comparisons of a set were right, not which. So figures are compared by their intervals, and nothing
can be said about single comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rmr1.benchmarks.benchmark import Protocol
from rmr1.benchmarks.released import is_released, score_released
from rmr1.benchmarks.results import score_run
from rmr1.benchmarks.suite.registry import BENCHMARKS
from rmr1.errors import RunError
from rmr1.results import Estimate
from rmr1.stats import unpaired_difference

PROTOCOL: Protocol = "rm-r1"
"""The one protocol that released figures have."""
UNPAIRED_NOTE = (
    "the intervals are unpaired: released files do not say which comparisons were right, so what makes an item hard for both "
    "judges is not taken out, and a difference that a paired comparison would show may not show here"
)
INDEPENDENT_NOTE = (
    "released counts are taken as independent comparisons, since the files do not say which share a prompt: true intervals of "
    "their figures are wider"
)
PROTOCOL_NOTE = f"protocol {PROTOCOL}, the only one that released figures have, whichever is asked for"
UNCOUNTED = "no interval: its figures are released without counts"


def compare_unpaired(first: Path, second: Path) -> dict[str, Any]:
    """Compare released figures with a run or with other released figures, under the protocol ``rm-r1``.

    Returns:
        For each benchmark of both: ``metrics`` and ``cells`` with ``first``, ``second``, the difference (second less first) and its
        interval, which is None where one of the two has none; ``notes``: what qualifies them. ``not_compared``: the other
        benchmarks, with the reason. ``notes``: what holds for all.

    Raises:
        DataError: A released file is not what it should be.
        RunError: One of them is neither released nor a run of ``rmr1 eval``, or they have no benchmark in common.
        JournalError: A journal is damaged.
    """
    paths = (first, second)
    left, right = (score_released(path) if is_released(path) else score_run(path) for path in paths)
    one, other = left["benchmarks"], right["benchmarks"]
    shared = [name for name in BENCHMARKS if name in one and name in other]
    if not shared:
        raise RunError(f"{first} and {second}: no benchmark is in both; {', '.join(one)} and {', '.join(other)}")
    missing = {name: f"only in {first if name in one else second}" for name in {**one, **other} if name not in shared}
    return {
        "runs": [str(first), str(second)],
        "protocol": PROTOCOL,
        "paired": False,
        "notes": [PROTOCOL_NOTE, UNPAIRED_NOTE, INDEPENDENT_NOTE],
        "not_compared": missing,
        "benchmarks": {name: _compare(one[name], other[name], paths) for name in shared},
    }


def _compare(one: Mapping[str, Any], other: Mapping[str, Any], paths: tuple[Path, Path]) -> dict[str, Any]:
    for found, path in zip((one, other), paths, strict=True):
        if PROTOCOL not in found["protocols"]:
            return {"problem": f"{path}: {found['not_computed'].get(PROTOCOL, 'nothing is scored')}"}
    left, right = (found["protocols"][PROTOCOL] for found in (one, other))
    notes = [note for found, path in zip((one, other), paths, strict=True) for note in _lacking(found, path)]
    compared = {kind: _differences(left[kind], right[kind]) for kind in ("metrics", "cells")}
    if any(figure["low"] is None for figure in compared["metrics"].values()):
        notes.append(UNCOUNTED)
    released = [block["metrics"] for found, block in ((one, left), (other, right)) if "judged" not in found]
    left_out = [name for name in {**released[0], **released[-1]} if name not in compared["metrics"]]
    if left_out:
        notes.append(f"not compared, since a run lacks subsets of them: {', '.join(left_out)}")
    return {**compared, "notes": notes}


def _differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Differences of the figures of both; a figure that is not of all its subsets is another figure, and is left out."""
    return {
        name: _difference(left[name], right[name])
        for name in left
        if name in right and not (left[name].get("missing") or right[name].get("missing"))
    }


def _difference(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"first": left["value"], "second": right["value"]}
    if left["low"] is None or right["low"] is None:
        return found | {"value": right["value"] - left["value"], "low": None, "high": None, "p": None}
    value, low, high = unpaired_difference(_estimate(left), _estimate(right))
    return found | {"value": value, "low": low, "high": high, "p": None}


def _estimate(figure: Mapping[str, Any]) -> Estimate:
    return Estimate(**{field.name: figure[field.name] for field in fields(Estimate)})


def _lacking(found: Mapping[str, Any], path: Path) -> Iterator[str]:
    """What keeps a run's figures from being those of the whole benchmark."""
    yield from (f"{path}: not the whole benchmark: {problem}" for problem in found["data"]["problems"])
    judged = found.get("judged")
    items = sum(found["data"].get("items", {}).values())
    if judged and judged["items"] < items:
        yield f"{path}: {judged['items']} of {items} items, and subsets weigh in figures by size as far as they are judged"
