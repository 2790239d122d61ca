"""The summary of a distillation as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rmr1.report.console import share


def distill_rows(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The lines of a summary: name and value.

    Args:
        results: The content of the run's ``results.json``.
    """
    total = results["comparisons"]
    yield "comparisons", f"{total} of {results['pairs']} pairs"
    for outcome, meaning in (
        ("kept", "kept (the teacher is right)"),
        ("repaired", "repaired (right at the second pass)"),
        ("rejected", "rejected"),
        ("faulted", "the engine failed; the same command tries again"),
        ("left", "not asked yet"),
    ):
        count = results[outcome]
        if count or outcome in ("kept", "rejected"):
            reasons = results["rejected_by_reason"] if outcome == "rejected" else {}
            yield meaning, f"{count} ({share(count / total if total else None)}){_counts(reasons)}"
    by_label = ", ".join(f"{side} {count}" for side, count in results["traces_by_label"].items())
    yield "traces (by their verdict)", f"{results['traces']}" + (f" ({by_label})" if by_label else "")
    for role, one in results["passes"].items():
        tokens = f"{one['tokens']['prompt_tokens']} prompt, {one['tokens']['completion_tokens']} written"
        cost = "" if one["cost"] is None else f", cost {one['cost']:g}"
        right = share(one["right"] / one["answered"] if one["answered"] else None)
        yield role, f"{one['answered']} answers, {right} right{_counts(one['rejected'])}; tokens: {tokens}{cost}"
    if results["problems"]:
        yield "problems of format in the traces", _counts(results["problems"]).removeprefix(": ")
    if results["leaked_hints"]:
        yield "leaked hints, by pattern", _counts(results["leaked_hints"]).removeprefix(": ")


def _counts(counts: Mapping[str, int]) -> str:
    return ": " + ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()) if counts else ""
