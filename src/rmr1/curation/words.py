"""Words and runs of words, for lengths, overlaps and likeness."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rmr1.records import Message

_NO_SPACES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Kana and Chinese characters: scripts without spaces, in which each character counts as a word."""

_WORD = re.compile(rf"[{_NO_SPACES}]|[^\W{_NO_SPACES}]+")


def words_of(text: str) -> list[str]:
    """The words of a text without case; punctuation is none."""
    return _WORD.findall(text.casefold())


def runs_of(words: Sequence[str], length: int) -> set[str]:
    """All runs of so many words; a shorter text is one run."""
    if len(words) <= length:
        return {" ".join(words)} if words else set()
    return {" ".join(words[start : start + length]) for start in range(len(words) - length + 1)}


def text_of(messages: Iterable[Message]) -> str:
    """The contents of turns as one text."""
    return "\n".join(message.content for message in messages)
