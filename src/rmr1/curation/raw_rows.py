"""What a recipe asks for of a source's raw rows: conditions on their columns, and changes by name that no mapping of columns can
express.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmr1.data import RowTransform
from rmr1.data.rows import RowError


class Condition(BaseModel):
    """Which values of a column stay. Values are compared as texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    include: Annotated[list[Any] | None, Field(description="Only these")] = None
    exclude: Annotated[list[Any] | None, Field(description="All but these")] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Condition:
        if (self.include is None) == (self.exclude is None):
            raise ValueError('give either "include" or "exclude"')
        return self


def math_step_dpo(row: Mapping[str, object]) -> Mapping[str, object]:
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


ROW_READERS: dict[str, Callable[[Mapping[str, object]], Mapping[str, object]]] = {"math_step_dpo": math_step_dpo}


def row_transform(reader: str | None, where: Mapping[str, Condition]) -> RowTransform | None:
    """The change that a source of a recipe asks for: conditions on the columns as they are, then the named reader.

    Returns:
        A function for ``load_pairs``, or None where nothing is asked for.
    """
    if reader is None and not where:
        return None
    change = ROW_READERS[reader] if reader else None

    def transform(row: Mapping[str, object]) -> Mapping[str, object] | None:
        if not all(_holds(condition, _value(row, column)) for column, condition in where.items()):
            return None
        return row if change is None else change(row)

    return transform


def _holds(condition: Condition, value: object) -> bool:
    if condition.include is not None:
        return str(value) in map(str, condition.include)
    return str(value) not in map(str, condition.exclude or ())


def _value(row: Mapping[str, object], column: str) -> object:
    """Look a column up, ``extra.level`` inside ``extra``.

    Raises:
        RowError: There is none: a condition on a misspelt column would pass everything.
    """
    value: Any = row
    for part in (column,) if column in row else column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise RowError(f'"where" asks for the column "{column}", which is not there')
        value = value[part]
    return value


def _text(row: Mapping[str, object], column: str, *, missing: str | None = None) -> str:
    value = row.get(column, missing)
    if not isinstance(value, str):
        raise RowError(f'"{column}" is missing')
    return value
