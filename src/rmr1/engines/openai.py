"""Any server that speaks OpenAI's chat completions: OpenAI, vLLM, SGLang, llama.cpp's server, and the providers of ``PROVIDERS``.

OpenAI's batch API is an engine too: requests go out in files, answers come back within a day, at a lower price.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Callable, Container, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from rmr1.config import BatchConfig, EngineConfig
from rmr1.engines.batches import BatchLedger
from rmr1.engines.chat_reply import is_web_page, read_reply, server_words
from rmr1.engines.protocol import Engine, EngineFactory
from rmr1.engines.provider_batches import BatchAnswer, BatchState, ProviderBatchEngine
from rmr1.engines.replies import dispatch, fault
from rmr1.engines.request_shape import ENDED_SERVER, RequestShape, is_used_up, learn_shape, likely_cure
from rmr1.errors import ConfigError, EngineError, MissingExtraError
from rmr1.files import parse_json
from rmr1.models.providers import PROVIDERS, Provider
from rmr1.records import Generation, GenerationRequest
from rmr1.redaction import public_url, public_value, redact, secret_texts

try:
    import openai

    from rmr1.engines.chat_client import ChatClient
except ImportError as error:
    raise MissingExtraError("the openai engine", "openai") from error

_ENDPOINT: Final = "/v1/chat/completions"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_TOKEN = "rmr1_batch"
_FATAL = (401, 403, 404)


def __getattr__(name: str) -> EngineFactory:
    """The factory of each provider, such as ``load_openai`` for ``openai/MODEL``, the model as the server calls it."""
    provider = name.removeprefix("load_")
    if provider == name or provider not in PROVIDERS:
        raise AttributeError(name)

    def load(model: str, config: EngineConfig, *, concurrency: int) -> OpenAIEngine:
        return OpenAIEngine(model, config, concurrency, provider)

    return load


class OpenAIEngine:
    """Asks a server. A field that the server refuses is changed or left out for all later requests, and told once.

    Args:
        model: The server's name of the model.
        config: ``base_url``, ``api_key_env``, ``timeout_s``, ``max_retries``, ``max_answer_mb``, ``server_grammar``, ``omit``,
            ``extra_body``, ``chat_template_kwargs``, ``reasoning_effort`` and ``think`` matter here.
        concurrency: Requests under way.
        provider: Its name in ``PROVIDERS``.

    Attributes:
        client: OpenAI's client, for batches.
        shape: Which fields requests have at present.
        first_shape: Which ones they had before anything was learnt.

    Raises:
        ConfigError: There is no API key and the server is the provider's.
    """

    embedded = False
    computes_in_caller = False
    writes_logprobs = True

    def __init__(self, model: str, config: EngineConfig, concurrency: int = 16, provider: str = "openai") -> None:
        known = PROVIDERS[provider]
        key = provider_key(known, config)
        self.name = f"{provider}/{model}"
        self.model = model
        self.obeys_grammars = config.server_grammar is not None
        self.think_open = config.think == "open"
        self._config = config
        self._concurrency = concurrency
        self._on_note: Callable[[str], None] = _unheard
        self._has_batches = known.batches or config.base_url is not None
        self.client = _client(key, config, config.base_url or known.base_url)
        url = config.base_url or str(self.client.base_url)
        self.called = public_url(url) if config.base_url else known.title
        self.secrets = tuple(filter(None, (key, *secrets_of(url), *secret_texts(config.extra_body))))
        self._more = {**_set_fields(config), **config.extra_body}
        limit = "max_tokens" if config.base_url else known.limit
        self.first_shape = self.shape = RequestShape(
            limit, frozenset(config.omit), seed=known.seed, counts_logprobs=known.counts_logprobs
        )
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

    def learnt(self) -> Mapping[str, object]:
        """Which fields requests have at present."""
        return self.shape.to_json()

    def remember(self, learnt: Mapping[str, object]) -> None:
        """Go on with the fields that an earlier process has learnt.

        Raises:
            ValueError: No engine of this kind has written them.
        """
        shape = RequestShape.from_json(learnt)
        if shape != self.shape:
            self._left.add(self.shape)
            self.shape = shape

    def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Ask for all requests, ``concurrency`` at a time.

        Raises:
            EngineError: The server refuses the key, does not know the model, or wants money.
        """
        return dispatch(requests, self._complete, self._concurrency)

    def batched(self, ledger: BatchLedger, config: BatchConfig, say: Callable[[str], None]) -> Engine:
        """The same model through the batch API of its server, see ``ProviderBatchEngine``.

        Raises:
            ConfigError: The provider has no batch API of OpenAI's kind.
        """
        if not self._has_batches:
            raise ConfigError(f"--batch: {self.called} has no batch API of OpenAI's kind; leave --batch out")
        return ProviderBatchEngine(self, OpenAIBatches(self.client), ledger, config, say)

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
        lesson = learn_shape(shape, sent, words, self._left)
        if lesson is None or lesson.shape == shape:
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


def provider_key(provider: Provider, config: EngineConfig) -> str | None:
    """The API key; None for a server of the user's own that needs none.

    Raises:
        ConfigError: There is none, and the provider wants one.
    """
    variable = config.api_key_env or provider.key
    key = os.environ.get(variable)
    if not key and config.base_url is None:
        raise ConfigError(
            f"set {variable} to your API key of {provider.title} ({provider.keys_at}), or name your own server with --base-url"
        )
    return key


def _client(key: str | None, config: EngineConfig, url: str | None) -> openai.AsyncOpenAI:
    query = {}
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


class OpenAIBatches:
    """OpenAI's files and batches; a batch keeps our token among its metadata.

    Args:
        client: OpenAI's client.
    """

    failures: tuple[type[Exception], ...] = (openai.OpenAIError,)

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client

    async def send(self, token: str, bodies: Mapping[str, Mapping[str, object]], prepare: Callable[[], None]) -> str:
        """Upload the requests, and have them run."""
        lines = [
            json.dumps({"custom_id": key, "method": "POST", "url": _ENDPOINT, "body": body}).encode() + b"\n"
            for key, body in bodies.items()
        ]
        file = await self._client.files.create(file=("requests.jsonl", b"".join(lines)), purpose="batch")
        prepare()
        # A retry after a lost answer would make a second batch; the next process looks for the first one instead.
        batch = await self._client.with_options(max_retries=0).batches.create(
            input_file_id=file.id, endpoint=_ENDPOINT, completion_window="24h", metadata={_TOKEN: token}
        )
        return batch.id

    async def find(self, lost: Mapping[str, Container[str]], known: Container[str]) -> AsyncGenerator[tuple[str, str]]:
        """The batches with these tokens."""
        async for batch in self._client.batches.list(limit=100):
            token = str((batch.metadata or {}).get(_TOKEN))
            if token in lost:
                yield token, batch.id

    async def look(self, name: str) -> BatchState:
        """How far a batch is."""
        batch = await self._client.batches.retrieve(name)
        failure = f"batch {batch.id} was refused: {_errors(batch)}" if batch.status == "failed" else None
        files = tuple(filter(None, (batch.output_file_id, batch.error_file_id)))
        return BatchState(name, batch.status, batch.status in _ENDED, failure, files)

    async def answers(self, state: BatchState) -> AsyncGenerator[BatchAnswer]:
        """What the files of a batch hold, answers first."""
        for file in state.files:
            content = await self._client.files.content(file)
            for line in content.content.split(b"\n"):
                yield _read_line(line)


def _read_line(line: bytes) -> BatchAnswer:
    """A line of a batch's file; what cannot be read has no key."""
    try:
        answer = parse_json(line, finite=False)
    except ValueError:
        return BatchAnswer("")
    if not isinstance(answer, Mapping):
        return BatchAnswer("")
    response = answer.get("response")
    response = response if isinstance(response, Mapping) else {}
    error, status = answer.get("error"), response.get("status_code")
    return BatchAnswer(
        str(answer.get("custom_id")),
        status if isinstance(status, int) else 0,
        response.get("body") if error is None else error,
        answered=error is None and status == 200,
    )


def _errors(batch: Any) -> str:
    data = (batch.errors.data if batch.errors else None) or []
    return "; ".join(str(error.message) for error in data) or "the provider does not say why"
