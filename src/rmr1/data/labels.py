"""What the values of a label column mean."""

from __future__ import annotations

from typing import Any

from rmr1.data.rows import RowError
from rmr1.data.shapes import RowLayout
from rmr1.records import Side

WORDS: dict[str, Side] = {
    "a": "A",
    "model_a": "A",
    "response_a": "A",
    "a>b": "A",
    "b": "B",
    "model_b": "B",
    "response_b": "B",
    "b>a": "B",
}
TIES = frozenset({"tie", "a=b", "both", "equal", "same", "both_bad", "bothbad", "both bad", "tie (bothbad)"})
NUMBERS: dict[str, Side] = {"0": "A", "1": "B"}


def read_label(value: Any, layout: RowLayout) -> Side | None:
    """Read a label.

    Words and ties of the tables count in any case; so does the name of one of the two response columns. A bare number
    means nothing by itself (0/1 and 1/2 are both in use): the user says what with ``label_a`` and ``label_b``, or
    accepts 0 for A and 1 for B by naming the label column.

    Returns:
        The better side; None for a tie and for no label.

    Raises:
        RowError: If the value is none of these.
    """
    if value is None or value == "":
        return None
    word = _folded(value)
    columns = layout.columns
    if layout.label_words:
        side = layout.label_words.get(word)
    else:
        side = WORDS.get(word) or _named_column(word, layout)
        if side is None and layout.numeric_labels and not _numbered(layout):
            side = NUMBERS.get(word)
    if side is None and word not in TIES:
        raise RowError(
            f'"{columns["label"]}" is {value!r}, which is not A, B or tie; '
            f"say what means A and B, for example --columns label={columns['label']},label_a=1,label_b=2"
        )
    return side


def is_tie(value: Any) -> bool:
    """Tell whether a label that could be read says that both are equally good."""
    return _folded(value) in TIES


def _folded(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().casefold()


def _named_column(word: str, layout: RowLayout) -> Side | None:
    if word == layout.columns.get("response_a", "").casefold():
        return "A"
    return "B" if word == layout.columns.get("response_b", "").casefold() else None


def _numbered(layout: RowLayout) -> bool:
    """Tell whether the response columns are numbered 1 and 2, so that a label 1 may well mean the first of them."""
    return layout.columns.get("response_a", "").endswith("1")
