"""Which shape the rows of a source have: which column means what, decided once, by the first row, and said in words.

One table names the columns that mean each of our fields; the user's own mapping comes on top of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any, Literal

from rmr1.data.cells import holds_conversations, is_turn_list, unpack
from rmr1.data.labels import LABEL_VALUES, LabelRule, label_rule
from rmr1.data.messages import is_conversation, message_keys, read_conversation
from rmr1.data.rows import RowError, has_column, value_at
from rmr1.data.transcripts import is_dialogue
from rmr1.errors import DataError

NAMES: dict[str, tuple[str, ...]] = {
    "prompt": (
        "prompt",
        "question",
        "instruction",
        "input",
        "query",
        "context_messages",
        "conversation_input",
        "user_prompt",
        "usrmsg",
        "question.full_text",
        "info.post",
        "info.article",
    ),
    "input": (),
    "history": (),
    "system": ("system", "system_prompt"),
    "chosen": ("chosen", "chosen_response", "accepted", "bon_best"),
    "rejected": ("rejected", "rejected_response", "rejected_messages", "reject", "loser_list"),
    "prefix": ("initial_reason_steps",),
    "response_a": (),
    "response_b": (),
    "label": (
        "label",
        "winner",
        "preference",
        "preferred",
        "labels",
        "better_response_id",
        "preference_strength",
        "overall_preference",
    ),
    "winner_a": ("winner_model_a",),
    "winner_b": ("winner_model_b",),
    "winner_tie": ("winner_tie", "winner_model_tie"),
    "score_a": (),
    "score_b": (),
    "responses": ("responses", "completions", "answers", "generations", "summaries"),
    "scores": ("scores", "ratings"),
    "ranks": ("ranks",),
    "best": ("choice",),
    "reference": ("reference", "reference_answer", "ground_truth", "gold_answer"),
    "rubric": ("rubric", "rubrics", "criteria"),
    "id": ("id", "uid", "prompt_id", "pair_uid", "bon_uid", "pair_id"),
    "group": ("group", "prompt_id"),
    "category": ("category", "subset", "task", "domain", "category_path", "source"),
}
"""Our field names and the columns that mean them, in lower case. The first is the field's own name and always wins."""

FIRST_FOUND_WINS = frozenset({"id", "group", "category", "reference", "rubric"})
"""Fields for which a second candidate is no ambiguity: it only names rows or subsets, or is shown where a template asks for it."""

LAST_RESORT = ("context", "history", "conversations", "messages")
"""Columns that are the prompt only where no other column is: else they are material, or hold a response too."""

CHOSEN_BESIDE_REJECTED = ("messages", "conversations", "response")
"""Columns that hold the chosen response where one is rejected (ms-swift)."""

ONE_RESPONSE = ("response", "output", "completion", "answer", "text")
"""Columns of a row with a single response, which has nothing to be compared with."""

LISTS = "lists"
LISTS_VALUES = ("text", "responses")
"""What the user may say about lists of texts in cells of CSV."""

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
    ("answer_0", "answer_1"),
    ("output_0", "output_1"),
    ("completion_0", "completion_1"),
    ("completion1", "completion2"),
    ("response 1", "response 2"),
    ("summary_a", "summary_b"),
    ("summary_1", "summary_2"),
    ("human_ref_a", "human_ref_b"),
)

SCORE_NAMES = ("score", "rating", "reward", "overall_score")
"""Columns of a score for each response; ``_a``, ``_b`` and so on as those of the responses end."""

Family = Literal["chosen_rejected", "ab", "n_responses", "judge_prompt"]

REQUIRED: dict[Family, tuple[str, ...]] = {
    "chosen_rejected": ("chosen", "rejected"),
    "ab": ("response_a", "response_b"),
    "n_responses": ("prompt", "responses"),
    "judge_prompt": ("prompt",),
}
_NOTES = ("reference", "rubric", "id", "group", "category")
_OUTCOMES = ("winner_a", "winner_b", "winner_tie", "score_a", "score_b")
OPTIONAL: dict[Family, tuple[str, ...]] = {
    "chosen_rejected": ("prompt", "input", "history", "system", "prefix", *_NOTES),
    "ab": ("prompt", "input", "history", "system", "label", *_OUTCOMES, *_NOTES),
    "n_responses": ("input", "history", "system", "scores", "ranks", "best", *_NOTES),
    "judge_prompt": ("label", *_OUTCOMES, *_NOTES),
}
MARKS: dict[Family, frozenset[str]] = {
    "chosen_rejected": frozenset({"chosen", "rejected"}),
    "ab": frozenset({"response_a", "response_b"}),
    "n_responses": frozenset({"responses", "scores", "ranks", "best"}),
    "judge_prompt": frozenset(),
}
"""Fields whose mapping by the user asks for a family where several fit."""

JUDGE_PROMPT_COLUMN = "context_messages"

SHAPES_KNOWN = r"""Shapes known:
  prompt, chosen, rejected              texts, lists of messages, or lists of several responses
  chosen, rejected                      whole conversations: lists of messages, or texts that begin with \n\nHuman:
  prompt, response_a, response_b        with label: A, B, model_a, model_b or tie; or a score for each
  prompt, responses                     a list, with a list of scores or ranks
  messages, rejected_response           the last turn of the messages is the chosen response
  context_messages, winner              the rendered judge prompts of RM-R1"""

ShapeName = Literal["chosen_rejected", "conversations", "hh", "ab", "n_responses", "judge_prompt"]

SHOWN_FIELDS = (
    "prompt",
    "input",
    "history",
    "system",
    "prefix",
    "chosen",
    "rejected",
    "response_a",
    "response_b",
    "responses",
    "scores",
    "ranks",
    "best",
    "label",
    "winner_a",
    "winner_b",
    "winner_tie",
    "score_a",
    "score_b",
)
SIDES: dict[str, tuple[str, str]] = {"chosen_rejected": ("chosen", "rejected"), "ab": ("response_a", "response_b")}


@dataclass(frozen=True, slots=True)
class RowLayout:
    """How the rows of a source are read.

    Args:
        family: Which reader of rows applies.
        columns: The column that holds each of our fields; ``a.b`` is the ``b`` inside ``a``.
        label: What labels mean.
        lists: What the user said about lists of texts in cells of CSV, or "".
        cells_are_text: Whether the format has nothing but texts.
    """

    family: Family
    columns: Mapping[str, str]
    label: LabelRule
    lists: str = ""
    cells_are_text: bool = False


def recognise(row: Mapping[str, object], overrides: Mapping[str, str], name: str) -> RowLayout:
    """Recognise the shape of a source.

    Args:
        row: The first row. Its columns decide; values only tell whether responses without a prompt hold whole
            conversations, and which columns could be a prompt.
        overrides: The user's mapping of our fields to columns; it wins over the table of names.
        name: The source, for messages.

    Raises:
        DataError: If no shape fits, or several; it lists the columns found, the shapes known and an example of
            ``--columns``.
    """
    check_overrides(row, overrides, name)
    columns = candidates(row, overrides)
    fitting = [family for family in REQUIRED if _fits(family, columns, row, overrides)]
    if not fitting and "prompt" not in columns:
        last = [column for column in row if column.casefold() in LAST_RESORT and _could_be_prompt(row[column])]
        last = [column for column in last if column not in overrides.values()]
        columns = {**columns, "prompt": last} if last else columns
        fitting = [family for family in REQUIRED if _fits(family, columns, row, overrides)]
    fitting = [family for family in fitting if MARKS[family] & overrides.keys()] or fitting
    if len(fitting) > 1 and "judge_prompt" in fitting:
        fitting.remove("judge_prompt")  # context_messages beside responses is the conversation that they answer
    if not fitting:
        raise DataError(f"{name}: {_no_shape(row)}")
    if len(fitting) > 1:
        both = " and ".join("/".join(columns[field][0] for field in REQUIRED[family]) for family in fitting)
        example = ",".join(f"{field}={columns[field][0]}" for field in REQUIRED[fitting[0]])
        raise DataError(
            f"{name}: several shapes fit: {both}; columns found: {listed(row)}\n{SHAPES_KNOWN}\n"
            f"Say which, for example: --columns {example}"
        )
    return _layout(fitting[0], columns, row, overrides, name)


def _no_shape(row: Mapping[str, object]) -> str:
    single = next((column for column in row if column.casefold() in ONE_RESPONSE), None)
    if single is None:
        return f"no known shape; columns found: {listed(row)}\n{SHAPES_KNOWN}\n{_example(row)}"
    return (
        f'a row has one response ("{single}"), and judging compares two; put the responses to a prompt into one row, '
        f"as a list with scores or as response_a and response_b; columns found: {listed(row)}"
    )


def _could_be_prompt(value: object) -> bool:
    """Tell whether a value of the first row lets its column be the prompt."""
    value = unpack_quietly(value)
    return isinstance(value, (str, int, float)) or value is None or is_conversation(value) or bool(message_keys(value))


def unpack_quietly(value: object) -> Any:
    """Unpack a cell for a look at it; the row will be refused by its own message."""
    try:
        return unpack(value, "")
    except RowError:
        return value


def _fits(
    family: Family, columns: Mapping[str, list[str]], row: Mapping[str, object], overrides: Mapping[str, str]
) -> bool:
    if not all(field in columns for field in REQUIRED[family]):
        return False
    if family == "judge_prompt":
        column = columns["prompt"][0]
        messages = "prompt" in overrides and is_conversation(value_at(row, column))
        return column.casefold() == JUDGE_PROMPT_COLUMN or messages
    if "prompt" in columns:
        return True
    # Without a prompt column only responses that hold it themselves can be read.
    whole = [holds_conversations(unpack_quietly(value_at(row, columns[field][0]))) for field in REQUIRED[family]]
    return all(whole) or (whole[0] and columns[REQUIRED[family][0]][0].casefold() in CHOSEN_BESIDE_REJECTED)


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
    if "label" in chosen:
        chosen = {field: column for field, column in chosen.items() if field not in _OUTCOMES}
    return RowLayout(family, chosen, label_rule(chosen, overrides), overrides.get(LISTS, ""))


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


def check_overrides(row: Mapping[str, object], overrides: Mapping[str, str], name: str) -> None:
    """Refuse a mapping of an unknown field, or to a column that is not there.

    Raises:
        DataError: With the fields or the columns that there are, and the nearest one.
    """
    known = (*NAMES, *LABEL_VALUES, LISTS)
    for field, column in overrides.items():
        if field not in known:
            near = _nearest(field, known)
            raise DataError(f'--columns: no field "{field}"{near}; the fields are: {", ".join(known)}')
        if field == LISTS and column not in LISTS_VALUES:
            raise DataError(f"--columns {LISTS}={column}: it is one of {', '.join(LISTS_VALUES)}")
        if field in NAMES and not has_column(row, column):
            inner = [f"{outer}.{key}" for outer, value in row.items() if isinstance(value, Mapping) for key in value]
            near = _nearest(column, (*row, *inner))
            raise DataError(
                f'{name}: --columns {field}={column}, but there is no column "{column}"{near}; '
                f"columns found: {listed(row)}"
            )


def _nearest(word: str, known: Iterable[str]) -> str:
    folded = {one.casefold(): one for one in map(str, known)}
    close = get_close_matches(word.casefold(), folded, 1)
    return f' (did you mean "{folded[close[0]]}"?)' if close else ""


def candidates(row: Mapping[str, object], overrides: Mapping[str, str]) -> dict[str, list[str]]:
    """Find the columns that could mean each field, the best first; fields without any are left out.

    The user's mapping is the only candidate of its field, and a column that it names is none of any other field's.
    Names are compared without regard to case.
    """
    taken = {column for field, column in overrides.items() if field in NAMES}
    free = {column.casefold(): column for column in sorted(row, reverse=True) if column not in taken}
    free |= {name: name for names in NAMES.values() for name in names if "." in name and has_column(row, name)}
    columns = {field: [free[name] for name in names if name in free] for field, names in NAMES.items()}
    columns["prompt"] = [name for name in columns["prompt"] if _could_be_prompt(value_at(row, name))] or columns[
        "prompt"
    ]
    if "instruction" in free and "input" in free and "prompt" not in free:  # alpaca: what the instruction is about
        columns["prompt"].remove(free["input"])
        columns["input"] = [free["input"]]
    if isinstance(unpack_quietly(row.get(free.get("history", ""))), list) and columns["prompt"]:
        columns["history"] = [free["history"]]
    if columns["rejected"] and not columns["chosen"]:
        columns["chosen"] = [free[name] for name in CHOSEN_BESIDE_REJECTED if name in free][:1]
    pairs = [(free[a], free[b]) for a, b in AB_NAMES if a in free and b in free]
    columns["response_a"], columns["response_b"] = [a for a, _ in pairs], [b for _, b in pairs]
    columns |= {field: [column] for field, column in overrides.items() if field in NAMES}
    if columns["response_a"] and not (columns["score_a"] or columns["score_b"]):
        columns["score_a"], columns["score_b"] = _score_columns(columns, free)
    return {field: names for field, names in columns.items() if names}


def _score_columns(columns: Mapping[str, list[str]], free: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Find scores whose columns end as those of the responses do."""
    first, second = (columns[field][0].casefold()[-1] for field in ("response_a", "response_b"))
    for name in SCORE_NAMES:
        for gap in ("_", ""):
            a, b = f"{name}{gap}{first}", f"{name}{gap}{second}"
            if a in free and b in free:
                return [free[a]], [free[b]]
    return [], []


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
        said: What the user said about values: which labels mean A, B and tie, what lists of texts are.
    """

    name: ShapeName
    columns: Mapping[str, str]
    sentence: str
    said: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def describe(self) -> str:
        """Say in a sentence how the rows are read."""
        return self.sentence


def shape_of(layout: RowLayout, first: Mapping[str, object], source: str, overrides: Mapping[str, str]) -> Shape:
    """Describe a layout, with what the first row shows of its values."""
    columns = layout.columns
    fields = [_shown(field, columns[field]) for field in SHOWN_FIELDS if field in columns]
    name, detail = _detail(layout, first)
    label = ["no label"] if layout.family == "ab" and layout.label.kind == "none" else []
    file_name = source if source.startswith("hf:") else PurePath(source).name
    said = {key: value for key, value in overrides.items() if key not in NAMES}
    return Shape(name, columns, f"{file_name}: {', '.join(['/'.join(fields), detail, *label])}", said)


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
    value_a, value_b = (_shown_value(layout, first, name) for name in (name_a, name_b))
    both = f"{name_a} and {name_b}"
    if "prompt" not in layout.columns and is_dialogue(value_a):
        return "hh", f"{both} are Human/Assistant texts, and what they begin with in common is the prompt"
    if is_conversation(value_a) and is_conversation(value_b):
        if _begins_with_assistant(value_a, name_a):
            return "chosen_rejected", f"{both} are messages"
        return "conversations", f"{both} are whole conversations, and what they begin with in common is the prompt"
    if layout.family == "ab" and (isinstance(value_a, list) or isinstance(value_b, list)):
        return "chosen_rejected", f"{both} are lists of turns"
    if "prompt" not in layout.columns and is_conversation(value_a):
        return "conversations", f"the last turn of {name_a} is one response, and {name_b} stands in for it"
    if isinstance(value_a, list) or isinstance(value_b, list):
        return "chosen_rejected", f"{both} are lists ({_size(value_a)} x {_size(value_b)} pairs in the first row)"
    return "chosen_rejected", f"{both} are texts"


def _shown_value(layout: RowLayout, first: Mapping[str, object], name: str) -> Any:
    """A response of the first row; a text that is a list of texts stays one, unless the prompt is a list of turns too."""
    given = value_at(first, name)
    value = unpack_quietly(given)
    turns = is_turn_list(unpack_quietly(value_at(first, layout.columns.get("prompt", ""))))
    return given if isinstance(given, str) and is_turn_list(value) and not turns else value


def _begins_with_assistant(conversation: Any, name: str) -> bool:
    try:
        return read_conversation(conversation, name)[0].role == "assistant"
    except RowError:  # the row will be refused by its own message
        return False


def _size(value: object) -> int:
    return len(value) if isinstance(value, list) and not is_conversation(value) else 1
