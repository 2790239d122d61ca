"""What a recipe asks for of a source's raw rows: conditions on their columns, and a reader by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rmr1.curation.readers import ROW_READERS
from rmr1.curation.recipe import Condition
from rmr1.data import RowTransform
from rmr1.data.rows import RowError


def row_transform(reader: str | None, where: Mapping[str, Condition]) -> RowTransform | None:
    """The change that a source of a recipe asks for: conditions on the columns as they are, then the named reader.

    Returns:
        A function for ``load_pairs``, or None where nothing is asked for.
    """
    if reader is None and not where:
        return None
    change = ROW_READERS[reader] if reader else None

    def transform(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if not all(_holds(condition, _value(row, column)) for column, condition in where.items()):
            return None
        return row if change is None else change(row)

    return transform


def _holds(condition: Condition, value: object) -> bool:
    if condition.include is not None:
        return str(value) in map(str, condition.include)
    return str(value) not in map(str, condition.exclude or ())


def _value(row: Mapping[str, Any], column: str) -> object:
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
