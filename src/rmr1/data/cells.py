"""Texts that stand for something else: lists and messages that were written into a cell.

A CSV file has nothing but texts, and many data sets keep lists as texts elsewhere too: as JSON, perhaps twice, as Python or NumPy
print them, or as YAML. A text is taken for such a list only where the whole of it parses as messages or turns; everything else is
text.
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
from rmr1.data.transcripts import is_dialogue
from rmr1.files import YamlError, parse_json, parse_yaml
from rmr1.records import Message

_SPEAKER = "|".join(ROLES)
_SPEAKER_KEYS = rf"""['"](?:role|from)['"]\s*:\s*['"](?:{_SPEAKER})['"]"""
_MESSAGES_BEGIN = re.compile(rf"""(?:array\(\s*)?\[\s*\{{\s*(?:{_SPEAKER_KEYS}|['"]content['"]\s*:)""", re.IGNORECASE)
_YAML_BEGIN = re.compile(
    rf"""-[ ]{{1,8}}(?:role|from):[ ]{{1,8}}['"]?(?:{_SPEAKER})['"]?[ ]{{0,8}}\r?\n[ ]{{1,8}}(?:content|value):""",
    re.IGNORECASE,
)
_BETWEEN_OBJECTS = re.compile(r"\}[ \t]*\r?\n[ \t]*\{")
_NO_TOKENS = frozenset({tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.ENCODING, tokenize.COMMENT})
_LONGEST_PYTHON = 1 << 22
"""Characters of a Python literal; its parser needs many times as much memory."""


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
    if text.startswith(("[", "{", "array(", '"[', '"{')):
        parsed: Any = parse_literal(text) if text[-1] in ("]", "}", ")", '"') else None
    elif _YAML_BEGIN.match(text):
        parsed = _parse_yaml(text)
    else:
        return value
    if isinstance(parsed, str):  # JSON that was written as JSON once more
        inner = unpack(parsed, name)
        return value if isinstance(inner, str) else inner
    if is_conversation(parsed) or is_turn_list(parsed) or _is_list_of_conversations(parsed):
        return parsed
    keys = message_keys(parsed)
    if keys and str(parsed[keys[0]]).lower() in ROLES:
        return parsed
    if parsed is None and (_MESSAGES_BEGIN.match(text) or _YAML_BEGIN.match(text)):
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
        return ast.literal_eval(_OpenArrays().visit(ast.parse(text, mode="eval")))
    except (ValueError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError):
        return None


class _OpenArrays(ast.NodeTransformer):
    """Puts its list in the place of ``array([...], dtype=object)``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Open a call of ``array``; any other is no literal."""
        if isinstance(node.func, ast.Name) and node.func.id == "array" and len(node.args) == 1:
            return self.visit(node.args[0])  # type: ignore[no-any-return]
        return node


def _parse_yaml(text: str) -> Any:
    try:
        return parse_yaml(text)[0]
    except YamlError:
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


def holds_conversations(value: object) -> bool:
    """Tell whether a value is a whole conversation, a list of them, or a transcript."""
    return is_conversation(value) or _is_list_of_conversations(value) or is_dialogue(value)


def _is_list_of_conversations(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(is_conversation(item) for item in value)
