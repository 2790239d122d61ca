"""Texts and message lists, read into tuples of ``Message``.

Values as they occur in public data sets: ``"text"``; ``[{"role": "user", "content": "text"}]``; ``[{"from": "human",
"value": "text"}]``; ``{"llm_name": "m", "answer": "text"}``; ``{"role": "assistant", "tool_calls": [...]}``.

What a model thought (``thinking`` parts, ``reasoning_content``) is not part of its response.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rmr1.data.rows import RowError
from rmr1.files import parse_json
from rmr1.records import Message

Turns = tuple[Message, ...]

ROLES = {
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "ipython": "tool",
    "observation": "tool",
}
MESSAGE_KEYS = (("role", "content"), ("from", "value"), ("role", "text"))
TEXT_KEYS = ("answer", "response", "text", "content", "completion", "output", "generation", "summary")
CALL_KEYS = ("tool_calls", "function_call")
TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
THOUGHT_PARTS = frozenset({"thinking", "redacted_thinking", "reasoning"})


def message_keys(value: object) -> tuple[str, str] | None:
    """Return the names under which a message holds its role and its content, or None if the value is no message."""
    if isinstance(value, Mapping):
        for role, content in MESSAGE_KEYS:
            if role in value and (content in value or (role == "role" and any(value.get(key) for key in CALL_KEYS))):
                return role, content
    return None


def is_conversation(value: object) -> bool:
    """Tell one conversation, a list of messages, from a list of several responses."""
    if isinstance(value, Mapping):
        return isinstance(value.get("role"), list) and isinstance(value.get("content"), list)
    return isinstance(value, list) and bool(value) and all(message_keys(item) for item in value)


def read_conversation(value: Any, name: str) -> Turns:
    """Read a list of messages.

    Args:
        value: A value that ``is_conversation``; a mapping of two lists is how older versions of ``datasets`` give it.
        name: The column, for messages.

    Raises:
        RowError: If a message has an unknown role or no text.
    """
    if isinstance(value, Mapping):
        value = [{"role": role, "content": text} for role, text in zip(value["role"], value["content"], strict=False)]
    return tuple(read_message(item, f'"{name}", message {number}') for number, item in enumerate(value, start=1))


def read_message(value: Mapping[str, object], where: str) -> Message:
    """Read one message. Tool calls become lines of its text, so that responses that differ only in them differ.

    Raises:
        RowError: If its role is unknown, or it has neither text nor tool calls.
    """
    role_key, content_key = message_keys(value) or MESSAGE_KEYS[0]
    given = str(value[role_key]).lower()
    role = ROLES.get(given)
    if role is None:
        raise RowError(f'{where} has the unknown role "{value[role_key]}"')
    content = value.get(content_key)
    text = joined_parts(content, where) if isinstance(content, list) else scalar_text(content)
    if given == "function_call" and text is not None:
        text = tool_call(text)
    calls = [tool_call(call) for key in CALL_KEYS for call in _listed(value.get(key))]
    if text is None and not calls:
        raise RowError(f"{where} has no text")
    return Message(role, "\n".join([*([text] if text else []), *calls]))


def _listed(value: object) -> Sequence[object]:
    if value is None or value == "":
        return ()
    return value if isinstance(value, list) else (value,)


def tool_call(call: object) -> str:
    """A call of a tool as a line of text: ``Tool call: weather({"city": "Bern"})``."""
    if isinstance(call, str):
        try:
            parsed = parse_json(call)
        except ValueError:
            return f"Tool call: {call}"
        return tool_call(parsed) if isinstance(parsed, Mapping) else f"Tool call: {call}"
    function = call.get("function", call) if isinstance(call, Mapping) else call
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        return f"Tool call: {json.dumps(call, ensure_ascii=False, default=str)}"
    arguments = function.get("arguments", function.get("input", ""))
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False, default=str)
    return f"Tool call: {function['name']}({arguments})"


def joined_parts(parts: list[Any], where: str) -> str:
    """Join the parts of a message's content that are text, tool calls or their results.

    Raises:
        RowError: If a part is something else, such as an image.
    """
    return "".join(_part_text(part, where) for part in parts)


def _part_text(part: Any, where: str) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise RowError(f"{where} holds something else than text")
    kind = part.get("type", "text")
    if kind in THOUGHT_PARTS:
        return ""
    if kind == "tool_use":
        return tool_call(part)
    if kind == "tool_result":
        content = part.get("content")
        return joined_parts(content, where) if isinstance(content, list) else scalar_text(content) or ""
    text = part.get("refusal" if kind == "refusal" else "text")
    if kind not in TEXT_PARTS and kind != "refusal":
        raise RowError(f'{where} holds a part of the type "{kind}", and a judge reads only text')
    if text is None and kind == "text" and "type" not in part:
        raise RowError(f"{where} holds something else than text")
    if text is not None and not isinstance(text, str):
        raise RowError(f"{where} holds something else than text")
    return text or ""


def scalar_text(value: object) -> str | None:
    """A text, number or truth value as text; None for a missing one and for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and not math.isnan(value)):
        return str(value)
    return None


def read_prompt(value: Any, name: str) -> Turns:
    """Read a prompt: a text, a number or a list of messages.

    Raises:
        RowError: If it is missing, empty, or none of these.
    """
    text = scalar_text(value)
    if text is not None:
        turns: Turns = (Message("user", text),)
    elif is_conversation(value):
        turns = read_conversation(value, name)
    elif message_keys(value):
        turns = (read_message(value, f'"{name}"'),)
    elif is_missing(value):
        raise RowError(f'"{name}" is missing')
    elif value:
        raise RowError(f'"{name}" is {kind_of(value)}, not a text or a list of messages')
    else:
        raise RowError(f'"{name}" is empty')
    if not any(turn.content.strip() for turn in turns):
        raise RowError(f'"{name}" is empty')
    return turns


def read_response(value: Any, name: str) -> Turns:
    """Read one response: a text, which may be empty, a number, a list of messages, or an object with one of them in it.

    Raises:
        RowError: If it is missing or none of these.
    """
    text = scalar_text(value)
    if text is not None:
        return (Message("assistant", text),)
    if is_missing(value):
        raise RowError(f'"{name}" is missing')
    if is_conversation(value):
        return read_conversation(value, name)
    if isinstance(value, Mapping):
        if message_keys(value):
            return (read_message(value, f'"{name}"'),)
        for key in TEXT_KEYS:
            inner = value.get(key)
            if is_conversation(inner):
                return read_conversation(inner, name)
            if (text := scalar_text(inner)) is not None:
                return (Message("assistant", text),)
    if isinstance(value, list) and not value:
        raise RowError(f'"{name}" is empty')
    raise RowError(f'"{name}" is {kind_of(value)}, not a text or a list of messages')


def read_responses(value: Any, name: str) -> tuple[Turns, ...]:
    """Read one response or a list of them. A list of messages is one conversation; any other list is several responses.

    Raises:
        RowError: If the value, or an element of the list, is missing or no response.
    """
    if not isinstance(value, list) or not value or is_conversation(value):
        return (read_response(value, name),)
    return tuple(read_response(item, f"{name}[{number}]") for number, item in enumerate(value))


def is_missing(value: object) -> bool:
    """Tell whether there is no value: null, or the NaN that stands for it in tables."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def kind_of(value: object) -> str:
    """Name the kind of a value that is no text."""
    if isinstance(value, Mapping):
        return "an object without a text in it"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"


def split_shared(conversations: Sequence[Turns]) -> tuple[Turns, tuple[Turns, ...]] | None:
    """Split whole conversations into the prompt that they share and the responses.

    The prompt is the longest common beginning after which every conversation goes on with a turn of the assistant; at
    least one turn of each remains, also where they are identical.

    Returns:
        The prompt and the responses, or None if they share no such beginning.
    """
    first = conversations[0]
    longest = min(len(turns) for turns in conversations) - 1
    shared = 0
    while shared < longest and all(turns[shared] == first[shared] for turns in conversations):
        shared += 1
    while shared > 0 and any(turns[shared].role != "assistant" for turns in conversations):
        shared -= 1
    if shared == 0:
        return None
    return first[:shared], tuple(turns[shared:] for turns in conversations)
