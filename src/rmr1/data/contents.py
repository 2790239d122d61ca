"""What a row means: its prompt, its responses, and which of them make pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from rmr1.data.cells import is_turn_list, parse_literal, unpack, zip_turns
from rmr1.data.judge_prompts import read_judge_prompt
from rmr1.data.labels import as_number, read_label
from rmr1.data.messages import (
    ROLES,
    Turns,
    is_conversation,
    is_missing,
    message_keys,
    read_conversation,
    read_prompt,
    read_response,
    read_responses,
    scalar_text,
    split_shared,
)
from rmr1.data.rows import RowError, value_at
from rmr1.data.shapes import Family, RowLayout
from rmr1.data.transcripts import (
    bare_response,
    check_markup,
    is_dialogue,
    is_dialogue_prompt,
    is_rendered,
    read_dialogue,
    read_dialogue_prompt,
)
from rmr1.records import Label, Message

SCORE_KEYS = ("score", "overall_score", "rating")
RANK_KEY = "rank"
MEDIA = frozenset({"image", "images", "video", "videos", "audio", "audios"})
"""Columns for what a text speaks about and a judge cannot see."""
TURN = "turn"
"""The column that says how many of the user's turns were judged (MT-bench)."""
NO_SCORES = "the responses have no scores, so there are no pairs"
NO_SCORES_FIX = 'add "scores" or "ranks" to compare them two by two'


class Match(NamedTuple):
    """Two responses of a row that make a pair, by number; ``suffix`` tells its pairs apart, "" if there is one."""

    suffix: str
    a: int
    b: int
    label: Label | None


@dataclass(frozen=True, slots=True)
class RowContent:
    """A row, read.

    Args:
        prompt: The conversation up to the responses.
        responses: All responses of the row.
        matches: The pairs among them; an iterator for rows of N responses, of which there are many.
        scores: A score for each response where they are known.
    """

    prompt: Turns
    responses: tuple[Turns, ...]
    matches: Sequence[Match] | Iterator[Match]
    scores: tuple[float, ...] | None = None


def read_content(row: Mapping[str, object], layout: RowLayout) -> RowContent:
    """Read a row.

    Raises:
        RowError: If a field that the shape needs is missing or of the wrong kind.
    """
    _check_media(row, layout)
    content = READERS[layout.family](row, layout)
    if not any(turn.content.strip() for turn in content.prompt):
        raise RowError("the prompt is empty")
    return content


def _check_media(row: Mapping[str, object], layout: RowLayout) -> None:
    """Refuse a row with pictures or sound beside its texts.

    Raises:
        RowError: A column for them is not empty.
    """
    for column, value in row.items():
        if value and column.casefold() in MEDIA and not is_missing(value) and column not in layout.columns.values():
            raise RowError(f'"{column}" is not empty, and a judge reads only text')


def read_notes(row: Mapping[str, object], column: str | None) -> str:
    """Read a reference answer or a rubric: a text, a number, a message, or a list of these, one a line.

    Raises:
        RowError: If it is something else.
    """
    value = value_at(row, column) if column else None
    if is_missing(value):
        return ""
    text = scalar_text(value)
    if text is not None:
        return text
    items = value if isinstance(value, list) else [value]
    parts = [turn.content for item in items if not is_missing(item) for turn in read_response(item, str(column))]
    return "\n".join(f"- {part}" for part in parts) if len(parts) > 1 else "".join(parts)


def _chosen_rejected(row: Mapping[str, object], layout: RowLayout) -> RowContent:
    columns = [layout.columns[field] for field in ("chosen", "rejected")]
    values = _unpacked(row, columns, layout)
    prompt, (chosen, rejected) = _read_sides(row, layout, columns, values, read_responses)
    count = len(chosen)
    responses = (*chosen, *rejected)
    scores = (1.0,) * count + (0.0,) * len(rejected)
    if len(responses) == 2:
        return RowContent(prompt, responses, (Match("", 0, 1, "A"),), scores)
    matches = [Match(f"#{i}-{j}", i, count + j, "A") for i in range(count) for j in range(len(rejected))]
    return RowContent(prompt, responses, matches, scores)


def _ab(row: Mapping[str, object], layout: RowLayout) -> RowContent:
    columns = [layout.columns[field] for field in ("response_a", "response_b")]
    values = [_up_to_turn(value, row) for value in _unpacked(row, columns, layout)]
    prompt, ((first,), (second,)) = _read_sides(row, layout, columns, values, _read_one)
    return _labelled(prompt, (first, second), row, layout)


def _up_to_turn(value: Any, row: Mapping[str, object]) -> Any:
    """A conversation up to the turn that was judged: what comes later nobody had seen."""
    number = as_number(row.get(TURN))
    if number is None or number < 1 or not isinstance(value, list) or not is_conversation(value):
        return value
    roles = [str(message[keys[0]]).lower() for message in value if (keys := message_keys(message))]
    asked = [at for at, role in enumerate(roles) if ROLES.get(role) == "user"]
    return value[: asked[int(number)]] if len(asked) > number else value


def _read_one(value: Any, name: str) -> tuple[Turns, ...]:
    return (read_response(value, name),)


def _judge_prompt(row: Mapping[str, object], layout: RowLayout) -> RowContent:
    column = layout.columns["prompt"]
    prompt, responses = read_judge_prompt(read_prompt(unpack(value_at(row, column), column), column), column)
    return _labelled(prompt, responses, row, layout)


def _labelled(prompt: Turns, responses: tuple[Turns, ...], row: Mapping[str, object], layout: RowLayout) -> RowContent:
    label = read_label(row, layout.columns, layout.label)
    scores = None if label in (None, "tie") else (float(label == "A"), float(label == "B"))
    return RowContent(prompt, responses, (Match("", 0, 1, label),), scores)


def _n_responses(row: Mapping[str, object], layout: RowLayout) -> RowContent:
    column = layout.columns["responses"]
    values = _list_cell(value_at(row, column))
    if values is None:
        raise RowError(f'"{column}" is missing')
    if not isinstance(values, list):
        raise RowError(f'"{column}" is not a list of responses')
    if len(values) < 2:
        raise RowError(f'"{column}" holds {len(values)} responses; at least 2 are needed')
    scores = _scores(row, layout.columns, values)
    # A response without a text or a rating tells nothing about the others.
    kept = [
        number
        for number, value in enumerate(values)
        if scores is None or (scores[number] is not None and not is_missing(value))
    ]
    if len(kept) < 2:
        raise RowError(f'"{column}" holds {len(kept)} responses with a score; at least 2 are needed')
    names = [f"{column}[{number}]" for number in kept]
    prompt, sides = _read_sides(row, layout, names, [unpack(values[number], column) for number in kept], _read_one)
    rated = None if scores is None else tuple(score for n in kept if (score := scores[n]) is not None)
    return RowContent(prompt, tuple(side for (side,) in sides), _scored_matches(kept, rated), rated)


def _scored_matches(numbers: Sequence[int], scores: tuple[float, ...] | None) -> Iterator[Match]:
    """Pair every two responses of unequal scores; they keep their numbers in the row.

    Raises:
        RowError: If there are no scores.
    """
    if scores is None:
        raise RowError(NO_SCORES, NO_SCORES_FIX)
    for i, j in combinations(range(len(scores)), 2):
        if scores[i] != scores[j]:
            yield Match(f"#{numbers[i]}-{numbers[j]}", i, j, "A" if scores[i] > scores[j] else "B")


def _unpacked(row: Mapping[str, object], columns: Sequence[str], layout: RowLayout) -> list[Any]:
    """The responses of both sides, with lists that were written as texts read as such: on both sides or on none.

    Raises:
        RowError: If one side is a list of messages and the other a text, or if a list of texts could be one or several responses.
    """
    values = [value_at(row, column) for column in columns]
    unpacked = [unpack(value, column) for value, column in zip(values, columns, strict=True)]
    lists = [isinstance(value, str) and not isinstance(new, str) for value, new in zip(values, unpacked, strict=True)]
    turns = [is_turn_list(new) for new in unpacked]
    if _is_turn_prompt(row, layout) or not any(lists):
        return unpacked
    if all(lists) and all(turns) and layout.cells_are_text and layout.lists != "text":
        if layout.lists == "responses":
            return unpacked
        both = " and ".join(f'"{column}"' for column in columns)
        raise RowError(
            f"{both} are lists of texts, and each may be one response or several",
            "say which with --columns lists=text or lists=responses",
        )
    if any(listed and not turn for listed, turn in zip(lists, turns, strict=True)):
        for column, value, new in zip(columns, values, unpacked, strict=True):
            if isinstance(value, str) and (isinstance(new, str) or is_turn_list(new)) and value.strip():
                other = next(one for one, listed in zip(columns, lists, strict=True) if listed and one != column)
                raise RowError(f'"{other}" is a list of messages written as a text, and "{column}" is not')
        return unpacked
    return values


def _is_turn_prompt(row: Mapping[str, object], layout: RowLayout) -> bool:
    column = layout.columns.get("prompt")
    return column is not None and is_turn_list(unpack(value_at(row, column), column))


ReadSide = Callable[[Any, str], tuple[Turns, ...]]


def _read_sides(
    row: Mapping[str, object], layout: RowLayout, names: Sequence[str], values: Sequence[Any], read: ReadSide
) -> tuple[Turns, list[tuple[Turns, ...]]]:
    """Read the prompt, and for each value one response or several."""
    column = layout.columns.get("prompt")
    given = unpack(value_at(row, column), column) if column else None
    sides: list[tuple[Turns, ...]]
    if is_turn_list(given):
        sides = [(zip_turns(given, _list_cell(value), name),) for value, name in zip(values, names, strict=True)]
        given = None
    else:
        dialogues = column is None or is_dialogue_prompt(given)
        sides = [
            # Beside a prompt that is none, a response that begins like a dialogue is still a response.
            (read_dialogue(value),)
            if is_rendered(value) or (dialogues and is_dialogue(value))
            else read(bare_response(value, given) if isinstance(value, str) else value, name)
            for value, name in zip(values, names, strict=True)
        ]
    prompt, responses = _with_prompt(row, layout, given, tuple(turns for side in sides for turns in side))
    prefix = value_at(row, layout.columns["prefix"]) if "prefix" in layout.columns else None
    if isinstance(prefix, str):
        responses = tuple(_continued(prefix, turns) for turns in responses)
    rest = iter(responses)
    return prompt, [tuple(next(rest) for _ in side) for side in sides]


def _continued(prefix: str, turns: Turns) -> Turns:
    """A response with the beginning that all responses of the row share."""
    return (Message(turns[0].role, prefix + turns[0].content), *turns[1:])


def _with_prompt(
    row: Mapping[str, object], layout: RowLayout, given: Any, responses: tuple[Turns, ...]
) -> tuple[Turns, tuple[Turns, ...]]:
    """Find the prompt: in its column, or at the beginning of responses that are whole conversations."""
    column = layout.columns.get("prompt")
    whole = [turns[0].role != "assistant" for turns in responses]
    if not any(whole):
        if column is None:
            raise RowError(
                "there is no prompt: no column for it, and the responses do not begin with a turn of the user"
            )
        prompt = _given_prompt(row, layout, given, column)
    elif all(whole):
        found = split_shared(responses)
        if found is None:
            raise RowError("the conversations do not begin with the same turn of the user")
        prompt, responses = found
        if not is_missing(given) and given:
            prompt = _checked(prompt, given, str(column))
    else:
        prompt, responses = _last_turn_replaced(responses)
    system = value_at(row, layout.columns["system"]) if "system" in layout.columns else None
    if isinstance(system, str) and system.strip() and prompt[0].role != "system":
        prompt = (Message("system", system), *prompt)
    return prompt, responses


def _last_turn_replaced(responses: tuple[Turns, ...]) -> tuple[Turns, tuple[Turns, ...]]:
    """Read whole conversations beside responses that stand in for their last turn, as ms-swift writes them."""
    prompts = {turns[:-1] for turns in responses if turns[0].role != "assistant"}
    if len(prompts) != 1 or any(turns[-1].role != "assistant" for turns in responses):
        raise RowError(
            "one side is a whole conversation, and its last turn is not the response that the other replaces"
        )
    (prompt,) = prompts
    if not prompt:
        raise RowError("one side is a whole conversation of a single turn; there is no prompt")
    return prompt, tuple(turns if turns[0].role == "assistant" else turns[-1:] for turns in responses)


def _given_prompt(row: Mapping[str, object], layout: RowLayout, given: Any, column: str) -> Turns:
    if isinstance(given, str):
        check_markup(given, column)
    prompt = read_dialogue_prompt(given) if is_dialogue_prompt(given) else read_prompt(given, column)
    name = layout.columns.get("input")
    more = scalar_text(value_at(row, name)) if name else None
    if more and more.strip():
        if len(prompt) != 1:
            raise RowError(f'"{name}" continues an instruction, and "{column}" is a conversation')
        prompt = (Message(prompt[0].role, f"{prompt[0].content}\n{more}"),)
    history = _list_cell(value_at(row, layout.columns["history"])) if "history" in layout.columns else None
    return (*_earlier(history, layout.columns["history"]), *prompt) if history else prompt


def _earlier(history: Any, column: str) -> Turns:
    """Read the turns before an instruction: a list of questions with their answers."""
    if is_conversation(history):
        return read_conversation(history, column)
    if not isinstance(history, list) or not all(is_turn_list(pair) and len(pair) == 2 for pair in history):
        raise RowError(f'"{column}" is not a list of questions with their answers')
    return tuple(turn for question, answer in history for turn in zip_turns([question], [answer], column))


def _checked(shared: Turns, given: Any, column: str) -> Turns:
    """Return the prompt, given that both a prompt column and the conversations hold it.

    The column may repeat a turn or all of it as text, or hold the same messages, perhaps with a system message before
    them.
    """
    if isinstance(given, str) and not is_dialogue_prompt(given):
        text = given.strip()
        if any(text in turn.content or turn.content.strip() in text for turn in shared if turn.content.strip()):
            return shared
    elif is_conversation(given) or isinstance(given, str):
        prompt = read_dialogue_prompt(given) if isinstance(given, str) else read_conversation(given, column)
        if shared[: len(prompt)] == prompt:
            return shared
        if prompt[-len(shared) :] == shared:
            return prompt
    raise RowError(f'"{column}" is not what the conversations begin with')


def _scores(row: Mapping[str, object], columns: Mapping[str, str], responses: list[Any]) -> list[float | None] | None:
    """Read the scores of N responses, from a column of their own or from the responses; ranks count downwards.

    A response that was not rated has None. Where none was, there are no scores.
    """
    scores = _given_scores(row, columns, responses)
    return None if scores is None or all(score is None for score in scores) else scores


def _given_scores(
    row: Mapping[str, object], columns: Mapping[str, str], responses: list[Any]
) -> list[float | None] | None:
    sign, column = (1.0, columns["scores"]) if "scores" in columns else (-1.0, columns.get("ranks"))
    if column is not None:
        values = _list_cell(value_at(row, column))
        if is_missing(values):
            return None
        if not isinstance(values, list) or len(values) != len(responses):
            raise RowError(f'"{column}" is not a list of {len(responses)} numbers, one for each response')
        return [_score(sign, value, f"{column}[{number}]") for number, value in enumerate(values)]
    if "best" in columns:
        return _best(value_at(row, columns["best"]), columns["best"], len(responses))
    if not all(isinstance(response, Mapping) or response is None for response in responses):
        return None
    rated = [response or {} for response in responses]
    for key in (*SCORE_KEYS, RANK_KEY):
        if any(response.get(key) is not None for response in rated):
            sign = -1.0 if key == RANK_KEY else 1.0
            return [_score(sign, one.get(key), f"{key} of response {number}") for number, one in enumerate(rated)]
    return None


def _best(value: object, column: str, count: int) -> list[float | None] | None:
    """Read the number of the best response, from 0."""
    if is_missing(value) or value == "":
        return None
    number = as_number(value)
    if number is None or isinstance(value, bool) or number not in range(count):
        raise RowError(f'"{column}" is {value!r}, which is not the number of one of {count} responses, from 0')
    return [float(index == number) for index in range(count)]


def _score(sign: float, value: Any, name: str) -> float | None:
    if is_missing(value):
        return None
    number = math.nan if isinstance(value, bool) else as_number(value)
    if number is None or math.isnan(number):
        raise RowError(f'"{name}" is not a number')
    return sign * number


def _list_cell(value: Any) -> Any:
    """Read a list that is written as text, as it must be in CSV."""
    if isinstance(value, str):
        if not value.strip():
            return None
        parsed = parse_literal(value.strip())
        return value if parsed is None else parsed
    return None if is_missing(value) else value


READERS: dict[Family, Callable[[Mapping[str, object], RowLayout], RowContent]] = {
    "chosen_rejected": _chosen_rejected,
    "ab": _ab,
    "n_responses": _n_responses,
    "judge_prompt": _judge_prompt,
}
