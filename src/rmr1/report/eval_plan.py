"""The plan of an evaluation as a table, and as a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rmr1.report.judge_report import Table
from rmr1.report.terminal import duration

COUNTED = ("items", "pairs", "generations", "prompt_tokens", "most_written_tokens", "cost", "seconds")
_COLUMNS = ("items", "comparisons", "completions", "prompt tokens", "written tokens", "cost", "time")


def plan_table(plans: Sequence[Mapping[str, Any]], basis: str = "") -> Table:
    """What an evaluation will ask, with cost and time where the plan has them.

    Args:
        plans: One for each benchmark.
        basis: What cost and time are estimated from.
    """
    rows = [(plan["benchmark"], *_texts(plan).values()) for plan in plans]
    if len(plans) > 1:
        rows.append(("all", *_texts(_sum(plans)).values()))
    columns = tuple(column for name, column in zip(COUNTED, _COLUMNS, strict=True) if name in plans[0])
    title = "Plan: nothing is judged" + (f"; estimates from {basis}" if basis else "")
    return Table(title, ("benchmark", *columns), tuple(rows))


def plan_line(plans: Sequence[Mapping[str, Any]], basis: str = "") -> str:
    """The sum of a plan in a line."""
    texts = _texts(_sum(plans))
    said = ", ".join(
        f"{texts[name]} {word}"
        for name, word in zip(
            COUNTED[1:5], ("comparisons", "completions", "prompt tokens", "written tokens"), strict=True
        )
    )
    estimates = [f"{word} {texts[name]}" for name, word in (("cost", "cost"), ("seconds", "time")) if name in texts]
    return f"plan: {'; '.join([said, *estimates])}" + (f" (estimates from {basis})" if basis else "")


def _sum(plans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: sum(plan[name] for plan in plans) for name in COUNTED if name in plans[0]}


def _texts(plan: Mapping[str, Any]) -> dict[str, str]:
    texts = {name: f"{plan[name]:,}" for name in ("items", "pairs", "generations")}
    texts["prompt_tokens"] = f"about {plan['prompt_tokens']:,}"
    texts["most_written_tokens"] = f"at most {plan['most_written_tokens']:,}"
    if "cost" in plan:
        texts["cost"] = f"at most about {_money(plan['cost'])}"
    if "seconds" in plan:
        texts["seconds"] = f"at most about {duration(plan['seconds'])}"
    return texts


def _money(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 else f"{value:.2g}"
