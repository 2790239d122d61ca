"""Rendered judge prompts, read back: the form of the released RM-R1 training sets.

A row: ``{"context_messages": [{"role": "system", ...}, {"role": "user", "content": "[Client ..."}], "winner":
"model_a"}``. The question and both responses stand only inside the user turn, between bracketed markers. Reading
them back leaves the released rendering behind, and with it its label leak: there the second chatbot is misspelt
"Chabot B" in a multi-turn row exactly where A is the better one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rmr1.data.messages import Turns, split_shared
from rmr1.data.rows import RowError
from rmr1.records import Message

QUESTION = "[Client Question]"
SINGLE_TURN = (
    "[The Start of Chatbot A's Response]",
    "[The End of Chatbot A's Response]",
    "[The Start of Chatbot B's Response]",
    "[The End of Chatbot B's Response]",
)
MULTI_TURN = (
    "[The Start of the Conversation between Chatbot A and the Client]",
    "[The End of the Conversation between Chatbot A and the Client]",
    "[The Start of the Conversation between Chatbot B and the Client]",
    "[The End of the Conversation between Chatbot B and the Client]",
)
SPEAKERS = (
    re.compile(r"^(User|Chatbot A):(?: |$)", re.MULTILINE),
    re.compile(r"^(User|Chatbot B|Chabot B):(?: |$)", re.MULTILINE),
)


def read_judge_prompt(messages: Turns, name: str) -> tuple[Turns, tuple[Turns, ...]]:
    """Find the prompt and both responses in a rendered judge prompt.

    Args:
        messages: The judge's messages.
        name: The column, for messages.

    Returns:
        The prompt and the two responses, A first.

    Raises:
        RowError: If the blocks are not there, or if a marker occurs more than once and the parts cannot be told apart.
    """
    for message in reversed(messages):
        if message.role != "user":
            continue
        if SINGLE_TURN[0] in message.content:
            return _read_single_turn(message.content, name)
        if MULTI_TURN[0] in message.content:
            return _read_multi_turn(message.content, name)
    raise RowError(f'"{name}" holds no blocks such as {SINGLE_TURN[0]}; it is not a rendered judge prompt')


def _read_single_turn(text: str, name: str) -> tuple[Turns, tuple[Turns, ...]]:
    question, answer_a, _, answer_b = _between((QUESTION, *SINGLE_TURN), text, name)
    if not question.strip():
        raise RowError(f'"{name}" has an empty {QUESTION}')
    # The renderer puts one line break around each part, and a second one after the question.
    prompt = (Message("user", _unframed(question).removesuffix("\n")),)
    return prompt, ((Message("assistant", _unframed(answer_a)),), (Message("assistant", _unframed(answer_b)),))


def _read_multi_turn(text: str, name: str) -> tuple[Turns, tuple[Turns, ...]]:
    conversation_a, _, conversation_b = _between(MULTI_TURN, text, name)
    parts = zip((conversation_a, conversation_b), SPEAKERS, strict=True)
    conversations = [_read_turns(_unframed(part), speaker, name) for part, speaker in parts]
    found = split_shared(conversations)
    if found is None:
        raise RowError(f'the conversations in "{name}" do not begin with the same turn of the user')
    return found


def _between(markers: Sequence[str], text: str, name: str) -> list[str]:
    """Return the texts between markers that occur once each and in this order."""
    places = []
    for marker in markers:
        count = text.count(marker)
        # Before the first answer the first question marker is the renderer's own; a later one is text of an answer.
        if count != 1 and not (marker == QUESTION and count):
            raise RowError(f'"{name}" holds the marker {marker} {count} times, not once')
        places.append(text.index(marker))
    if places != sorted(places):
        raise RowError(f'"{name}" holds its markers in another order than {" ".join(markers)}')
    starts = [place + len(marker) for place, marker in zip(places, markers, strict=True)]
    return [text[start:end] for start, end in zip(starts, places[1:], strict=False)]


def _unframed(part: str) -> str:
    return part.removeprefix("\n").removesuffix("\n")


def _read_turns(text: str, speaker: re.Pattern[str], name: str) -> Turns:
    """Split ``User: ...`` and ``Chatbot A: ...``; turns alternate, so a speaker's own name inside its turn is text."""
    turns: list[tuple[str, int, int]] = []
    for match in speaker.finditer(text):
        role = "user" if match[1] == "User" else "assistant"
        if not turns or turns[-1][0] != role:
            turns.append((role, match.start(), match.end()))
    if not turns or turns[0][1] != 0:
        raise RowError(f'a conversation in "{name}" does not begin with "User: "')
    ends = [start - 1 for _, start, _ in turns[1:]] + [len(text)]
    return tuple(Message(role, text[begin:end]) for (role, _, begin), end in zip(turns, ends, strict=True))
