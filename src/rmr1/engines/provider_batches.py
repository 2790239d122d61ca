"""A model through the batch API of its provider: requests go out together, answers come back within a day, at a lower price."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from rmr1.config import BatchConfig
from rmr1.engines.batches import BatchLedger
from rmr1.engines.chat_reply import server_words
from rmr1.engines.protocol import LearningEngine
from rmr1.engines.replies import fault
from rmr1.engines.request_shape import RequestShape, likely_cure
from rmr1.errors import EngineError
from rmr1.records import Generation, GenerationRequest
from rmr1.redaction import foreign_words

_LARGEST_FILE = 100_000_000


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a batch is.

    Args:
        name: The provider's name of it.
        status: The provider's word.
        ended: Whether it changes no more.
        failure: Why the provider refuses all of it, if it does.
        files: Where its answers are.
    """

    name: str
    status: str
    ended: bool
    failure: str | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """One line of a batch's answers: the key of its request, the status, and the body or what is said against it."""

    key: str
    status: int = 0
    body: object = None
    answered: bool = False


class BatchProvider(Protocol):
    """A provider's batch API.

    Attributes:
        failures: What its library raises.
    """

    failures: tuple[type[Exception], ...]

    async def send(self, token: str, bodies: Mapping[str, Mapping[str, object]], prepare: Callable[[], None]) -> str:
        """Have requests run, and give the provider's name of the batch.

        Args:
            token: Our name of the batch.
            bodies: Requests by their keys.
            prepare: Called right before the batch is made, so that it can be searched for afterwards.
        """
        ...

    def find(self, lost: Mapping[str, Container[str]], known: Container[str]) -> AsyncGenerator[tuple[str, str]]:
        """The tokens of lost batches that the provider has, with its names.

        Args:
            lost: The keys of their requests, by token.
            known: Names of batches that are not lost.
        """
        ...

    async def look(self, name: str) -> BatchState:
        """How far a batch is."""
        ...

    def answers(self, state: BatchState) -> AsyncGenerator[BatchAnswer]:
        """The answers of a batch that has ended."""
        ...


class ChatEngine(LearningEngine, Protocol):
    """An engine that asks a server request by request.

    Attributes:
        shape: Which fields requests have at present.
        first_shape: Which ones they had before anything was learnt.
        secrets: Values that must not be repeated.
    """

    shape: RequestShape
    first_shape: RequestShape
    secrets: tuple[str, ...]

    def fields(self, request: GenerationRequest, shape: RequestShape) -> dict[str, object]:
        """What the server is sent."""
        ...

    def read(self, request_id: str, body: bytes | object) -> Generation:
        """What the server wrote."""
        ...

    def reshape(self, shape: RequestShape, sent: Mapping[str, object], status: int, words: str) -> bool:
        """Learn from a refusal; whether to send the request again."""
        ...


@dataclass(slots=True)
class _Awaited:
    """Requests that wait for one batch, by their keys; ``failures`` says what the provider says against some of them.

    ``shape`` is the one with which they were sent, and ``again`` the keys of those to send in another one.
    """

    requests: dict[str, GenerationRequest] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    shape: RequestShape | None = None
    again: list[str] = field(default_factory=list)


class ProviderBatchEngine:
    """Writes through the batch API of the server that another engine asks directly.

    A request that is already in a batch of an earlier process waits for that batch and is not sent again. A request that the
    batch fails on, or that expires with it, is a fault like any other.

    Args:
        engine: Says how to ask and how to read answers.
        provider: Its batch API.
        ledger: Where batches are kept.
        config: Sizes and waiting times.
        say: Called with a sentence for each batch that is sent or answered.
    """

    embedded = False
    computes_in_caller = False

    def __init__(
        self,
        engine: ChatEngine,
        provider: BatchProvider,
        ledger: BatchLedger,
        config: BatchConfig,
        say: Callable[[str], None],
    ) -> None:
        self.name = engine.name
        self.think_open = engine.think_open
        self.writes_logprobs = engine.writes_logprobs
        self.obeys_grammars = engine.obeys_grammars
        self._engine = engine
        self._provider = provider
        self._ledger = ledger
        self._config = config
        self._say = say
        self._awaited: dict[str, _Awaited] = {}
        self._again: list[GenerationRequest] = []

    def identity(self) -> Mapping[str, object]:
        """That of the engine: a batch sends the same requests another way."""
        return self._engine.identity()

    def hear(self, on_note: Callable[[str], None]) -> None:
        """Pass notes on."""
        self._engine.hear(on_note)

    def learnt(self) -> Mapping[str, object]:
        """What the engine has learnt."""
        return self._engine.learnt()

    def remember(self, learnt: Mapping[str, object]) -> None:
        """Pass it to the engine."""
        self._engine.remember(learnt)

    async def aclose(self) -> None:
        """Close the connections; batches under way go on at the provider."""
        await self._engine.aclose()

    async def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Send what no batch holds yet, then wait for all batches that matter.

        Raises:
            EngineError: The provider cannot be reached or refuses a batch; what is under way is found again by the next process.
        """
        source = iter(requests)
        more = True
        try:
            await self._find_unaccepted()
            while more or self._awaited or self._again:
                more = more or bool(self._again)
                while more and len(self._awaited) < self._config.under_way:
                    more = await self._draw(source)
                for token in list(self._awaited):
                    state = await self._provider.look(self._ledger.name(token))
                    if state.ended:
                        async for generation in self._collect(token, state):
                            yield generation
                if self._awaited:
                    await asyncio.sleep(self._config.poll_s)
        except self._provider.failures as error:
            said = foreign_words(f"{type(error).__name__}: {error}", self._engine.secrets)
            raise EngineError(
                f"the batch API fails: {said}. Run the same command again to go on with the batches under way"
            ) from error

    async def _draw(self, requests: Iterator[GenerationRequest]) -> bool:
        """Fill and send one batch; whether there may be more."""
        source = chain(self._take_refused(), requests)
        new: dict[str, GenerationRequest] = {}
        bodies: dict[str, Mapping[str, object]] = {}
        size = 0
        for request in source:
            key = self._key(request)
            token = self._ledger.batch_of(key)
            if token is not None:
                self._awaited.setdefault(token, _Awaited()).requests[key] = request
                continue
            new[key] = request
            bodies[key] = self._engine.fields(request, self._engine.shape)
            size += len(json.dumps(bodies[key]))
            if len(new) >= self._config.size or size >= _LARGEST_FILE:
                break
        else:
            await self._send(new, bodies)
            return False
        await self._send(new, bodies)
        return True

    def _key(self, request: GenerationRequest) -> str:
        # It does not depend on what was learnt: the next process may have to learn it again, and must find its batches before.
        text = json.dumps(self._engine.fields(request, self._engine.first_shape), sort_keys=True)
        return hashlib.blake2b(f"{request.id}\0{text}".encode(), digest_size=16).hexdigest()

    async def _send(self, new: dict[str, GenerationRequest], bodies: Mapping[str, Mapping[str, object]]) -> None:
        if not new:
            return
        token, shape = uuid.uuid4().hex, self._engine.shape
        name = await self._provider.send(token, bodies, lambda: self._ledger.prepare(token, new))
        self._ledger.accept(token, name)
        self._awaited[token] = _Awaited(new, shape=shape)
        self._say(f"batch {name}: {len(new)} requests sent")

    async def _find_unaccepted(self) -> None:
        lost = self._ledger.unaccepted()
        if not lost:
            return
        async for token, name in self._provider.find(lost, self._ledger.known()):
            self._ledger.accept(token, name)
            del lost[token]
            if not lost:
                return
        for token, keys in lost.items():
            self._ledger.take(token, keys)

    async def _collect(self, token: str, state: BatchState) -> AsyncGenerator[Generation]:
        awaited = self._awaited.pop(token)
        keys = list(awaited.requests)
        self._say(f"batch {state.name}: {state.status}, {len(keys)} answers awaited")
        async for answer in self._provider.answers(state):
            request = awaited.requests.get(answer.key)
            if request is None:
                continue
            if answer.answered:
                yield self._engine.read(awaited.requests.pop(answer.key).id, answer.body)
            else:
                self._refused(awaited, request, answer)
        # From here on the answers are safe with the caller; what is left has failed, and is to be sent anew.
        self._ledger.take(token, keys)
        if state.failure is not None:
            raise EngineError(foreign_words(state.failure, self._engine.secrets))
        self._again += [awaited.requests.pop(key) for key in awaited.again]
        for key, request in awaited.requests.items():
            error = awaited.failures.get(key, f"batch {state.name} ended as {state.status} without an answer")
            yield fault(request.id, error, self._engine.secrets)

    def _refused(self, awaited: _Awaited, request: GenerationRequest, answer: BatchAnswer) -> None:
        key, words = answer.key, server_words(answer.body)
        shape = awaited.shape or self._engine.first_shape
        sent = self._engine.fields(request, shape)
        if key not in awaited.again and self._engine.reshape(shape, sent, answer.status, words):
            awaited.again.append(key)
        else:
            cure = likely_cure(answer.status, sent, words)
            said = f"HTTP {answer.status}: " if answer.status else ""
            awaited.failures[key] = f"{said}{words}" + (f"; {cure}" if cure else "")

    def _take_refused(self) -> Iterator[GenerationRequest]:
        while self._again:
            yield self._again.pop(0)
