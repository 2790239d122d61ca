"""The tokens of a GGUF file that are not plain ones, read from its head; llama.cpp tells no kinds of tokens.

The format is that of the GGUF specification, versions 2 and 3: a head, then keys with values, then tensors. Only the keys are read.
The library ``gguf`` would take seconds for the 250,000 tokens of a large vocabulary, and a user of the embedded engine lacks it.
"""

from __future__ import annotations

import mmap
import struct
from array import array
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rmr1.errors import ModelNotFoundError

GgufTokenKind: TypeAlias = Literal["unknown", "control", "added", "byte"]
_KINDS: dict[int, GgufTokenKind] = {2: "unknown", 3: "control", 4: "added", 6: "byte"}
_TOKENS = "tokenizer.ggml.tokens"
_TYPES = "tokenizer.ggml.token_type"
_SCALARS = "BbHhIif?"
_STRING, _ARRAY = 8, 9
_WIDE = {10: "Q", 11: "q", 12: "d"}
_INT32 = 5


class _Head:
    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._place = 0

    def number(self, form: str) -> Any:
        value = struct.unpack_from(f"<{form}", self._content, self._place)[0]
        self._place += struct.calcsize(f"<{form}")
        return value

    def text(self) -> bytes:
        length = self.number("Q")
        self._place += length
        return self._content[self._place - length : self._place]

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_WIDE.get(kind) or _SCALARS[kind])
        inner, count = self.number("I"), self.number("Q")
        if inner in (_STRING, _ARRAY):
            return [self.value(inner) for _ in range(count)]
        form = _WIDE.get(inner) or _SCALARS[inner]
        size = count * struct.calcsize(f"<{form}")
        self._place += size
        return array("i", self._content[self._place - size : self._place]) if inner == _INT32 else None


def special_tokens(path: Path) -> list[tuple[str, int, GgufTokenKind]]:
    """Letters, id and kind of every token that the file does not call a plain one.

    Raises:
        ModelNotFoundError: It is no whole GGUF file.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            tokens, kinds = _vocabulary(_Head(content))
    except (OSError, ValueError, struct.error, IndexError, TypeError, MemoryError) as error:
        raise ModelNotFoundError(f"{path}: is no whole GGUF file ({error}); fetch it again") from error
    return [
        (tokens[token].decode(errors="replace"), token, _KINDS[kind])
        for token, kind in enumerate(kinds)
        if kind in _KINDS and token < len(tokens)
    ]


def _vocabulary(head: _Head) -> tuple[list[bytes], array[int]]:
    if head.number("4s") != b"GGUF" or head.number("I") < 2:
        raise ValueError("it does not begin as one")
    head.number("Q")  # tensors
    found: dict[str, Any] = {}
    for _ in range(head.number("Q")):
        key = head.text().decode()
        value = head.value(head.number("I"))
        if key in (_TOKENS, _TYPES):
            found[key] = value
            if len(found) == 2:
                break
    return found.get(_TOKENS, []), found.get(_TYPES, array("i"))
