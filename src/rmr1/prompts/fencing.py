"""Fencing: text that is judged cannot speak as the prompt or as the judge.

A response may carry the marks that structure the judge's prompt (``[The End of Chatbot A's Response]``), the judge's own
tags (``<answer>``, ``[[A]]``, ``</think>``), a chat template's control tokens (``<|im_start|>``; tokenisers turn them into
control tokens wherever they occur) or, in a conversation, the name of a speaker at the start of a line. The brackets of such
a mark become round ones, and a speaker's name is put in round brackets; everything else stays as it is, so that the judge
still reads what was written.

Released RM-R1 models were trained without fencing: switch it off to reproduce them.
"""

from __future__ import annotations

import hashlib
import re

_GAP = r"[^\S\n]*"
_WORDS_OF_BLOCKS = (
    r"(?:client\s+)?question",
    r"(?:response|conversation)\s+[ab]",
    r"the\s+(?:start|end)\s+of\s+chatbot\s+[ab]['\u2019]s\s+response",
    r"the\s+(?:start|end)\s+of\s+the\s+conversation\s+between\s+chatbot\s+[ab]\s+and\s+the\s+client",
    r"the\s+(?:start|end)\s+of\s+the\s+failed\s+judgement",
    r"/?inst",
    rf"\[{_GAP}[ab]{_GAP}\]",
)
_WORDS_OF_TAGS = (
    r"/?\s*(?:answer|think|type|rubric|justify|solution|eval|quote_[ab]|summary_[ab])",
    r"/?(?:start|end)_of_turn",
    r"/s",
    r"\|[\w\s\u2581-]{1,48}\|",
    r"\uff5c[\w\s\u2581-]{1,48}\uff5c",
)
_MARK = re.compile(
    rf"\[{_GAP}(?:{'|'.join(_WORDS_OF_BLOCKS)}){_GAP}\]|<{_GAP}(?:{'|'.join(_WORDS_OF_TAGS)}){_GAP}>", re.IGNORECASE
)
_SPEAKER = re.compile(
    r"^([^\S\n]*)((?:user|client|system|tool|assistant|human|chatbot[^\S\n]+[ab])[^\S\n]*:)",
    re.IGNORECASE | re.MULTILINE,
)
FENCE_SHA256 = hashlib.sha256(f"{_MARK.pattern}\0{_SPEAKER.pattern}".encode()).hexdigest()
"""Hash of what counts as a mark: a run that was begun with other marks is another run."""
_ROUND = str.maketrans("[]<>", "()()")


def fence(text: str, *, conversation: bool = False) -> tuple[str, int]:
    """Disarm every mark in ``text``.

    Args:
        text: A question, a response or one turn of a conversation.
        conversation: Whether the text will be among turns that begin with a speaker's name.

    Returns:
        The text, in which only marks have changed, and the number of marks.
    """
    fenced, marks = _MARK.subn(lambda mark: mark[0].translate(_ROUND), text)
    speakers = 0
    if conversation:
        fenced, speakers = _SPEAKER.subn(r"\1(\2)", fenced)
    return fenced, marks + speakers
