"""From a model argument to a loaded engine, once per run."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rmr1.config import EngineConfig
from rmr1.engines.cached import AnswerCache, CachingEngine, answers_folder
from rmr1.engines.protocol import Engine, EngineFactory
from rmr1.engines.served_model import card_at, served_card
from rmr1.errors import ConfigError, PluginError
from rmr1.files import parse_json
from rmr1.models import ModelEntry, ResolvedModel, resolve_model
from rmr1.models.card import ModelCard
from rmr1.models.providers import PROVIDERS, with_address
from rmr1.models.resolve import ENGINES
from rmr1.plugins import plugin_call
from rmr1.records import Generation, GenerationRequest


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to write.

    Args:
        engine: Writes; whoever opened the model closes it.
        template: The judge template that the model wants, if it says so.
        entry: Its entry in the catalogue, if it has one.
        card: The card of a model that was trained here, if it has one.
        served_from: Where the server has it from, if the server has said so.
    """

    engine: Engine
    template: str | None = None
    entry: ModelEntry | None = None
    card: ModelCard | None = None
    served_from: Path | None = None


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
    config = with_address(resolved.engine, config or EngineConfig())
    factory: EngineFactory = ENGINES.load(resolved.engine)
    resolved, place = _with_card(resolved, config)
    if config.think == "auto":
        config = config.model_copy(update={"think": resolved.think})
    called = ENGINES.called(resolved.engine)
    cache = AnswerCache(answers_folder()) if config.cache and resolved.engine not in _NOT_CACHED else None
    if called is None:
        engine = factory(resolved.name, config, concurrency=concurrency)
    else:
        with plugin_call(called, "its call with model, config and concurrency"):
            engine = PluginEngine(_checked(factory(resolved.name, config, concurrency=concurrency), called), called)
    engine = engine if cache is None else CachingEngine(engine, cache)
    return LoadedModel(engine, resolved.template, resolved.entry, resolved.card, place)


def _with_card(resolved: ResolvedModel, config: EngineConfig) -> tuple[ResolvedModel, Path | None]:
    """The model with the card that the user names or the server has, and where the server has it from."""
    card, place = None, None
    if config.card is not None:
        card = card_at(config.card)
    elif resolved.engine in PROVIDERS:
        card, place = served_card(resolved.engine, resolved.name, config) or (None, None)
    if card is None:
        return resolved, None
    return replace(resolved, entry=None, template=card.template, think=card.think, card=card), place


_NOT_CACHED = ("replay", "program")
"""Engines that write nothing: their answers follow from more than the prompt, and cost nothing."""


class PluginEngine:
    """An engine of an installed package: what it raises becomes one line that names the package.

    Args:
        engine: The engine; members that are not part of ``Engine``, such as a batch API, are its own.
        called: How messages call it.
    """

    def __init__(self, engine: Engine, called: str) -> None:
        self.name = engine.name
        self.embedded = engine.embedded
        self.computes_in_caller = engine.computes_in_caller
        self.think_open = engine.think_open
        self.writes_logprobs = engine.writes_logprobs
        self.obeys_grammars = engine.obeys_grammars
        self._engine = engine
        self._called = called

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def identity(self) -> Mapping[str, object]:
        """The engine's identity, which has to go into a run's manifest.

        Raises:
            PluginError: It raises, or gives something else than a JSON object.
        """
        with plugin_call(self._called, "identity"):
            identity: Mapping[str, object] = parse_json(json.dumps(dict(self._engine.identity())))
        return identity

    async def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """The engine's generations.

        Raises:
            PluginError: It raises, or is no asynchronous generator.
        """
        with plugin_call(self._called, "generate"):
            generations = self._engine.generate(requests)
        if not hasattr(generations, "__anext__") or not hasattr(generations, "aclose"):
            raise PluginError(
                f"{self._called} returned {type(generations).__name__} from generate instead of an asynchronous generator; "
                f"write it as async def with yield"
            )
        with plugin_call(self._called, "generate"):
            async with aclosing(generations):
                async for generation in generations:
                    yield generation

    async def aclose(self) -> None:
        """Close the engine.

        Raises:
            PluginError: It raises.
        """
        with plugin_call(self._called, "aclose"):
            await self._engine.aclose()


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
