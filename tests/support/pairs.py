"""Pairs and samples for the tests of curation."""

from __future__ import annotations

from typing import Any

from rmr1.records import Message, PreferencePair, Side


def make_pair(
    a: str = "seven", b: str = "eight", *, prompt: str = "Name a prime.", label: Side | None = "A", **more: Any
) -> PreferencePair:
    turns = (Message("assistant", a),), (Message("assistant", b),)
    return PreferencePair(more.pop("id", "p"), (Message("user", prompt),), *turns, label, **more)


def sample_row(pair_id: str, shown: str, order: str = "ab", label: str | None = "A", vote: int = 0) -> dict[str, Any]:
    return {
        "pair": 0,
        "index": 0,
        "request": f"{pair_id}/{order}/{vote}",
        "pair_id": pair_id,
        "group": pair_id,
        "category": "",
        "label": label,
        "order": order,
        "vote": vote,
        "text": f"<answer>{shown}</answer>",
        "finish_reason": "stop",
        "think_open": False,
        "usage": {},
        "p_shown_a": None,
        "fenced": 0,
        "prompt_sha256": "",
    }
