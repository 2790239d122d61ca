"""Pairs and samples for the tests of curation."""

from __future__ import annotations

from typing import Any

from rmr1.records import Message, Order, PreferencePair, Side
from tests.support.completions import completion


def make_pair(
    a: str = "seven", b: str = "eight", *, prompt: str = "Name a prime.", label: Side | None = "A", **more: Any
) -> PreferencePair:
    turns = (Message("assistant", a),), (Message("assistant", b),)
    return PreferencePair(more.pop("id", "p"), (Message("user", prompt),), *turns, label, **more)


def sample_row(
    pair_id: str, shown: str, order: Order = "ab", label: Side | None = "A", vote: int = 0
) -> dict[str, Any]:
    text = f"<answer>{shown}</answer>"
    return completion(text, pair_id=pair_id, group=pair_id, label=label, order=order, vote=vote).to_record()
