"""What the labels of a source mean: words, numbers, strengths, scores of both sides, or a column for each outcome.

Which number means which side differs from one public format to the next; the formats whose columns say which they are stand in
``KNOWN_NUMBERS``. For any other the user says it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rmr1.data.rows import RowError, value_at
from rmr1.records import Label, Side

LABEL_VALUES: dict[str, Label] = {"label_a": "A", "label_b": "B", "label_tie": "tie"}
"""Keys of the user's mapping that give values of the label column, not a column."""

SIGNS = frozenset({"negative", "positive"})
"""What the user gives instead of values where the sign of a number says which side is better; 0 is a tie."""

_NAMES = ("model", "response", "answer", "output", "completion", "assistant", "conversation", "summary")
WORDS: dict[str, Label] = {
    **{f"{name}{gap}{side.lower()}": side for name in _NAMES for gap in ("_", " ") for side in ("A", "B")},
    "a": "A",
    "a>b": "A",
    "a>>b": "A",
    "b<a": "A",
    "b<<a": "A",
    "b": "B",
    "b>a": "B",
    "b>>a": "B",
    "a<b": "B",
    "a<<b": "B",
    "c": "tie",
    "a=b": "tie",
    "a==b": "tie",
    "b=a": "tie",
    "a~b": "tie",
    "tie": "tie",
    "draw": "tie",
    "equal": "tie",
    "same": "tie",
    "both": "tie",
    "both good": "tie",
    "both_good": "tie",
    "both bad": "tie",
    "both_bad": "tie",
    "bothbad": "tie",
    "neither": "tie",
    "0.5": "tie",
}
"""Words in small letters, without brackets around them and without white space around signs."""

INDEX: dict[str, Label] = {"0": "A", "1": "B"}
Numbers = Mapping[str, Label] | tuple[Side, Side]
"""What numbers mean: each by its value, or the sides of negative and positive ones."""


@dataclass(frozen=True, slots=True)
class KnownNumbers:
    """Numbers of a public format.

    Args:
        label: The label column.
        first: The column of its first response, as a condition; "" for any.
        numbers: What they mean.
    """

    label: str
    first: str
    numbers: Numbers


KNOWN_NUMBERS = (
    KnownNumbers("better_response_id", "response_0", INDEX),  # PKU-SafeRLHF
    KnownNumbers("safer_response_id", "response_0", INDEX),
    KnownNumbers("labels", "human_ref_a", {"1": "A", "0": "B"}),  # SHP
    KnownNumbers("preference_strength", "response_1", ("A", "B")),  # HelpSteer2: -3 to 3
    KnownNumbers("overall_preference", "response1", ("A", "B")),  # HelpSteer3: -3 to 3
    KnownNumbers("label", "response 1", {"0": "A", "1": "B", "2": "tie"}),  # Auto-J
)

ONE_HOT: dict[str, Label] = {"winner_a": "A", "winner_b": "B", "winner_tie": "tie"}
"""Fields that hold 1 for the outcome of the row and 0 for the others."""

LabelKind = Literal["none", "value", "one_hot", "scores"]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How the labels of a source are read.

    Args:
        kind: A value of one column, a column for each outcome, or a score for each side.
        values: What the user's values mean, in small letters.
        numbers: What bare numbers mean; None where they are refused.
    """

    kind: LabelKind = "none"
    values: Mapping[str, Label] = field(default_factory=dict)
    numbers: Numbers | None = None


def label_rule(columns: Mapping[str, str], overrides: Mapping[str, str]) -> LabelRule:
    """Choose how labels are read.

    Args:
        columns: The columns that hold our fields.
        overrides: The user's mapping. By naming the label column the user accepts 0 for A and 1 for B, unless the response columns
            are themselves numbered 1 and 2.
    """
    if "label" not in columns:
        if {"winner_a", "winner_b"} <= columns.keys():
            return LabelRule("one_hot")
        return LabelRule("scores") if {"score_a", "score_b"} <= columns.keys() else LabelRule()
    said = {key: overrides[key].strip().casefold() for key in LABEL_VALUES if key in overrides}
    if SIGNS & set(said.values()):
        negative: Side = "A" if said.get("label_a") == "negative" or said.get("label_b") == "positive" else "B"
        return LabelRule("value", numbers=(negative, "B" if negative == "A" else "A"))
    if said:
        values = {_folded(value): LABEL_VALUES[key] for key, text in said.items() for value in text.split("|")}
        return LabelRule("value", values)
    label, first = columns["label"].casefold(), columns.get("response_a", "").casefold()
    for known in KNOWN_NUMBERS:
        if label == known.label and known.first in ("", first):
            return LabelRule("value", numbers=known.numbers)
    named = "label" in overrides and not first.endswith("1")
    return LabelRule("value", numbers=INDEX if named else None)


def read_label(row: Mapping[str, object], columns: Mapping[str, str], rule: LabelRule) -> Label | None:
    """Read the label of a row; None for a row without one.

    Raises:
        RowError: If the value is no label.
    """
    if rule.kind == "one_hot":
        return _one_hot(row, columns)
    if rule.kind == "scores":
        return _by_scores(*(_number(row, columns[name]) for name in ("score_a", "score_b")))
    if rule.kind == "none":
        return None
    value = value_at(row, columns["label"])
    word = _folded(value)
    if not word:
        return None
    label = rule.values.get(word) or _by_number(word, rule.numbers)
    if label is None and (not rule.values or WORDS.get(word) == "tie"):
        label = _by_word(word, row, columns)
    if label is None:
        name = columns["label"]
        raise RowError(
            f'"{name}" is {value!r}, which is not A, B or tie; '
            f"say what means A and B, for example --columns label={name},label_a=1,label_b=2"
        )
    return label


def _one_hot(row: Mapping[str, object], columns: Mapping[str, str]) -> Label | None:
    values = {name: _flag(row, columns[name]) for name in ONE_HOT if name in columns}
    if all(value is None for value in values.values()):
        return None
    found = [name for name, value in values.items() if value]
    if len(found) != 1:
        listed = ", ".join(f'"{columns[name]}"' for name in values)
        raise RowError(f"{len(found)} of the columns {listed} hold 1, not one of them")
    return ONE_HOT[found[0]]


def _flag(row: Mapping[str, object], column: str) -> float | None:
    """1 or 0, also as tables write truth values."""
    value = value_at(row, column)
    words = {"true": 1.0, "false": 0.0}
    return words[value.casefold()] if isinstance(value, str) and value.casefold() in words else _number(row, column)


def _by_scores(score_a: float | None, score_b: float | None) -> Label | None:
    if score_a is None or score_b is None:
        return None
    return "tie" if score_a == score_b else "A" if score_a > score_b else "B"


def _by_number(word: str, numbers: Numbers | None) -> Label | None:
    if numbers is None:
        return None
    if isinstance(numbers, Mapping):
        return numbers.get(word)
    number = as_number(word)
    if number is None:
        return None
    negative, positive = numbers
    return "tie" if number == 0 else negative if number < 0 else positive


def _by_word(word: str, row: Mapping[str, object], columns: Mapping[str, str]) -> Label | None:
    """Read a word of the table, the name of a response column, or that of the model that wrote one of the responses."""
    sides: dict[Label, str] = {"A": columns.get("response_a", ""), "B": columns.get("response_b", "")}
    named: list[Label] = [side for side, column in sides.items() if word == column.casefold()]
    if named:
        return named[0]
    if word in WORDS:
        return WORDS[word]
    if word.startswith("tie ("):  # tie (bothbad), tie (inconsistent)
        return "tie"
    models: dict[Label, str] = {"A": "model_a", "B": "model_b"}
    named = [side for side, column in models.items() if word == _folded(row.get(column))]
    return named[0] if len(named) == 1 else None


def _number(row: Mapping[str, object], column: str) -> float | None:
    value = value_at(row, column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = as_number(value)
    if number is None and not (isinstance(value, float) and math.isnan(value)):
        raise RowError(f'"{column}" is not a number')
    return number


def as_number(value: object) -> float | None:
    """A finite number, also one written as text; None for anything else."""
    if not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _folded(value: object) -> str:
    """A value as a word: small letters, 1.0 as 1, without brackets and without white space around signs; "" for no value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return str(value).casefold()
    word = str(value).strip().strip("[]").strip().casefold()
    number = as_number(word)
    if number is not None:
        return str(int(number)) if number.is_integer() else repr(number)
    if any(sign in word for sign in "<>=~"):
        word = "".join(word.split())
    return word
