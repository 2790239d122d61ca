"""What a terminal is given: texts of data, models and servers as they are, and nothing in them that a terminal obeys.

A response may hold escape sequences (which move the cursor, change the title, or write into the clipboard), characters that turn
the direction of a line, and rich's own markup. All that is printed for people goes through ``printable``: ``terminal_console`` does
so for what it prints, and reads no emoji codes.
"""

from __future__ import annotations

import re
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

_WIDTH = 160
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control characters but tab and line feed, marks and overrides of direction, line separators, and lone surrogates."""


def printable(text: str) -> str:
    r"""A text with its control characters as escapes, such as ``\x1b`` and ``\u202e``; lines may end in a carriage return."""
    return _OBEYED.sub(_escape, text.replace("\r\n", "\n"))


def printable_json(text: str) -> str:
    r"""JSON without raw control characters: they become ``\u`` escapes, which mean the same, as they only occur in its strings."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def terminal_console(stream: TextIO) -> Console:
    """A console for people that prints no control characters; markup is that of this package, so texts in it are escaped.

    Piped output keeps whole lines: a narrow default width would break what people grep for.
    """
    return _TerminalConsole(file=stream, highlight=False, emoji=False, width=None if stream.isatty() else _WIDTH)


def literal(text: str) -> Text:
    """A text for a title of rich, which would else be read as markup."""
    return Text(printable(text))


class _TerminalConsole(Console):
    """Every string that rich is given to print, in tables and panels too, is turned into a text here."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)
