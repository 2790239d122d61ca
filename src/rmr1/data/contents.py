"""What a row means: its prompt, its responses, and which of them make pairs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from rmr1.data.judge_prompts import read_judge_prompt
from rmr1.data.labels import is_tie, read_label
from rmr1.data.messages import (
    Turns,
    is_conversation,
    is_dialogue,
    read_conversation,
    read_dialogue,
    read_prompt,
    read_response,
    read_responses,
    split_shared,
)
from rmr1.data.rows import RowError
from rmr1.data.shapes import Family, RowLayout
from rmr1.records import Message, Side

SCORE_KEYS = ("score", "overall_score", "rating")
RANK_KEY = "rank"


class Match(NamedTuple):
    """Two responses of a row that make a pair, by number; ``suffix`` tells its pairs apart, "" if there is one."""

    suffix: str
    a: int
    b: int
    label: Side | None


@dataclass(frozen=True, slots=True)
class RowContent:
    """A row, read.

    Args:
        prompt: The conversation up to the responses.
        responses: All responses of the row.
        matches: The pairs among them; an iterator for rows of N responses, of which there are many.
        scores: A score for each response where they are known.
        tie: Whether the row says that both are equally good.
    """

    prompt: Turns
    responses: tuple[Turns, ...]
    matches: Sequence[Match] | Iterator[Match]
    scores: tuple[float, ...] | None = None
    tie: bool = False


def read_content(row: Mapping[str, object], layout: RowLayout) -> RowContent:
    """Read a row.

    Raises:
        RowError: If a field that the shape needs is missing or of the wrong kind.
    """
    content = READERS[layout.family](row, layout)
    if not any(turn.content.strip() for turn in content.prompt):
        raise RowError("the prompt is empty")
    return content


def _chosen_rejected(row: Mapping[str, object], layout: RowLayout) -> RowContent:
    columns = layout.columns
    chosen, rejected = (_responses(row, columns[field], columns) for field in ("chosen", "rejected"))
    prompt, responses = _with_prompt(row, columns, (*chosen, *rejected))
    count = len(chosen)
    scores = (1.0,) * count + (0.0,) * len(rejected)
    if len(responses) == 2:
        return RowContent(prompt, responses, (Match("", 0, 1, "A"),), scores)
    matches = [Match(f"#{i}-{j}", i, count + j, "A") for i in range(count) for j in range(len(rejected))]
    return RowContent(prompt, responses, matches, scores)


def _ab(row: Mapping[str, object], layout: RowLayout) -> RowContent:
    columns = layout.columns
    responses = tuple(_response(row, columns[field], columns) for field in ("response_a", "response_b"))
    prompt, responses = _with_prompt(row, columns, responses)
    return _labelled(prompt, responses, row, layout)


def _judge_prompt(row: Mapping[str, object], layout: RowLayout) -> RowContent:
    column = layout.columns["prompt"]
    prompt, responses = read_judge_prompt(read_prompt(row.get(column), column), column)
    return _labelled(prompt, responses, row, layout)


def _labelled(prompt: Turns, responses: tuple[Turns, ...], row: Mapping[str, object], layout: RowLayout) -> RowContent:
    column = layout.columns.get("label")
    value = row.get(column) if column else None
    label = read_label(value, layout)
    scores = None if label is None else (float(label == "A"), float(label == "B"))
    return RowContent(prompt, responses, (Match("", 0, 1, label),), scores, label is None and is_tie(value))


def _n_responses(row: Mapping[str, object], layout: RowLayout) -> RowContent:
    columns = layout.columns
    column = columns["responses"]
    values = _list_cell(row.get(column))
    if values is None:
        raise RowError(f'"{column}" is missing')
    if not isinstance(values, list):
        raise RowError(f'"{column}" is not a list of responses')
    if len(values) < 2:
        raise RowError(f'"{column}" holds {len(values)} responses; at least 2 are needed')
    responses = tuple(read_response(value, f"{column}[{number}]") for number, value in enumerate(values))
    scores = _scores(row, columns, values)
    prompt, responses = _with_prompt(row, columns, responses)
    return RowContent(prompt, responses, _scored_matches(scores), scores)


def _scored_matches(scores: tuple[float, ...] | None) -> Iterator[Match]:
    """Pair every two responses of unequal scores.

    Raises:
        RowError: If there are no scores.
    """
    if scores is None:
        raise RowError("the responses have no scores, so there are no pairs; they can be ranked")
    for i, j in combinations(range(len(scores)), 2):
        if scores[i] != scores[j]:
            yield Match(f"#{i}-{j}", i, j, "A" if scores[i] > scores[j] else "B")


def _responses(row: Mapping[str, object], column: str, columns: Mapping[str, str]) -> tuple[Turns, ...]:
    value = row.get(column)
    if isinstance(value, list):
        return read_responses(value, column)
    return (_response(row, column, columns),)


def _response(row: Mapping[str, object], column: str, columns: Mapping[str, str]) -> Turns:
    value = row.get(column)
    # Beside a prompt, a response that begins like a dialogue is still a response.
    if "prompt" not in columns and is_dialogue(value):
        return read_dialogue(value)
    return read_response(value, column)


def _with_prompt(
    row: Mapping[str, object], columns: Mapping[str, str], responses: tuple[Turns, ...]
) -> tuple[Turns, tuple[Turns, ...]]:
    """Find the prompt: in its column, or at the beginning of responses that are whole conversations."""
    column = columns.get("prompt")
    if all(turns[0].role == "assistant" for turns in responses):
        if column is None:
            raise RowError(
                "there is no prompt: no column for it, and the responses do not begin with a turn of the user"
            )
        prompt = read_prompt(row.get(column), column)
        system = row.get(columns["system"]) if "system" in columns else None
        if isinstance(system, str) and system.strip() and prompt[0].role != "system":
            prompt = (Message("system", system), *prompt)
        return prompt, responses
    found = split_shared(responses)
    if found is None:
        raise RowError("the conversations do not begin with the same turn of the user")
    shared, rest = found
    given = row.get(column) if column else None
    return (_checked(shared, given, str(column)) if given else shared), rest


def _checked(shared: Turns, given: Any, column: str) -> Turns:
    """Return the prompt, given that both a prompt column and the conversations hold it.

    The column may repeat a turn or all of it as text, or hold the same messages, perhaps with a system message before
    them.
    """
    if isinstance(given, str):
        text = given.strip()
        if any(text in turn.content or turn.content.strip() in text for turn in shared if turn.content.strip()):
            return shared
    elif is_conversation(given):
        prompt = read_conversation(given, column)
        if shared[: len(prompt)] == prompt:
            return shared
        if prompt[-len(shared) :] == shared:
            return prompt
    raise RowError(f'"{column}" is not what the conversations begin with')


def _scores(row: Mapping[str, object], columns: Mapping[str, str], responses: list[Any]) -> tuple[float, ...] | None:
    """Read the scores of N responses, from a column of their own or from the responses; ranks count downwards."""
    sign, column = (1.0, columns["scores"]) if "scores" in columns else (-1.0, columns.get("ranks"))
    if column is not None:
        values = _list_cell(row.get(column))
        if values is None:
            return None
        if not isinstance(values, list) or len(values) != len(responses):
            raise RowError(f'"{column}" is not a list of {len(responses)} numbers, one for each response')
        return tuple(sign * _number(value, f"{column}[{number}]") for number, value in enumerate(values))
    if not all(isinstance(response, Mapping) for response in responses):
        return None
    for key in (*SCORE_KEYS, RANK_KEY):
        if any(response.get(key) is not None for response in responses):
            sign = -1.0 if key == RANK_KEY else 1.0
            named = ((response.get(key), f"{key} of response {number}") for number, response in enumerate(responses))
            return tuple(sign * _number(value, name) for value, name in named)
    return None


def _number(value: Any, name: str) -> float:
    try:
        number = math.nan if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise RowError(f'"{name}" is not a number')
    return number


def _list_cell(value: Any) -> Any:
    """Read a list that is written as JSON text, as it must be in CSV."""
    if isinstance(value, str):
        try:
            return json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            return value
    return value


READERS: dict[Family, Callable[[Mapping[str, object], RowLayout], RowContent]] = {
    "chosen_rejected": _chosen_rejected,
    "ab": _ab,
    "n_responses": _n_responses,
    "judge_prompt": _judge_prompt,
}
