"""From a model argument to a loaded engine, once per run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rmr1.config import EngineConfig
from rmr1.engines.protocol import Engine
from rmr1.errors import ConfigError
from rmr1.models import ModelEntry, ResolvedModel, resolve_model
from rmr1.models.resolve import ENGINES


class EngineFactory(Protocol):
    """What an entry point of the group ``rmr1.engines`` names: a function or a class that makes an engine."""

    def __call__(self, model: str, config: EngineConfig, *, concurrency: int) -> Engine:
        """Make an engine.

        Args:
            model: What follows ``ENGINE/`` in the model argument.
            config: Settings; an engine takes those that concern it.
            concurrency: Requests under way at a server.

        Raises:
            ModelNotFoundError: There is no such model.
            ConfigError: The settings do not fit.
            MissingExtraError: A library is not installed.
        """
        ...


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to write.

    Args:
        engine: Writes; whoever opened the model closes it.
        template: The judge template that the model wants, if it says so.
        entry: Its entry in the catalogue, if it has one.
    """

    engine: Engine
    template: str | None = None
    entry: ModelEntry | None = None


def open_model(
    model: str | ResolvedModel | Engine, config: EngineConfig | None = None, *, concurrency: int = 16
) -> LoadedModel:
    """Load the engine of a model.

    Args:
        model: ``ENGINE/MODEL``, a GGUF file, a Hugging Face folder, a run that trained a model, or a name in the catalogue; the
            same after ``resolve_model``; or an engine that is loaded already, any object that satisfies ``Engine``.
        config: Settings of the engine.
        concurrency: Requests under way at a server.

    Raises:
        ConfigError: The argument names no engine, or the object is none.
        ModelNotFoundError: The engine finds no such model.
        MissingExtraError: The engine's library is not installed; the message has the command that installs it.
    """
    if not isinstance(model, str | ResolvedModel):
        return LoadedModel(_checked(model, type(model).__name__))
    resolved = resolve_model(model) if isinstance(model, str) else model
    config = config or EngineConfig()
    if config.think == "auto":
        config = config.model_copy(update={"think": resolved.think})
    factory: EngineFactory = ENGINES.load(resolved.engine)
    engine = _checked(factory(resolved.name, config, concurrency=concurrency), f'the engine "{resolved.engine}"')
    return LoadedModel(engine, resolved.template, resolved.entry)


def _checked(engine: Engine, called: str) -> Engine:
    missing = sorted(name for name in _MEMBERS if not hasattr(engine, name))
    if missing:
        raise ConfigError(f"{called} is not an engine: it lacks {', '.join(missing)}; see rmr1.engines.Engine")
    return engine


_MEMBERS = (
    "name",
    "embedded",
    "computes_in_caller",
    "think_open",
    "writes_logprobs",
    "obeys_grammars",
    "identity",
    "generate",
    "aclose",
)
"""The members of ``Engine``; Python 3.11 cannot list those of a protocol."""
