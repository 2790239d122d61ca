"""What an engine is: it completes prompts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Protocol, TypeGuard

from rmr1.config import EngineConfig
from rmr1.records import Generation, GenerationRequest


class Engine(Protocol):
    """A text generator.

    Requests are drawn from the iterable only as the engine has room for them, so that it may be endless; each generation is yielded
    as it finishes, in any order, and names its request. A request that fails yields a generation with ``finish_reason`` "error";
    ``EngineError`` is raised only where no request can succeed. Closing the iterator cancels what is under way.

    Attributes:
        name: How the user named it, such as ``llamacpp/smollm2-135m-instruct``.
        embedded: Whether it runs in this process.
        computes_in_caller: Whether it computes in the thread that awaits it, rather than in threads or a server of its own.
        think_open: Whether generations start inside a think block that the chat template has opened.
        writes_logprobs: Whether ``GenerationRequest.logprobs`` is honoured.
        obeys_grammars: Whether ``GenerationRequest.grammar`` is honoured.
    """

    name: str
    embedded: bool
    computes_in_caller: bool
    think_open: bool
    writes_logprobs: bool
    obeys_grammars: bool

    def identity(self) -> Mapping[str, object]:
        """What decides its output besides the requests: model, weights, context. Kept in a run's manifest."""
        ...

    def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Write a generation for each request."""
        ...

    async def aclose(self) -> None:
        """Free the model or the connections."""
        ...


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


class TellingEngine(Engine, Protocol):
    """An engine that has something to say while it works: what it has learnt about its server, and why it waits."""

    def hear(self, on_note: Callable[[str], None]) -> None:
        """Have each note passed on from now on.

        Args:
            on_note: Called with a sentence.
        """


class ScoringEngine(Engine, Protocol):
    """An engine that gives each response a number instead of writing: a scalar reward model.

    A request holds a conversation that ends with the response. The text of its generation is the number, see
    ``rmr1.verdict.score_text``; a higher one is better.

    Attributes:
        gives_scores: That it does.
    """

    gives_scores: bool


def gives_scores(engine: Engine) -> TypeGuard[ScoringEngine]:
    """Whether an engine is a scalar reward model."""
    return bool(getattr(engine, "gives_scores", False))


def is_telling(engine: Engine) -> TypeGuard[TellingEngine]:
    """Whether an engine makes notes."""
    return hasattr(engine, "hear")


class LearningEngine(TellingEngine, Protocol):
    """An engine whose requests change with what its server refuses."""

    def learnt(self) -> Mapping[str, object]:
        """What has been learnt so far, as JSON; a run keeps it after each note."""
        ...

    def remember(self, learnt: Mapping[str, object]) -> None:
        """Begin with what an earlier process of the run has learnt.

        Raises:
            ValueError: It is something else.
        """


def is_learning(engine: Engine) -> TypeGuard[LearningEngine]:
    """Whether an engine learns from refusals."""
    return hasattr(engine, "learnt") and hasattr(engine, "remember")


class GrammarEngine(Engine, Protocol):
    """An engine that knows how many tokens a grammar needs, and ends each completion within its limit."""

    def least_tokens(self, grammar: str) -> int:
        """Tokens of the shortest text of a grammar, with the one that ends the turn.

        Args:
            grammar: GBNF.

        Raises:
            ConfigError: The grammar cannot be read.
        """
        ...


def is_grammar_engine(engine: Engine) -> TypeGuard[GrammarEngine]:
    """Whether an engine knows how many tokens a grammar needs."""
    return hasattr(engine, "least_tokens")
