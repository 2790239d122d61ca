"""Changes of raw rows that no mapping of columns can express, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rmr1.data.rows import RowError


def math_step_dpo(row: Mapping[str, Any]) -> Mapping[str, Any]:
    r"""Join the steps that both sides share to the two that differ, as the paper does with Math-Step-DPO-10K.

    A row: ``{"dataset": "MATH", "prompt": "...", "initial_reason_steps": "Let's think step by step.\nStep 1: ...\nStep 2:",
    "chosen": " 3 + 4 = 7.", "rejected": " 3 + 4 = 8.", "full_chosen": "...", "full_rejected": "...", "answer": "7"}``

    Raises:
        RowError: A column is missing.
    """
    shared = _text(row, "initial_reason_steps", missing="")
    return {
        "prompt": _text(row, "prompt"),
        "chosen": shared + _text(row, "chosen"),
        "rejected": shared + _text(row, "rejected"),
        "category": _text(row, "dataset", missing=""),
    }


ROW_READERS: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {"math_step_dpo": math_step_dpo}


def _text(row: Mapping[str, Any], column: str, *, missing: str | None = None) -> str:
    value = row.get(column, missing)
    if not isinstance(value, str):
        raise RowError(f'"{column}" is missing')
    return value
