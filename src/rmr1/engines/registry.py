"""Engines by name, imported only when they are asked for."""

from __future__ import annotations

from pathlib import Path

from rmr1.config import EngineConfig
from rmr1.engines.protocol import Engine
from rmr1.models import ModelEntry
from rmr1.models.resolve import resolve_model


def catalogue_entry(model: str) -> ModelEntry | None:
    """The catalogue's entry for a model argument, whichever engine runs it."""
    return resolve_model(model).entry


def model_template(model: str) -> str | None:
    """The judge template that a model wants: the catalogue knows it, or the model says it itself."""
    return resolve_model(model).template


def create_engine(model: str, config: EngineConfig | None = None, *, concurrency: int = 16) -> Engine:
    """Load the engine that a model argument names.

    Args:
        model: ``ENGINE/MODEL``, a GGUF file, a Hugging Face folder, a run that trained a model, or a name in the catalogue.
        config: Settings of the engine.
        concurrency: Requests under way at a server.

    Raises:
        ConfigError: The argument names no engine.
        ModelNotFoundError: The engine finds no such model.
        MissingExtraError: The engine's library is not installed; the message has the command that installs it.
    """
    resolved = resolve_model(model)
    config = config or EngineConfig()
    if config.think == "auto":
        config = config.model_copy(update={"think": resolved.think})
    if resolved.engine == "replay":
        from rmr1.engines.replay import ReplayEngine

        return ReplayEngine(Path(resolved.name).expanduser())
    if resolved.engine == "openai":
        from rmr1.engines.openai.engine import OpenAIEngine

        return OpenAIEngine(resolved.name, config, concurrency)
    if resolved.engine == "hf":
        from rmr1.engines.hf.engine import HfEngine

        return HfEngine(resolved.name, config)
    if resolved.engine == "program":
        from rmr1.engines.program import ProgramEngine

        return ProgramEngine(resolved.name)
    from rmr1.engines.llamacpp.engine import LlamaCppEngine

    return LlamaCppEngine.from_name(resolved.name, config)
