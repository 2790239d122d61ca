"""The sample rows of docs/data.md are read as the guide says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rmr1.data import load_pairs
from rmr1.data.shapes import NAMES

GUIDE = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
SAMPLES = [
    (shape, row)
    for shape, rows in re.findall(r"```json (\w+)\n(.*?)```", GUIDE, re.DOTALL)
    for row in rows.splitlines()
]


def test_the_guide_has_samples_of_every_shape() -> None:
    assert {shape for shape, _ in SAMPLES} == {
        "chosen_rejected",
        "conversations",
        "hh",
        "ab",
        "n_responses",
        "judge_prompt",
    }


@pytest.mark.parametrize(("shape", "row"), SAMPLES)
def test_sample(tmp_path: Path, shape: str, row: str) -> None:
    path = tmp_path / "sample.jsonl"
    path.write_text(row, encoding="utf-8")
    source = load_pairs(path)
    assert source.shape.name == shape
    for pair in source:
        better = pair.response_b if pair.label == "B" else pair.response_a
        assert pair.prompt[-1].content == "Name a prime."
        assert better[0].content == "7"


def test_the_guide_lists_every_column_name() -> None:
    table = GUIDE[GUIDE.index("| field | columns |") :]
    for names in NAMES.values():
        assert all(f"`{name}`" in table for name in names)
