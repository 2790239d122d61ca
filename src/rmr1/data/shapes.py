"""Which shape the rows of a source have: which column means what, decided once, by the first row, and said in words.

One table names the columns that mean each of our fields; the user's own mapping comes on top of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from rmr1.data.messages import holds_conversations, is_conversation, is_dialogue, read_conversation
from rmr1.data.rows import RowError
from rmr1.errors import DataError
from rmr1.records import Side

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
class RowLayout:
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


def recognise(row: Mapping[str, object], overrides: Mapping[str, str], name: str) -> RowLayout:
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
    family: Family, columns: Mapping[str, list[str]], row: Mapping[str, object], overrides: Mapping[str, str]
) -> bool:
    if not all(field in columns for field in REQUIRED[family]):
        return False
    if family == "judge_prompt":
        column = columns["prompt"][0]
        return column.casefold() == JUDGE_PROMPT_COLUMN or ("prompt" in overrides and is_conversation(row[column]))
    # Without a prompt column only responses that hold it themselves can be read.
    return "prompt" in columns or all(holds_conversations(row[columns[field][0]]) for field in REQUIRED[family])


def _layout(
    family: Family, columns: Mapping[str, list[str]], row: Mapping[str, object], overrides: Mapping[str, str], name: str
) -> RowLayout:
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
    return RowLayout(family, chosen, words, numeric_labels="label" in overrides and not words)


def _example(row: Mapping[str, object]) -> str:
    """Show ``--columns`` with columns of this file where there are enough of them."""
    names = [column for column in row if column.casefold() not in NAMES["id"]]
    names += ["COLUMN"] * (3 - len(names))
    return f"Name the columns, for example: --columns prompt={names[0]},chosen={names[1]},rejected={names[2]}"


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


def shape_of(layout: RowLayout, first: Mapping[str, object], source: str) -> Shape:
    """Describe a layout, with what the first row shows of its values."""
    columns = layout.columns
    fields = [_shown(field, columns[field]) for field in SHOWN_FIELDS if field in columns]
    name, detail = _detail(layout, first)
    label = [] if layout.family != "ab" or "label" in columns else ["no label"]
    file_name = source if source.startswith("hf:") else PurePath(source).name
    return Shape(name, columns, f"{file_name}: {', '.join(['/'.join(fields), detail, *label])}")


def _shown(field: str, column: str) -> str:
    return column if column.casefold() == field else f"{column} ({field})"


def _detail(layout: RowLayout, first: Mapping[str, object]) -> tuple[ShapeName, str]:
    if layout.family == "judge_prompt":
        return "judge_prompt", "rendered judge prompts, from which the question and both responses are taken"
    if layout.family == "n_responses":
        return "n_responses", "any two responses of unequal scores are a pair"
    kind, detail = _kind_of_responses(layout, first)
    if layout.family == "ab":
        return "ab", detail
    return kind, detail


def _kind_of_responses(layout: RowLayout, first: Mapping[str, object]) -> tuple[ShapeName, str]:
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
