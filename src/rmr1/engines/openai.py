"""Any server that speaks OpenAI's chat completions: OpenAI, vLLM, SGLang, llama.cpp's server.

OpenAI's batch API is an engine too: requests go out in files, answers come back within a day, at a lower price.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from rmr1.config import BatchConfig, EngineConfig
from rmr1.engines.batches import BatchLedger
from rmr1.engines.chat_reply import is_web_page, read_reply, server_words
from rmr1.engines.protocol import Engine
from rmr1.engines.replies import dispatch, fault
from rmr1.engines.request_shape import ENDED_SERVER, RequestShape, is_used_up, learn_shape, likely_cure
from rmr1.errors import ConfigError, EngineError, MissingExtraError
from rmr1.files import parse_json
from rmr1.records import Generation, GenerationRequest
from rmr1.redaction import public_url, public_value, redact, secret_texts

try:
    import openai

    from rmr1.engines.chat_client import ChatClient
except ImportError as error:
    raise MissingExtraError("the openai engine", "openai") from error

_ENDPOINT: Final = "/v1/chat/completions"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_LARGEST_FILE = 100_000_000
_TOKEN = "rmr1_batch"
_FATAL = (401, 403, 404)


def load(model: str, config: EngineConfig, *, concurrency: int) -> OpenAIEngine:
    """``openai/MODEL``, as the server calls it."""
    return OpenAIEngine(model, config, concurrency)


class OpenAIEngine:
    """Asks a server. A field that the server refuses is changed or left out for all later requests, and told once.

    Args:
        model: The server's name of the model.
        config: ``base_url``, ``api_key_env``, ``timeout_s``, ``max_retries``, ``max_answer_mb``, ``server_grammar``, ``omit``,
            ``extra_body``, ``chat_template_kwargs``, ``reasoning_effort`` and ``think`` matter here.
        concurrency: Requests under way.

    Attributes:
        client: OpenAI's client, for batches.
        shape: Which fields requests have at present.

    Raises:
        ConfigError: There is no API key and the server is OpenAI's.
    """

    embedded = False
    computes_in_caller = False
    writes_logprobs = True

    def __init__(self, model: str, config: EngineConfig, concurrency: int = 16) -> None:
        key = os.environ.get(config.api_key_env)
        if key is None and config.base_url is None:
            raise ConfigError(f"set {config.api_key_env} to your API key, or name your own server with --base-url")
        self.name = f"openai/{model}"
        self.model = model
        self.obeys_grammars = config.server_grammar is not None
        self.think_open = config.think == "open"
        self._config = config
        self._concurrency = concurrency
        self._on_note: Callable[[str], None] = _unheard
        self.client = _client(key, config)
        url = config.base_url or str(self.client.base_url)
        self.called = public_url(url) if config.base_url else "OpenAI"
        self.secrets = tuple(filter(None, (key, *secrets_of(url), *secret_texts(config.extra_body))))
        self._more = {**_set_fields(config), **config.extra_body}
        # OpenAI renamed the limit for its own models; the servers that imitate it keep the old name.
        limit = "max_tokens" if config.base_url else "max_completion_tokens"
        self.shape = RequestShape(limit, frozenset(config.omit))
        self._left: set[RequestShape] = set()
        self._answered = False
        headers = {**self.client.default_headers, **self.client.auth_headers}
        self._chat = ChatClient(
            url,
            {name: value for name, value in headers.items() if isinstance(value, str)},
            timeout_s=config.timeout_s,
            max_retries=config.max_retries,
            most_mb=config.max_answer_mb,
            concurrency=concurrency,
            on_note=self._note,
        )

    def identity(self) -> Mapping[str, object]:
        """The model, the server, how a think block is treated, which fields of a request are left out, and which are added."""
        url = self._config.base_url and public_url(self._config.base_url)
        identity = {"model": self.model, "base_url": url, "think": self._config.think, **_set_fields(self._config)}
        extra = public_value(self._config.extra_body)
        optional = {"omit": list(self._config.omit), "extra_body": extra}
        return identity | {name: value for name, value in optional.items() if value}

    def hear(self, on_note: Callable[[str], None]) -> None:
        """Pass notes on: what the server's refusals have taught, and which failures are retried."""
        self._on_note = on_note

    def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Ask for all requests, ``concurrency`` at a time.

        Raises:
            EngineError: The server refuses the key, does not know the model, or wants money.
        """
        return dispatch(requests, self._complete, self._concurrency)

    def batched(self, ledger: BatchLedger, config: BatchConfig, say: Callable[[str], None]) -> Engine:
        """The same model through the batch API of its server, see ``BatchEngine``."""
        return OpenAIBatchEngine(self, ledger, config, say)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._chat.aclose()
        await self.client.close()

    async def _complete(self, request: GenerationRequest) -> Generation:
        while True:
            shape = self.shape
            sent = self.fields(request, shape)
            answer = await self._chat.post(sent, request.sampling.max_tokens)
            if answer.failure is not None:
                gone = self._answered and answer.is_lost
                return fault(request.id, f"{answer.failure}; {ENDED_SERVER}" if gone else answer.failure, self.secrets)
            if 200 <= answer.status < 300:
                generation = self.read(request.id, answer.body)
                self._answered = self._answered or generation.finish_reason != "error"
                return generation
            words = server_words(answer.body)
            if self.reshape(shape, sent, answer.status, words):
                continue
            return fault(
                request.id, self.refusal(sent, answer.status, words, page=is_web_page(answer.body)), self.secrets
            )

    def reshape(self, shape: RequestShape, sent: Mapping[str, object], status: int, words: str) -> bool:
        """Learn from a refusal; whether the request should be sent again, in the shape of now.

        A shape that was left is never taken again: a server whose words lead back to it would be asked for ever.

        Args:
            shape: The shape with which it was sent; another request may have learnt the same in the meantime.
            sent: Its fields.
            status: The status of the answer.
            words: The server's words.
        """
        if status not in (400, 404, 415, 422, 500, 501):
            return False
        lesson = learn_shape(shape, sent, words)
        if lesson is None or lesson.shape == shape or lesson.shape in self._left:
            return False
        if self.shape == shape:
            self._left.add(shape)
            self.shape = lesson.shape
            self._note(lesson.sentence)
        return True

    def refusal(self, sent: Mapping[str, object], status: int, words: str, *, page: bool = False) -> str:
        """What to say about a request that the server refuses.

        Raises:
            EngineError: It would refuse any other request too.
        """
        cure = "is /v1 missing at the end of the base URL?" if page else likely_cure(status, sent, words)
        said = redact(f"HTTP {status}: {words}", self.secrets) + (f"; {cure}" if cure else "")
        if is_used_up(status, words) or (status in _FATAL and not self._answered):
            raise EngineError(f"{self.called} refuses {self.model}: {said}")
        return said

    def fields(self, request: GenerationRequest, shape: RequestShape) -> dict[str, object]:
        """What the server is sent."""
        return shape.fields(self.model, request, self._more) | self._grammar(request.grammar)

    def _grammar(self, grammar: str | None) -> dict[str, object]:
        if grammar is None:
            return {}
        return (
            {"structured_outputs": {"grammar": grammar}}
            if self._config.server_grammar == "vllm"
            else {"grammar": grammar}
        )

    def read(self, request_id: str, body: bytes | object) -> Generation:
        """What the server wrote, from the body of an answer or of a line of a batch."""
        return read_reply(request_id, body, think_open=self.think_open, secrets=self.secrets)

    def _note(self, sentence: str) -> None:
        self._on_note(redact(f"{self.name}: {sentence}", self.secrets))


def _set_fields(config: EngineConfig) -> dict[str, object]:
    """Fields of a request that are settings of the engine and are sent only where they are set."""
    fields = {"chat_template_kwargs": config.chat_template_kwargs, "reasoning_effort": config.reasoning_effort}
    return {name: value for name, value in fields.items() if value}


def _client(key: str | None, config: EngineConfig) -> openai.AsyncOpenAI:
    url, query = config.base_url, {}
    if url is not None:
        query, url = dict(parse_qsl(urlsplit(url).query)), url.partition("?")[0]
    return openai.AsyncOpenAI(
        api_key=key or "none",
        base_url=url,
        timeout=config.timeout_s,
        max_retries=config.max_retries,
        default_query=query,
    )


def secrets_of(url: str) -> tuple[str, ...]:
    """The password and the values of the query in an address, as they are written and as they are meant."""
    parts = urlsplit(url)
    written = [parts.password or "", *(one.partition("=")[2] for one in parts.query.split("&"))]
    return tuple({one for value in written for one in (value, unquote(value)) if one})


def _unheard(sentence: str) -> None:
    """Nobody listens."""


@dataclass(slots=True)
class _Awaited:
    """Requests that wait for one batch, by their keys; ``failures`` says what the provider says against some of them.

    ``shape`` is the one with which they were sent, and ``again`` the keys of those to send in another one.
    """

    requests: dict[str, GenerationRequest] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    shape: RequestShape | None = None
    again: list[str] = field(default_factory=list)


class OpenAIBatchEngine:
    """Writes through the batch API of the server that another engine asks directly.

    A request that is already in a batch of an earlier process waits for that batch and is not sent again. A request that the
    batch fails on, or that expires with it, is a fault like any other.

    Args:
        engine: Says how to ask and how to read answers.
        ledger: Where batches are kept.
        config: Sizes and waiting times.
        say: Called with a sentence for each batch that is sent or answered.
    """

    embedded = False
    computes_in_caller = False

    def __init__(
        self, engine: OpenAIEngine, ledger: BatchLedger, config: BatchConfig, say: Callable[[str], None]
    ) -> None:
        self.name = engine.name
        self.think_open = engine.think_open
        self.writes_logprobs = engine.writes_logprobs
        self.obeys_grammars = engine.obeys_grammars
        self._engine = engine
        self._ledger = ledger
        self._config = config
        self._say = say
        self._awaited: dict[str, _Awaited] = {}
        self._first_shape = engine.shape
        self._again: list[GenerationRequest] = []

    def identity(self) -> Mapping[str, object]:
        """That of the engine: a batch sends the same requests another way."""
        return self._engine.identity()

    def hear(self, on_note: Callable[[str], None]) -> None:
        """Pass notes on."""
        self._engine.hear(on_note)

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
                    batch = await self._engine.client.batches.retrieve(self._ledger.name(token))
                    if batch.status in _ENDED:
                        async for generation in self._collect(token, batch):
                            yield generation
                if self._awaited:
                    await asyncio.sleep(self._config.poll_s)
        except openai.OpenAIError as error:
            raise EngineError(
                f"the batch API fails: {type(error).__name__}: {error}. Run the same command again to go on with the "
                f"batches under way"
            ) from error

    async def _draw(self, requests: Iterator[GenerationRequest]) -> bool:
        """Fill and send one batch; whether there may be more."""
        source = chain(self._take_refused(), requests)
        new: dict[str, GenerationRequest] = {}
        lines: list[bytes] = []
        size = 0
        for request in source:
            key, line = self._line(request)
            token = self._ledger.batch_of(key)
            if token is not None:
                self._awaited.setdefault(token, _Awaited()).requests[key] = request
                continue
            new[key] = request
            lines.append(line)
            size += len(line)
            if len(new) >= self._config.size or size >= _LARGEST_FILE:
                break
        else:
            await self._send(new, lines)
            return False
        await self._send(new, lines)
        return True

    def _line(self, request: GenerationRequest) -> tuple[str, bytes]:
        # The key does not depend on what was learnt: the next process has to learn it again, and must find its batches before.
        text = json.dumps(self._engine.fields(request, self._first_shape), sort_keys=True)
        body = self._engine.fields(request, self._engine.shape)
        key = hashlib.blake2b(f"{request.id}\0{text}".encode(), digest_size=16).hexdigest()
        line = {"custom_id": key, "method": "POST", "url": _ENDPOINT, "body": body}
        return key, json.dumps(line).encode() + b"\n"

    async def _send(self, new: dict[str, GenerationRequest], lines: list[bytes]) -> None:
        if not new:
            return
        token, shape = uuid.uuid4().hex, self._engine.shape
        client = self._engine.client
        file = await client.files.create(file=("requests.jsonl", b"".join(lines)), purpose="batch")
        self._ledger.prepare(token, new)
        # A retry after a lost answer would make a second batch; the next process looks for the first one instead.
        batch = await client.with_options(max_retries=0).batches.create(
            input_file_id=file.id, endpoint=_ENDPOINT, completion_window="24h", metadata={_TOKEN: token}
        )
        self._ledger.accept(token, batch.id)
        self._awaited[token] = _Awaited(new, shape=shape)
        self._say(f"batch {batch.id}: {len(new)} requests sent")

    async def _find_unaccepted(self) -> None:
        lost = self._ledger.unaccepted()
        if not lost:
            return
        async for batch in self._engine.client.batches.list(limit=100):
            token = (batch.metadata or {}).get(_TOKEN)
            if token in lost:
                self._ledger.accept(token, batch.id)
                del lost[token]
                if not lost:
                    return
        for token, keys in lost.items():
            self._ledger.take(token, keys)

    async def _collect(self, token: str, batch: Any) -> AsyncGenerator[Generation]:
        awaited = self._awaited.pop(token)
        keys = list(awaited.requests)
        self._say(f"batch {batch.id}: {batch.status}, {len(keys)} answers awaited")
        if batch.output_file_id:
            for generation in self._answers(awaited, await self._download(batch.output_file_id)):
                yield generation
        # From here on the answers are safe with the caller; what is left has failed, and is to be sent anew.
        self._ledger.take(token, keys)
        if batch.status == "failed":
            raise EngineError(f"batch {batch.id} was refused: {_errors(batch)}")
        if batch.error_file_id:
            for _ in self._answers(awaited, await self._download(batch.error_file_id)):
                pass  # an error file holds no answers; reading it fills in the failures
        self._again += [awaited.requests.pop(key) for key in awaited.again]
        for key, request in awaited.requests.items():
            error = awaited.failures.get(key, f"batch {batch.id} ended as {batch.status} without an answer")
            yield fault(request.id, error, self._engine.secrets)

    async def _download(self, name: str) -> list[bytes]:
        content = await self._engine.client.files.content(name)
        return content.content.split(b"\n")

    def _answers(self, awaited: _Awaited, lines: Iterable[bytes]) -> Iterator[Generation]:
        for line in lines:
            key, response, error = _read_line(line)
            request = awaited.requests.get(key)
            if request is None:
                continue
            if error is None and response.get("status_code") == 200:
                yield self._engine.read(awaited.requests.pop(key).id, response.get("body"))
            else:
                self._refused(awaited, key, request, response, error)

    def _refused(
        self, awaited: _Awaited, key: str, request: GenerationRequest, response: Mapping[str, Any], error: object
    ) -> None:
        body = response.get("body") if error is None else error
        status = response.get("status_code")
        status, words = status if isinstance(status, int) else 0, server_words(body)
        shape = awaited.shape or self._first_shape
        sent = self._engine.fields(request, shape)
        if key not in awaited.again and self._engine.reshape(shape, sent, status, words):
            awaited.again.append(key)
        else:
            cure = likely_cure(status, sent, words)
            awaited.failures[key] = f"{f'HTTP {status}: ' if status else ''}{words}" + (f"; {cure}" if cure else "")

    def _take_refused(self) -> Iterator[GenerationRequest]:
        while self._again:
            yield self._again.pop(0)


def _read_line(line: bytes) -> tuple[str, Mapping[str, Any], object]:
    """The key, the response and the error of a line of a batch's file; what cannot be read has no key."""
    try:
        answer = parse_json(line, finite=False)
    except ValueError:
        return "", {}, None
    if not isinstance(answer, Mapping):
        return "", {}, None
    response = answer.get("response")
    return str(answer.get("custom_id")), response if isinstance(response, Mapping) else {}, answer.get("error")


def _errors(batch: Any) -> str:
    data = (batch.errors.data if batch.errors else None) or []
    return "; ".join(str(error.message) for error in data) or "the provider does not say why"
