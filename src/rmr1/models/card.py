"""The card of a model that was trained here: which model it comes from, and how it wants to be prompted.

A Hugging Face folder has it in ``rmr1.json``. A GGUF file has it in keys that begin with ``rmr1.``; they stand before all keys but
the ``general.`` ones, so that they are read without a library and without reading the file.
"""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from pydantic import TypeAdapter

from rmr1.errors import ModelNotFoundError
from rmr1.files import parse_json, read_text, write_text

CARD = "rmr1.json"
"""The file of a card in a model folder."""
CARD_KEYS = "rmr1."
"""Prefix of a card's keys in a GGUF file."""
Think = Literal["auto", "open", "closed"]
_MAGIC = b"GGUF"
_STRING = 8
_LONGEST_TEXT = 1 << 26
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value by its type, as the GGUF specification numbers types."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Where a model comes from and how it wants to be prompted.

    Args:
        base: The model that it was trained from: a catalogue name, a hub name or a path.
        template: The judge template that it was trained with: a name or a file.
        think: "open" where its chat template opens a think block before the first token; "auto" to look.
        gguf: The GGUF file that the weights or their base came from, if any; an export takes its metadata.
    """

    base: str
    template: str | None = None
    think: Think = "auto"
    gguf: str | None = None

    def write(self, folder: Path) -> None:
        """Write the card to a model folder."""
        write_text(folder / CARD, json.dumps(asdict(self), indent=2) + "\n")


def read_card(folder: Path) -> ModelCard | None:
    """The card of a model folder, or None where there is none."""
    try:
        if not (folder / CARD).is_file():
            return None
        fields = parse_json(read_text(folder / CARD))
        known = {name: fields[name] for name in ModelCard.__dataclass_fields__ if name in fields}
        return _CARD.validate_python({"base": "", **known})
    except (ValueError, TypeError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelNotFoundError(f"{folder / CARD}: damaged ({said}); write it again, or delete it") from error


_CARD = TypeAdapter(ModelCard)


def read_card_of(path: Path) -> ModelCard | None:
    """The card of a model folder or of a GGUF file, or None where there is none."""
    return read_card(path) if path.is_dir() else read_gguf_card(path)


def read_gguf_card(path: Path) -> ModelCard | None:
    """The card in a GGUF file, or None where there is none. Only the first keys are read."""
    fields: dict[str, str] = {}
    # A truncated file has no card; the engine reports that it is truncated.
    with path.open("rb") as content, suppress(struct.error):
        if content.read(len(_MAGIC)) != _MAGIC:
            return None
        _, _, count = struct.unpack("<IQQ", content.read(20))
        for _ in range(count):
            key = _text(content)
            if not key.startswith(("general.", CARD_KEYS)):
                break
            value = _value(content)
            if value is not None and key.startswith(CARD_KEYS):
                fields[key.removeprefix(CARD_KEYS)] = value
    if not fields:
        return None
    return ModelCard(fields.get("base", ""), fields.get("template"), cast(Think, fields.get("think", "auto")))


def _value(content: BinaryIO) -> str | None:
    """Read a string; skip anything else."""
    kind = _number(content, "<I")
    if kind == _STRING:
        return _text(content)
    if kind in _SIZES:
        content.seek(_SIZES[kind], 1)
        return None
    inner, length = _number(content, "<I"), _number(content, "<Q")
    if inner == _STRING:
        for _ in range(length):
            _text(content)
    else:
        content.seek(_SIZES.get(inner, 0) * length, 1)
    return None


def _text(content: BinaryIO) -> str:
    length = _number(content, "<Q")
    if length > _LONGEST_TEXT:
        raise struct.error("no text of a card is this long")
    return content.read(length).decode("utf-8", "replace")


def _number(content: BinaryIO, layout: str) -> int:
    number: int = struct.unpack(layout, content.read(struct.calcsize(layout)))[0]
    return number
