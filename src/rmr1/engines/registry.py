"""Engines by name, imported only when they are asked for."""

from __future__ import annotations

from pathlib import Path

from rmr1.catalogue import ModelEntry, find_model
from rmr1.config import EngineConfig
from rmr1.engines.protocol import Engine
from rmr1.errors import ConfigError

ENGINES = ("llamacpp", "openai", "replay")


def split_model(model: str) -> tuple[str, str]:
    """Split ``ENGINE/MODEL``; a bare path or catalogue name belongs to the embedded engine.

    Raises:
        ConfigError: It is neither.
    """
    engine, slash, rest = model.partition("/")
    if slash and rest and engine in ENGINES:
        return engine, rest
    if find_model(model) is not None or Path(model).expanduser().exists():
        return "llamacpp", model
    raise ConfigError(
        f'--model {model}: not a file, not a name in the catalogue ("rmr1 pull --list"), and not ENGINE/MODEL with one of '
        f"the engines {', '.join(ENGINES)}"
    )


def catalogue_entry(model: str) -> ModelEntry | None:
    """The catalogue's entry for a model argument, whichever engine runs it."""
    return find_model(split_model(model)[1])


def create_engine(model: str, config: EngineConfig | None = None, *, concurrency: int = 16) -> Engine:
    """Load the engine that a model argument names.

    Args:
        model: ``ENGINE/MODEL``, a path to a GGUF file, or a name in the catalogue.
        config: Settings of the engine.
        concurrency: Requests under way at a server.

    Raises:
        ConfigError: The argument names no engine.
        ModelNotFoundError: The engine finds no such model.
        MissingExtraError: The engine's library is not installed; the message has the command that installs it.
    """
    kind, name = split_model(model)
    config = config or EngineConfig()
    entry = find_model(name)
    if config.think == "auto" and entry is not None:
        config = config.model_copy(update={"think": entry.think})
    if kind == "replay":
        from rmr1.engines.replay import ReplayEngine

        return ReplayEngine(Path(name).expanduser())
    if kind == "openai":
        from rmr1.engines.openai import OpenAIEngine

        return OpenAIEngine(name, config, concurrency)
    from rmr1.engines.llamacpp import LlamaCppEngine

    return LlamaCppEngine.from_name(name, config)
