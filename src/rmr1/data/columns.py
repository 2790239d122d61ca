"""Which column of a source means what: one table of names, and the user's own mapping on top of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from rmr1.errors import DataError

NAMES: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt", "question", "instruction", "input", "query", "context_messages", "conversation_input"),
    "system": ("system", "system_prompt"),
    "chosen": ("chosen", "chosen_response", "bon_best"),
    "rejected": ("rejected", "rejected_response", "reject", "loser_list"),
    "response_a": (),
    "response_b": (),
    "label": ("label", "winner", "preference", "preferred"),
    "responses": ("responses", "completions", "answers"),
    "scores": ("scores", "ratings"),
    "ranks": ("ranks",),
    "id": ("id", "uid", "prompt_id", "pair_uid", "bon_uid", "pair_id"),
    "group": ("group", "prompt_id"),
    "category": ("category", "subset", "task", "domain", "category_path", "source"),
}
"""Our field names and the columns that mean them, in lower case. The first is the field's own name and always wins."""

FIRST_FOUND_WINS = frozenset({"id", "group", "category"})
"""Fields for which a second candidate is no ambiguity: it only names rows or subsets."""

LABEL_VALUES = ("label_a", "label_b")
"""Keys of the user's mapping that give a value of the label column, not a column."""

AB_NAMES = (
    ("response_a", "response_b"),
    ("answer_a", "answer_b"),
    ("output_a", "output_b"),
    ("completion_a", "completion_b"),
    ("conversation_a", "conversation_b"),
    ("response_1", "response_2"),
    ("response1", "response2"),
    ("answer_1", "answer_2"),
    ("answer1", "answer2"),
    ("output_1", "output_2"),
    ("output1", "output2"),
    ("completion_1", "completion_2"),
    ("response_0", "response_1"),
)


def parse_columns(text: str) -> dict[str, str]:
    """Read the value of ``--columns``: ``prompt=question,chosen=good,rejected=bad``.

    Raises:
        DataError: If a part is not of the form FIELD=COLUMN.
    """
    columns: dict[str, str] = {}
    for part in text.split(","):
        field, equals, column = (piece.strip() for piece in part.partition("="))
        if not (field and equals and column):
            raise DataError(f'--columns: "{part.strip()}" is not of the form FIELD=COLUMN; for example prompt=question')
        columns[field] = column
    return columns


def check_overrides(found: Collection[str], overrides: Mapping[str, str], name: str) -> None:
    """Refuse a mapping of an unknown field, or to a column that is not there.

    Raises:
        DataError: With the fields or the columns that there are.
    """
    for field, column in overrides.items():
        if field not in NAMES and field not in LABEL_VALUES:
            raise DataError(f'--columns: no field "{field}"; the fields are: {", ".join((*NAMES, *LABEL_VALUES))}')
        if field in NAMES and column not in found:
            raise DataError(
                f'{name}: --columns {field}={column}, but there is no column "{column}"; columns found: {listed(found)}'
            )


def candidates(found: Collection[str], overrides: Mapping[str, str]) -> dict[str, list[str]]:
    """Find the columns that could mean each field, the best first; fields without any are left out.

    The user's mapping is the only candidate of its field, and a column that it names is none of any other field's.
    Names are compared without regard to case.
    """
    taken = {column for field, column in overrides.items() if field in NAMES}
    free = {column.casefold(): column for column in sorted(found, reverse=True) if column not in taken}
    columns = {field: [free[name] for name in names if name in free] for field, names in NAMES.items()}
    pairs = [(free[a], free[b]) for a, b in AB_NAMES if a in free and b in free]
    columns["response_a"], columns["response_b"] = [a for a, _ in pairs], [b for _, b in pairs]
    columns |= {field: [column] for field, column in overrides.items() if field in NAMES}
    return {field: names for field, names in columns.items() if names}


def is_ambiguous(field: str, columns: list[str]) -> bool:
    """Tell whether a field has several candidates of which none has the field's own name."""
    return len(columns) > 1 and field not in FIRST_FOUND_WINS and columns[0].casefold() != field


def listed(columns: Iterable[str]) -> str:
    """List columns for a message."""
    return ", ".join(columns) or "none"
