r"""One way to write a text, without a change of meaning.

What is done to every turn: line ends become ``\n``; characters take their composed form (NFC), so that equal texts are equal;
control characters other than tab and line end, and a byte order mark, go; so do blank lines at the beginning and white space at
the end. What is left alone: case, indentation, white space inside, compatibility characters (``ﬁ``, ``²``), markdown.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from rmr1.records import Message, PreferencePair

_LINE_END = re.compile("\r\n?|\x85")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")
_BLANK_START = re.compile(r"\A(?:[^\S\n]*\n)+")


def normalise_text(text: str) -> str:
    """Write a text as this module says; doing it twice changes nothing more."""
    text = _CONTROL.sub("", _LINE_END.sub("\n", text))
    return _BLANK_START.sub("", unicodedata.normalize("NFC", text)).rstrip()


def normalise_pair(pair: PreferencePair) -> PreferencePair:
    """Normalise every turn of a pair."""
    return replace(
        pair, prompt=_turns(pair.prompt), response_a=_turns(pair.response_a), response_b=_turns(pair.response_b)
    )


def _turns(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    return tuple(Message(message.role, normalise_text(message.content)) for message in messages)
