r"""Texts that stand for something else: lists and messages that were written into a cell, and Human/Assistant transcripts.

A CSV file has nothing but texts, and many data sets keep lists as texts elsewhere too: as JSON, or as Python or NumPy print them.
A text is taken for such a list only where the whole of it parses as messages or turns; everything else is text. ``\n\nHuman: Hi
\n\nAssistant: Hello`` is a conversation only where it begins with a speaker.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeGuard

from rmr1.data.messages import ROLES, Turns, is_conversation, message_keys
from rmr1.data.rows import RowError
from rmr1.files import parse_json
from rmr1.records import Message

_SPEAKER_KEYS = rf"""['"](?:role|from)['"]\s*:\s*['"](?:{"|".join(ROLES)})['"]"""
_MESSAGES_BEGIN = re.compile(rf"""\[\s*\{{\s*(?:{_SPEAKER_KEYS}|['"]content['"]\s*:)""", re.IGNORECASE)
_BETWEEN_OBJECTS = re.compile(r"\}[ \t]*\r?\n[ \t]*\{")
_NO_TOKENS = frozenset({tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.ENCODING, tokenize.COMMENT})
_LONGEST_PYTHON = 1 << 22
"""Characters of a Python literal; its parser needs many times as much memory."""

_SPEAKERS = {"human": "user", "user": "user", "assistant": "assistant", "ai": "assistant"}
_DIALOGUE_START = re.compile(r"\ufeff?\s*(?:Human|User)[ \t]*:")
_BLANK_LINE_TURN = re.compile(r"(?:\A\s*|\n[ \t]{0,8}\n[ \t]{0,8})(Human|User|Assistant|AI)[ \t]{0,8}:")
_LINE_TURN = re.compile(r"(?:\A\s*|\n[ \t]{0,8})(Human|User|Assistant|AI)[ \t]{0,8}:")
_HH_START = re.compile(r"\n+Human:")


def unpack(value: Any, name: str) -> Any:
    """Give the messages or the list of turns that a text is, or the value itself.

    Args:
        value: A cell.
        name: The column, for messages.

    Raises:
        RowError: If a text begins like messages and cannot be parsed.
    """
    if not isinstance(value, str):
        return value
    text = value.strip().removeprefix("\ufeff")
    if text[:1] not in ("[", "{"):
        return value
    parsed: Any = parse_literal(text) if text[-1] in ("]", "}") else None
    if is_conversation(parsed) or is_turn_list(parsed) or _is_list_of_conversations(parsed):
        return parsed
    keys = message_keys(parsed)
    if keys and str(parsed[keys[0]]).lower() in ROLES:
        return parsed
    if parsed is None and _MESSAGES_BEGIN.match(text):
        raise RowError(f'"{name}" begins like a list of messages and cannot be parsed; write it as JSON')
    return value


def parse_literal(text: str) -> Any:
    """Parse JSON, a Python literal, or a NumPy array of texts or objects as it prints; None for a text that is none of these."""
    try:
        return parse_json(text, finite=False)
    except (ValueError, RecursionError):
        pass
    if len(text) > _LONGEST_PYTHON:
        return None
    # A line break inside a printed text is written as \n, so a real one can only stand between the elements of an array.
    text = _BETWEEN_OBJECTS.sub("}, {", text)
    try:
        if (texts := _texts_of_array(text)) is not None:
            return texts
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError):
        return None


def _texts_of_array(text: str) -> list[str] | None:
    """Read ``['a' 'b']``, an array of texts as NumPy prints it; Python itself would join the texts to one."""
    tokens = [one for one in tokenize.generate_tokens(io.StringIO(text).readline) if one.type not in _NO_TOKENS]
    kinds = [one.type for one in tokens]
    beside = any(a == b == tokenize.STRING for a, b in pairwise(kinds))
    if not beside:
        return None
    inner = tokens[1:-1]
    if any(one.type != tokenize.STRING for one in inner):
        raise ValueError("texts stand side by side and with commas")
    return [ast.literal_eval(one.string) for one in inner]


def is_turn_list(value: object) -> TypeGuard[list[str | None]]:
    """Tell whether a value is a list of texts, one a turn; a turn may be missing."""
    return (
        isinstance(value, list)
        and any(isinstance(item, str) for item in value)
        and all(item is None or isinstance(item, str) for item in value)
    )


def zip_turns(questions: Sequence[str | None], answers: Any, name: str) -> Turns:
    """Join the user's turns and the assistant's to a conversation; a missing turn is an empty one.

    Raises:
        RowError: If the answers are not as many turns.
    """
    if not is_turn_list(answers) and not (isinstance(answers, list) and answers and not any(answers)):
        raise RowError(f'the prompt is a list of turns, and "{name}" is not')
    if len(answers) != len(questions):
        raise RowError(f'the prompt is a list of {len(questions)} turns, and "{name}" one of {len(answers)}')
    pairs = zip(questions, answers, strict=True)
    return tuple(
        Message(role, text or "") for pair in pairs for role, text in zip(("user", "assistant"), pair, strict=True)
    )


def is_dialogue(value: object) -> TypeGuard[str]:
    """Tell whether a text is a whole Human/Assistant conversation: it begins with the human, and the assistant answers."""
    if not isinstance(value, str) or not _DIALOGUE_START.match(value):
        return False
    roles = [turn.role for turn in read_dialogue(value)]
    return "assistant" in roles or (_HH_START.match(_plain(value)) is not None and roles == ["user"])


def is_dialogue_prompt(value: object) -> TypeGuard[str]:
    """Tell whether a text is a conversation that the assistant is to go on with."""
    if not is_dialogue(value):
        return False
    turns = read_dialogue(value)
    return _HH_START.match(_plain(value)) is not None or turns[-1].role == "user" or not turns[-1].content


def read_dialogue(text: str) -> Turns:
    r"""Split a transcript into turns; the white space around a turn is not part of it.

    Where turns begin after a blank line (``\n\nHuman:``), a speaker's name after a single line break is text.
    """
    text = _plain(text)
    apart = any(match.start() > 0 for match in _BLANK_LINE_TURN.finditer(text))
    pieces = (_BLANK_LINE_TURN if apart else _LINE_TURN).split(text)
    speakers, contents = pieces[1::2], pieces[2::2]
    return tuple(
        Message(_SPEAKERS[speaker.lower()], content.strip())
        for speaker, content in zip(speakers, contents, strict=True)
    )


def read_dialogue_prompt(text: str) -> Turns:
    """Read a transcript that the assistant is to go on with; its open last turn goes."""
    turns = read_dialogue(text)
    return turns[:-1] if turns[-1].role == "assistant" and not turns[-1].content else turns


def holds_conversations(value: object) -> bool:
    """Tell whether a value is a whole conversation, a list of them, or a transcript."""
    return is_conversation(value) or _is_list_of_conversations(value) or is_dialogue(value)


def _is_list_of_conversations(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(is_conversation(item) for item in value)


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")
