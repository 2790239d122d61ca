"""Pairs and samples for the tests of curation."""

from __future__ import annotations

from typing import Any

from rmr1.records import Message, PreferencePair, Side


def make_pair(
    a: str = "seven", b: str = "eight", *, prompt: str = "Name a prime.", label: Side | None = "A", **more: Any
) -> PreferencePair:
    turns = (Message("assistant", a),), (Message("assistant", b),)
    return PreferencePair(more.pop("id", "p"), (Message("user", prompt),), *turns, label, **more)
