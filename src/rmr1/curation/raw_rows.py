"""Which raw rows of a source a recipe asks for: conditions on their columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmr1.data import RowTransform
from rmr1.data.rows import RowError, has_column, value_at


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


def rows_where(where: Mapping[str, Condition]) -> RowTransform | None:
    """A function for ``load_pairs`` that leaves out rows of other values; None without conditions.

    Args:
        where: Conditions by column; ``extra.level`` looks inside ``extra``.
    """
    if not where:
        return None

    def transform(row: Mapping[str, object]) -> Mapping[str, object] | None:
        for column, condition in where.items():
            if not has_column(row, column):  # a condition on a misspelt column would pass everything
                raise RowError(f'"where" asks for the column "{column}", which is not there')
            if not _holds(condition, value_at(row, column)):
                return None
        return row

    return transform


def _holds(condition: Condition, value: object) -> bool:
    if condition.include is not None:
        return str(value) in map(str, condition.include)
    return str(value) not in map(str, condition.exclude or ())
