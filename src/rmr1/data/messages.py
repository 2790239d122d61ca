r"""Texts, message lists and Human/Assistant dialogues, read into tuples of ``Message``.

Values as they occur in public data sets: ``"text"``; ``[{"role": "user", "content": "text"}]``; ``[{"from": "human",
"value": "text"}]``; ``{"llm_name": "m", "answer": "text"}``; ``"\n\nHuman: Hi\n\nAssistant: Hello"``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from rmr1.data.rows import RowError
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
    "model": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
MESSAGE_KEYS = (("role", "content"), ("from", "value"))
TEXT_KEYS = ("answer", "response", "text", "content", "completion", "output")
DIALOGUE_START = "\n\nHuman:"
DIALOGUE_TURN = re.compile(r"\n\n(Human|Assistant):")


def message_keys(value: object) -> tuple[str, str] | None:
    """Return the names under which a message holds its role and its content, or None if the value is no message."""
    if isinstance(value, Mapping):
        for role, content in MESSAGE_KEYS:
            if role in value and content in value:
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
    """Read one message.

    Raises:
        RowError: If its role is unknown or it has no text.
    """
    role_key, content_key = message_keys(value) or MESSAGE_KEYS[0]
    role = ROLES.get(str(value[role_key]).lower())
    if role is None:
        raise RowError(f'{where} has the unknown role "{value[role_key]}"')
    content = value[content_key]
    if isinstance(content, list):
        content = joined_parts(content, where)
    if not isinstance(content, str):
        raise RowError(f"{where} has no text")
    return Message(role, content)


def joined_parts(parts: list[Any], where: str) -> str:
    """Join the text parts of a message's content.

    Raises:
        RowError: If a part is not text.
    """
    texts = [part.get("text") if isinstance(part, Mapping) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise RowError(f"{where} holds something else than text")
    return "".join(text for text in texts if isinstance(text, str))


def read_prompt(value: Any, name: str) -> Turns:
    """Read a prompt: a text or a list of messages.

    Raises:
        RowError: If it is missing, empty, or neither.
    """
    if isinstance(value, str):
        turns: Turns = (Message("user", value),)
    elif is_conversation(value):
        turns = read_conversation(value, name)
    elif message_keys(value):
        turns = (read_message(value, f'"{name}"'),)
    elif value is None:
        raise RowError(f'"{name}" is missing')
    elif value:
        raise RowError(f'"{name}" is {kind_of(value)}, not a text or a list of messages')
    else:
        raise RowError(f'"{name}" is empty')
    if not any(turn.content.strip() for turn in turns):
        raise RowError(f'"{name}" is empty')
    return turns


def read_response(value: Any, name: str) -> Turns:
    """Read one response: a text, which may be empty, a list of messages, or an object with the text in it.

    Raises:
        RowError: If it is missing or none of these.
    """
    if isinstance(value, str):
        return (Message("assistant", value),)
    if value is None:
        raise RowError(f'"{name}" is missing')
    if is_conversation(value):
        return read_conversation(value, name)
    if isinstance(value, Mapping):
        if message_keys(value):
            return (read_message(value, f'"{name}"'),)
        for key in TEXT_KEYS:
            if isinstance(value.get(key), str):
                return (Message("assistant", value[key]),)
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


def kind_of(value: object) -> str:
    """Name the kind of a value that is no text."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, Mapping):
        return "an object without a text in it"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"


def is_dialogue(value: object) -> TypeGuard[str]:
    """Tell whether a text is a dialogue of the Anthropic HH form."""
    return isinstance(value, str) and value.startswith(DIALOGUE_START)


def holds_conversations(value: object) -> bool:
    """Tell whether a value is a whole conversation, a list of them, or a dialogue text."""
    several = isinstance(value, list) and bool(value) and all(is_conversation(item) for item in value)
    return several or is_conversation(value) or is_dialogue(value)


def read_dialogue(text: str) -> Turns:
    r"""Split ``\n\nHuman: ...\n\nAssistant: ...`` into turns; the white space around a turn is not part of it."""
    pieces = DIALOGUE_TURN.split(text)
    speakers, contents = pieces[1::2], pieces[2::2]
    return tuple(
        Message("user" if speaker == "Human" else "assistant", content.strip())
        for speaker, content in zip(speakers, contents, strict=True)
    )


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
