"""Conditions on columns."""

from __future__ import annotations

import pytest

from rmr1.curation.raw_rows import Condition, rows_where
from rmr1.data.rows import RowError


def test_rows_of_other_values_are_left_out() -> None:
    transform = rows_where({"extra.level": Condition(include=[1, "2"]), "x": Condition(exclude=["no"])})
    assert transform is not None
    assert transform({"x": "yes", "extra": {"level": 2}})
    assert transform({"x": "no", "extra": {"level": 2}}) is None
    assert transform({"x": "yes", "extra": {"level": 3}}) is None
    assert rows_where({}) is None


def test_a_condition_on_a_column_that_is_not_there_is_refused() -> None:
    transform = rows_where({"x": Condition(exclude=["no"])})
    assert transform is not None
    with pytest.raises(RowError, match=r'"x", which is not there'):
        transform({"y": "yes"})
