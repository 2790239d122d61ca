"""The recognised shape of a source, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from rmr1.data.messages import is_conversation, is_dialogue, read_conversation
from rmr1.data.recognition import Layout
from rmr1.data.rows import RowError

ShapeName = Literal["chosen_rejected", "conversations", "hh", "ab", "n_responses", "judge_prompt"]

SHOWN_FIELDS = (
    "prompt",
    "system",
    "chosen",
    "rejected",
    "response_a",
    "response_b",
    "responses",
    "scores",
    "ranks",
    "label",
)
SIDES: dict[str, tuple[str, str]] = {"chosen_rejected": ("chosen", "rejected"), "ab": ("response_a", "response_b")}


@dataclass(frozen=True, slots=True)
class Shape:
    """How the rows of a source are read.

    Args:
        name: ``chosen_rejected`` (responses beside a prompt), ``conversations`` (message lists that begin with the
            prompt), ``hh`` (Human/Assistant texts that begin with the prompt), ``ab``, ``n_responses``, or
            ``judge_prompt`` (rendered, RM-R1).
        columns: The column that holds each of our fields.
        sentence: What ``describe`` says.
    """

    name: ShapeName
    columns: Mapping[str, str]
    sentence: str

    def describe(self) -> str:
        """Say in a sentence how the rows are read."""
        return self.sentence


def shape_of(layout: Layout, first: Mapping[str, Any], source: str) -> Shape:
    """Describe a layout, with what the first row shows of its values."""
    columns = layout.columns
    fields = [_shown(field, columns[field]) for field in SHOWN_FIELDS if field in columns]
    name, detail = _detail(layout, first)
    label = [] if layout.family != "ab" or "label" in columns else ["no label"]
    file_name = source if source.startswith("hf:") else PurePath(source).name
    return Shape(name, columns, f"{file_name}: {', '.join(['/'.join(fields), detail, *label])}")


def _shown(field: str, column: str) -> str:
    return column if column.casefold() == field else f"{column} ({field})"


def _detail(layout: Layout, first: Mapping[str, Any]) -> tuple[ShapeName, str]:
    if layout.family == "judge_prompt":
        return "judge_prompt", "rendered judge prompts, from which the question and both responses are taken"
    if layout.family == "n_responses":
        return "n_responses", "any two responses of unequal scores are a pair"
    kind, detail = _kind_of_responses(layout, first)
    if layout.family == "ab":
        return "ab", detail
    return kind, detail


def _kind_of_responses(layout: Layout, first: Mapping[str, Any]) -> tuple[ShapeName, str]:
    name_a, name_b = (layout.columns[field] for field in SIDES[layout.family])
    value_a, value_b = first.get(name_a), first.get(name_b)
    both = f"{name_a} and {name_b}"
    if "prompt" not in layout.columns and is_dialogue(value_a):
        return "hh", f"{both} are Human/Assistant texts, and what they begin with in common is the prompt"
    if is_conversation(value_a) and is_conversation(value_b):
        if _begins_with_assistant(value_a, name_a):
            return "chosen_rejected", f"{both} are messages"
        return "conversations", f"{both} are whole conversations, and what they begin with in common is the prompt"
    if isinstance(value_a, list) or isinstance(value_b, list):
        return "chosen_rejected", f"{both} are lists ({_size(value_a)} x {_size(value_b)} pairs in the first row)"
    return "chosen_rejected", f"{both} are texts"


def _begins_with_assistant(conversation: Any, name: str) -> bool:
    try:
        return read_conversation(conversation, name)[0].role == "assistant"
    except RowError:  # the row will be refused by its own message
        return False


def _size(value: object) -> int:
    return len(value) if isinstance(value, list) and not is_conversation(value) else 1
