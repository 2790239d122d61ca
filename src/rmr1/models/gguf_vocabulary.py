"""The head of a GGUF file: its tokens that are not plain ones, since llama.cpp tells no kinds of tokens, and whether it is whole.

The format is that of the GGUF specification, versions 2 and 3: a head, then keys with values, then tensors. Only the keys are read.
The library ``gguf`` would take seconds for the 250,000 tokens of a large vocabulary, and a user of the embedded engine lacks it.
"""

from __future__ import annotations

import mmap
import struct
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rmr1.errors import ModelNotFoundError

GgufTokenKind: TypeAlias = Literal["unknown", "control", "added", "byte"]
_KINDS: dict[int, GgufTokenKind] = {2: "unknown", 3: "control", 4: "added", 6: "byte"}
_BLOCKS = {
    **{0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36)},
    **{10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292)},
    **{24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2)},
}
"""Elements and bytes of a block of a tensor, by its type, for the types that are common."""
_MOST_DIMENSIONS = 4
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

    @property
    def place(self) -> int:
        """How many bytes were read."""
        return self._place

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
    _begin(head)
    found: dict[str, Any] = {}
    for key, value in _pairs(head):
        if key in (_TOKENS, _TYPES):
            found[key] = value
            if len(found) == 2:
                break
    return found.get(_TOKENS, []), found.get(_TYPES, array("i"))


@dataclass(frozen=True, slots=True)
class GgufHead:
    """What the head of a GGUF file says.

    Args:
        architecture: Such as ``llama``.
        context: Tokens that the model was trained to attend to; None if the file does not say.
        template: Its chat template, or None.
        begin: Letters of the token that begins a text, or "".
        adds_begin: Whether a tokenizer puts that token before each text.
        missing_bytes: How many bytes the file lacks at its end; 0 for a whole one.
    """

    architecture: str
    context: int | None
    template: str | None
    begin: str
    adds_begin: bool
    missing_bytes: int


def read_gguf_head(path: Path) -> GgufHead:
    """Read the head of a GGUF file, and whether its tensors are all there.

    Raises:
        ModelNotFoundError: It is no GGUF file, or ends within its head.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            head = _Head(content)
            tensors = _begin(head)
            found = dict(_pairs(head))
            end = _end_of_tensors(head, tensors, found)
            size = len(content)
    except (OSError, ValueError, struct.error, IndexError, TypeError, MemoryError) as error:
        raise ModelNotFoundError(f"{path}: is no whole GGUF file ({error}); fetch it again") from error
    architecture = _decoded(found.get("general.architecture"))
    tokens, number = found.get(_TOKENS), found.get("tokenizer.ggml.bos_token_id")
    begin = b""
    if isinstance(tokens, list) and isinstance(number, int) and 0 <= number < len(tokens):
        begin = tokens[number]
    context = found.get(f"{architecture}.context_length")
    return GgufHead(
        architecture,
        context if isinstance(context, int) else None,
        _decoded(found.get("tokenizer.chat_template")) or None,
        _decoded(begin),
        bool(found.get("tokenizer.ggml.add_bos_token", False)),
        max(0, end - size),
    )


def _decoded(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _begin(head: _Head) -> int:
    """The number of tensors."""
    if head.number("4s") != b"GGUF" or head.number("I") < 2:
        raise ValueError("it does not begin as one")
    tensors: int = head.number("Q")
    return tensors


def _pairs(head: _Head) -> Iterator[tuple[str, Any]]:
    for _ in range(head.number("Q")):
        key = head.text().decode()
        yield key, head.value(head.number("I"))


def _end_of_tensors(head: _Head, tensors: int, found: Mapping[str, object]) -> int:
    """How many bytes the file has to have."""
    end = 0
    for _ in range(tensors):
        head.text()
        dimensions = head.number("I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError("a tensor of it has more than 4 dimensions")
        elements = 1
        for _ in range(dimensions):
            elements *= head.number("Q")
        block, size = _BLOCKS.get(head.number("I"), (1, 0))
        end = max(end, head.number("Q") + elements // block * size)
    alignment = found.get("general.alignment", 32)
    step = alignment if isinstance(alignment, int) and alignment > 0 else 32
    return -(-head.place // step) * step + end
