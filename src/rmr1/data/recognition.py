"""Which shape the rows of a source have; decided once, by the columns of its first row, and said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rmr1.data.columns import LABEL_VALUES, NAMES, candidates, check_overrides, is_ambiguous, listed
from rmr1.data.messages import holds_conversations, is_conversation
from rmr1.errors import DataError
from rmr1.records import Side

Family = Literal["chosen_rejected", "ab", "n_responses", "judge_prompt"]

REQUIRED: dict[Family, tuple[str, ...]] = {
    "chosen_rejected": ("chosen", "rejected"),
    "ab": ("response_a", "response_b"),
    "n_responses": ("prompt", "responses"),
    "judge_prompt": ("prompt",),
}
OPTIONAL: dict[Family, tuple[str, ...]] = {
    "chosen_rejected": ("prompt", "system", "id", "group", "category"),
    "ab": ("prompt", "system", "label", "id", "group", "category"),
    "n_responses": ("system", "scores", "ranks", "id", "group", "category"),
    "judge_prompt": ("label", "id", "group", "category"),
}
MARKS: dict[Family, frozenset[str]] = {
    "chosen_rejected": frozenset({"chosen", "rejected"}),
    "ab": frozenset({"response_a", "response_b"}),
    "n_responses": frozenset({"responses", "scores", "ranks"}),
    "judge_prompt": frozenset(),
}
"""Fields whose mapping by the user asks for a family where several fit."""

JUDGE_PROMPT_COLUMN = "context_messages"

SHAPES_KNOWN = r"""Shapes known:
  prompt, chosen, rejected              texts, lists of messages, or lists of several responses
  chosen, rejected                      whole conversations: lists of messages, or texts that begin with \n\nHuman:
  prompt, response_a, response_b        with label: A, B, model_a, model_b or tie
  prompt, responses                     a list, with a list of scores or ranks
  context_messages, winner              the rendered judge prompts of RM-R1"""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a source are read.

    Args:
        family: Which reader of rows applies.
        columns: The column that holds each of our fields.
        label_words: Values of the label column, folded to lower case, to which the user gave a side.
        numeric_labels: Whether 0 means A and 1 means B: only where the user named the label column.
    """

    family: Family
    columns: Mapping[str, str]
    label_words: Mapping[str, Side]
    numeric_labels: bool = False


def recognise(row: Mapping[str, Any], overrides: Mapping[str, str], name: str) -> Layout:
    """Recognise the shape of a source.

    Args:
        row: The first row. Its columns decide; values only tell whether responses without a prompt hold whole
            conversations.
        overrides: The user's mapping of our fields to columns; it wins over the table of names.
        name: The source, for messages.

    Raises:
        DataError: If no shape fits, or several; it lists the columns found, the shapes known and an example of
            ``--columns``.
    """
    check_overrides(row, overrides, name)
    columns = candidates(row, overrides)
    fitting = [family for family in REQUIRED if _fits(family, columns, row, overrides)]
    fitting = [family for family in fitting if MARKS[family] & overrides.keys()] or fitting
    if len(fitting) > 1 and "judge_prompt" in fitting:
        fitting.remove("judge_prompt")  # context_messages beside responses is the conversation that they answer
    if not fitting:
        raise DataError(f"{name}: no known shape; columns found: {listed(row)}\n{SHAPES_KNOWN}\n{_example(row)}")
    if len(fitting) > 1:
        both = " and ".join("/".join(columns[field][0] for field in REQUIRED[family]) for family in fitting)
        example = ",".join(f"{field}={columns[field][0]}" for field in REQUIRED[fitting[0]])
        raise DataError(
            f"{name}: several shapes fit: {both}; columns found: {listed(row)}\n{SHAPES_KNOWN}\n"
            f"Say which, for example: --columns {example}"
        )
    return _layout(fitting[0], columns, row, overrides, name)


def _fits(
    family: Family, columns: Mapping[str, list[str]], row: Mapping[str, Any], overrides: Mapping[str, str]
) -> bool:
    if not all(field in columns for field in REQUIRED[family]):
        return False
    if family == "judge_prompt":
        column = columns["prompt"][0]
        return column.casefold() == JUDGE_PROMPT_COLUMN or ("prompt" in overrides and is_conversation(row[column]))
    # Without a prompt column only responses that hold it themselves can be read.
    return "prompt" in columns or all(holds_conversations(row[columns[field][0]]) for field in REQUIRED[family])


def _layout(
    family: Family, columns: Mapping[str, list[str]], row: Mapping[str, Any], overrides: Mapping[str, str], name: str
) -> Layout:
    chosen: dict[str, str] = {}
    for field in (*REQUIRED[family], *OPTIONAL[family]):
        names = columns.get(field, [])
        if is_ambiguous(field, names):
            raise DataError(
                f'{name}: "{field}" could be any of {listed(names)}; columns found: {listed(row)}\n{SHAPES_KNOWN}\n'
                f"Say which, for example: --columns {field}={names[0]}"
            )
        if names:
            chosen[field] = names[0]
    if chosen.get("group") == chosen.get("id"):
        chosen.pop("group", None)
    sides: tuple[Side, Side] = ("A", "B")
    words = {overrides[key].casefold(): side for key, side in zip(LABEL_VALUES, sides, strict=True) if key in overrides}
    return Layout(family, chosen, words, numeric_labels="label" in overrides and not words)


def _example(row: Mapping[str, Any]) -> str:
    """Show ``--columns`` with columns of this file where there are enough of them."""
    names = [column for column in row if column.casefold() not in NAMES["id"]]
    names += ["COLUMN"] * (3 - len(names))
    return f"Name the columns, for example: --columns prompt={names[0]},chosen={names[1]},rejected={names[2]}"
