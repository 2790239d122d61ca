"""Run directories as an earlier process leaves them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rmr1.records import Order, Side
from rmr1.runs import RunDirectory
from tests.support.completions import completion

Sample = tuple[str, str, Order, int, Side | None]
"""Name of a pair, what the judge wrote, the order, the vote, the label."""


def write_run(path: Path, identity: Mapping[str, object], **journals: Iterable[Mapping[str, Any]]) -> Path:
    """A run with these journals, by their names without the ending."""
    with RunDirectory(path, identity) as run:
        for name, records in journals.items():
            with run.rewrite(f"{name}.jsonl", sealed=True) as add:
                for record in records:
                    add(record)
    return path


def write_judge_run(path: Path, samples: Iterable[Sample], votes: int = 1) -> Path:
    """A run of ``rmr1 judge`` in both orders with these completions; pairs are numbered as they come."""
    numbers: dict[str, int] = {}
    records = []
    for pair_id, shown, order, vote, label in samples:
        number = numbers.setdefault(pair_id, len(numbers))
        one = completion(
            f"<answer>{shown}</answer>",
            pair_id=pair_id,
            group=pair_id,
            label=label,
            order=order,
            vote=vote,
            pair=number,
            index=("ab", "ba").index(order) * votes + vote,
        )
        records.append(one.to_record())
    identity = {"job": "judge", "rule": "default", "orders": "both", "votes": votes, "seed": 0}
    return write_run(path, identity, completions=records)


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit a file by hand, as a user would."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
