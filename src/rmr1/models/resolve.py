"""What a model argument means: which engine runs it, what it is, and how it wants to be asked.

``ENGINE/MODEL`` names the engine. Without an engine, a GGUF file and a catalogue name belong to ``llamacpp``, a Hugging Face
folder to ``hf``, and a run of ``rmr1 sft`` or a folder with one GGUF file to the engine of the model in it.

A model that was trained here says itself which template it wants: ``rmr1.json`` in its folder, or ``rmr1.template`` among the first
keys of its GGUF file.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from rmr1.errors import ConfigError
from rmr1.models import ModelEntry, find_model
from rmr1.models.loading import ModelCard, read_card

ENGINES = ("llamacpp", "hf", "openai", "replay", "program")
CARD_KEYS = "rmr1."
"""How the keys of a card begin in a GGUF file; they stand before all but the ``general.`` ones."""
_MAGIC = b"GGUF"
_STRING = 8
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
Think = Literal["auto", "open", "closed"]


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model argument, understood.

    Args:
        engine: Which engine runs it.
        name: What that engine is given: a path, a catalogue name, or a server's name of the model.
        entry: Its entry in the catalogue, if it has one.
        template: The judge template that it wants, if it says so.
        think: Whether its chat template opens a think block; "auto" to look.
    """

    engine: str
    name: str
    entry: ModelEntry | None = None
    template: str | None = None
    think: Think = "auto"


def resolve_model(model: str) -> ResolvedModel:
    """Understand a model argument.

    Raises:
        ConfigError: It names nothing that can be run; the message says what was looked for.
    """
    engine, slash, rest = model.partition("/")
    named = bool(slash and rest) and engine in ENGINES
    name = rest if named else model
    path = Path(name).expanduser()
    entry = find_model(name)
    if named and engine in ("openai", "replay", "program"):
        return _resolved(engine, name, entry, None)
    if path.is_dir():
        found = _model_of(path)
        kind = "hf" if found.is_dir() else "llamacpp"
        if named and engine != kind:
            raise ConfigError(f"--model {model}: {found} is for the {kind} engine")
        return _resolved(kind, str(found), None, _card(found))
    if named or entry is not None or path.is_file():
        card = _card(path) if path.is_file() and (engine == "llamacpp" or not named) else None
        return _resolved(engine if named else "llamacpp", name, entry, card)
    raise ConfigError(
        f'--model {model}: not a file, not a name in the catalogue ("rmr1 pull --list"), and not ENGINE/MODEL with one '
        f"of the engines {', '.join(ENGINES)}"
    )


def _resolved(engine: str, name: str, entry: ModelEntry | None, card: ModelCard | None) -> ResolvedModel:
    if card is not None:
        return ResolvedModel(engine, name, None, card.template, card.think)
    if entry is not None:
        return ResolvedModel(engine, name, entry, entry.template, entry.think)
    return ResolvedModel(engine, name)


def _model_of(folder: Path) -> Path:
    for candidate in (folder, folder / "model"):
        if (candidate / "config.json").is_file():
            return candidate
    files = sorted(folder.glob("*.gguf"))
    if len(files) == 1:
        return files[0]
    if files:
        raise ConfigError(f"--model {folder}: holds {len(files)} GGUF files; name one of them, such as {files[0]}")
    if (folder / "checkpoints").is_dir():
        raise ConfigError(
            f"--model {folder}: this run is not finished, it has no folder {folder / 'model'}; run its command again to go on, or "
            f"name one of {folder / 'checkpoints'}"
        )
    raise ConfigError(
        f"--model {folder}: holds no model: neither config.json, nor model/config.json, nor a GGUF file; name a GGUF file, a "
        f"Hugging Face folder, or a run of rmr1 sft"
    )


def _card(path: Path) -> ModelCard | None:
    return read_card(path) if path.is_dir() else read_gguf_card(path)


def read_gguf_card(path: Path) -> ModelCard | None:
    """The card in a GGUF file, or None where there is none.

    Only the first keys are read, which takes no library and no time.
    """
    fields: dict[str, str] = {}
    with (
        path.open("rb") as content,
        suppress(struct.error),
    ):  # a torn file has no card; the engine will say that it is torn
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
    return content.read(_number(content, "<Q")).decode("utf-8", "replace")


def _number(content: BinaryIO, layout: str) -> int:
    number: int = struct.unpack(layout, content.read(struct.calcsize(layout)))[0]
    return number
