"""Conditions on columns, and changes of rows by name."""

from __future__ import annotations

import pytest

from rmr1.curation.raw_rows import Condition, math_step_dpo, row_transform
from rmr1.data.rows import RowError


def test_conditions_and_the_reader_of_steps() -> None:
    transform = row_transform(None, {"extra.level": Condition(include=[1, "2"]), "x": Condition(exclude=["no"])})
    assert transform is not None
    assert transform({"x": "yes", "extra": {"level": 2}})
    assert transform({"x": "no", "extra": {"level": 2}}) is None
    assert transform({"x": "yes", "extra": {"level": 3}}) is None
    with pytest.raises(RowError, match=r'"x", which is not there'):
        transform({"y": "yes", "extra": {"level": 2}})
    assert row_transform(None, {}) is None
    with pytest.raises(RowError, match='"prompt" is missing'):
        math_step_dpo({"chosen": "a", "rejected": "b"})
    assert math_step_dpo({"prompt": "p", "chosen": "a", "rejected": "b"})["chosen"] == "a"
