"""What a model argument means: which engine runs it, what it is, and how it wants to be prompted.

``ENGINE/MODEL`` names the engine. Without an engine, a GGUF file and a catalogue name belong to ``llamacpp``, a Hugging Face
folder to ``hf``, and a run of ``rmr1 sft`` or a folder with one GGUF file to the engine of the model in it.

A model that was trained here says itself which template it wants, see ``ModelCard``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rmr1.arguments import described, unusable_reason
from rmr1.errors import ConfigError, did_you_mean
from rmr1.files import expand_home
from rmr1.models.card import ModelCard, Think, read_card_of
from rmr1.models.catalogue import ModelEntry, find_model, load_catalogue
from rmr1.models.providers import PROVIDERS
from rmr1.plugins import PluginGroup

ENGINES = PluginGroup(
    "rmr1.engines",
    "engine",
    {
        "llamacpp": "rmr1.engines.llamacpp:load",
        "hf": "rmr1.engines.hf:load",
        "vllm": "rmr1.engines.vllm:load",
        **{name: f"rmr1.engines.openai:load_{name}" for name in PROVIDERS},
        "anthropic": "rmr1.engines.anthropic:load",
        "replay": "rmr1.engines.replay:load",
        "program": "rmr1.engines.program:load",
        "scalar": "rmr1.engines.scalar:load",
    },
)
"""All engines by name: ours, and those of installed packages."""
_LOCAL = {"llamacpp": "llamacpp", "hf": "hf", "vllm": "hf"}
"""Engines that run a file or a folder of this machine, and whose kind of it; all others are given the name as it stands."""


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model argument, understood.

    Args:
        engine: Which engine runs it.
        name: What that engine is given: a path, a catalogue name, or a server's name of the model.
        entry: Its entry in the catalogue, if it has one.
        template: The judge template that it wants, if it says so.
        think: Whether its chat template opens a think block; "auto" to look.
        card: Its card, if it was trained here.
    """

    engine: str
    name: str
    entry: ModelEntry | None = None
    template: str | None = None
    think: Think = "auto"
    card: ModelCard | None = None


def resolve_model(model: str) -> ResolvedModel:
    """Understand a model argument.

    Raises:
        ConfigError: It names nothing that can be run; the message says what was looked for.
    """
    engine, slash, rest = model.partition("/")
    named = bool(slash and rest) and engine in ENGINES
    name = rest if named else model
    path = expand_home(name)
    entry = find_model(name)
    if named and engine not in _LOCAL:
        return _resolved(engine, name, entry, None)
    if (problem := unusable_reason(name)) is not None:
        raise ConfigError(f"--model {described(name)}: names no model: {problem}")
    if path.is_dir():
        found = _model_of(path)
        kind = "hf" if found.is_dir() else "llamacpp"
        if named and _LOCAL[engine] != kind:
            raise ConfigError(f"--model {model}: {found} is for the {kind} engine")
        return _resolved(engine if named else kind, str(found), None, read_card_of(found))
    if named or entry is not None or path.is_file():
        card = read_card_of(path) if path.is_file() and (engine == "llamacpp" or not named) else None
        return _resolved(engine if named else "llamacpp", name, entry, card)
    raise ConfigError(
        f'--model {model}: not a file, not a name in the catalogue ("rmr1 pull --list"), and not ENGINE/MODEL with one '
        f"of the engines {', '.join(ENGINES.names())}{_nearest(model)}"
    )


def _nearest(model: str) -> str:
    engine, slash, rest = model.partition("/")
    engines = [f"{name}/{rest}" for name in ENGINES.names()] if slash and engine and rest else []
    return did_you_mean(model, load_catalogue()) or did_you_mean(model, engines)


def _resolved(engine: str, name: str, entry: ModelEntry | None, card: ModelCard | None) -> ResolvedModel:
    if card is not None:
        return ResolvedModel(engine, name, None, card.template, card.think, card)
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
