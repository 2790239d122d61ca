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
from typing import Any, Final

from rmr1.config import BatchConfig, EngineConfig
from rmr1.engines.batches import BatchLedger
from rmr1.engines.protocol import Engine
from rmr1.engines.replies import dispatch
from rmr1.errors import ConfigError, EngineError, MissingExtraError
from rmr1.records import UNKNOWN_USAGE, FinishReason, Generation, GenerationRequest, TokenLogprob, Usage

try:
    import openai
    from openai.types.chat import ChatCompletion
except ImportError as error:
    raise MissingExtraError("the openai engine", "openai") from error

_TOP_LOGPROBS = 5
_ENDPOINT: Final = "/v1/chat/completions"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_LARGEST_FILE = 100_000_000
_TOKEN = "rmr1_batch"
_FATAL = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)
_FINISH: Mapping[str | None, FinishReason] = {"stop": "stop", "length": "length"}


def load(model: str, config: EngineConfig, *, concurrency: int) -> OpenAIEngine:
    """``openai/MODEL``, as the server calls it."""
    return OpenAIEngine(model, config, concurrency)


class OpenAIEngine:
    """Asks a server, through OpenAI's client, which retries and waits by itself.

    Args:
        model: The server's name of the model.
        config: ``base_url``, ``api_key_env``, ``timeout_s``, ``max_retries``, ``server_grammar``, ``omit`` and ``think``
            matter here.
        concurrency: Requests under way.

    Attributes:
        client: OpenAI's client, with its retries.

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
        self.client = openai.AsyncOpenAI(
            api_key=key or "none", base_url=config.base_url, timeout=config.timeout_s, max_retries=config.max_retries
        )

    def identity(self) -> Mapping[str, object]:
        """The model, the server, how a think block is treated, and which fields of a request are left out."""
        identity = {"model": self.model, "base_url": self._config.base_url, "think": self._config.think}
        return identity | ({"omit": list(self._config.omit)} if self._config.omit else {})

    def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Ask for all requests, ``concurrency`` at a time.

        Raises:
            EngineError: The server refuses the key or does not know the model.
        """
        return dispatch(requests, self._complete, self._concurrency)

    def batched(self, ledger: BatchLedger, config: BatchConfig, say: Callable[[str], None]) -> Engine:
        """The same model through the batch API of its server, see ``BatchEngine``."""
        return OpenAIBatchEngine(self, ledger, config, say)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.close()

    async def _complete(self, request: GenerationRequest) -> Generation:
        try:
            completion = await self.client.chat.completions.create(**self.arguments(request))
        except _FATAL as error:
            raise EngineError(f"{self._config.base_url or 'OpenAI'} refuses {self.model}: {error}") from error
        except openai.OpenAIError as error:
            return Generation(request.id, "", "error", error=f"{type(error).__name__}: {error}")
        return self.read(request.id, completion)

    def arguments(self, request: GenerationRequest) -> dict[str, Any]:
        """What the client is called with."""
        sampling = request.sampling
        # OpenAI renamed the limit for its own models; the servers that imitate it keep the old name.
        limit = "max_tokens" if self._config.base_url else "max_completion_tokens"
        arguments: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            limit: sampling.max_tokens,
        }
        if sampling.seed is not None:
            arguments["seed"] = sampling.seed
        if request.logprobs:
            arguments |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
        if request.grammar is not None:
            arguments["extra_body"] = self._grammar(request.grammar)
        return {name: value for name, value in arguments.items() if name not in self._config.omit}

    def _grammar(self, grammar: str) -> dict[str, Any]:
        if self._config.server_grammar == "vllm":
            return {"structured_outputs": {"grammar": grammar}}
        return {"grammar": grammar}

    def read(self, request_id: str, completion: Any) -> Generation:
        """What the server wrote, from the client's ``ChatCompletion``."""
        if not completion.choices:
            return Generation(request_id, "", "error", error=f"the server answered without choices: {completion}")
        choice = completion.choices[0]
        finish = _FINISH.get(choice.finish_reason)
        if finish is None:
            return Generation(request_id, "", "error", error=f"the server ended with {choice.finish_reason}")
        text, thought = choice.message.content or "", _reasoning(choice.message)
        if thought:
            text = f"<think>\n{thought}\n</think>\n\n{text}"
        return Generation(
            request_id=request_id,
            text=text,
            finish_reason=finish,
            usage=_usage(completion.usage),
            think_open=self.think_open and not thought,
            tokens=None if thought else _tokens(choice.logprobs),
        )


def _reasoning(message: Any) -> str:
    """What servers with a reasoning parser cut out of the content; the field has no standard name."""
    extra = message.model_extra or {}
    return extra.get("reasoning_content") or extra.get("reasoning") or ""


def _usage(usage: Any) -> Usage:
    if usage is None:
        return UNKNOWN_USAGE
    cached = getattr(usage.prompt_tokens_details, "cached_tokens", None) if usage.prompt_tokens_details else None
    return Usage(usage.prompt_tokens, usage.completion_tokens, cached or 0)


def _tokens(logprobs: Any) -> tuple[TokenLogprob, ...] | None:
    if logprobs is None or not logprobs.content:
        return None
    return tuple(
        TokenLogprob(token.token, token.logprob, tuple((other.token, other.logprob) for other in token.top_logprobs))
        for token in logprobs.content
    )


@dataclass(slots=True)
class _Awaited:
    """Requests that wait for one batch, by their keys; ``failures`` says what the provider says against some of them."""

    requests: dict[str, GenerationRequest] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


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

    def identity(self) -> Mapping[str, object]:
        """That of the engine: a batch sends the same requests another way."""
        return self._engine.identity()

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
            while more or self._awaited:
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

    async def _draw(self, source: Iterator[GenerationRequest]) -> bool:
        """Fill and send one batch; whether there may be more."""
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
        arguments = self._engine.arguments(request)
        body = arguments.pop("extra_body", {}) | arguments
        text = json.dumps(body, sort_keys=True)
        key = hashlib.blake2b(f"{request.id}\0{text}".encode(), digest_size=16).hexdigest()
        line = {"custom_id": key, "method": "POST", "url": _ENDPOINT, "body": body}
        return key, json.dumps(line).encode() + b"\n"

    async def _send(self, new: dict[str, GenerationRequest], lines: list[bytes]) -> None:
        if not new:
            return
        token = uuid.uuid4().hex
        client = self._engine.client
        file = await client.files.create(file=("requests.jsonl", b"".join(lines)), purpose="batch")
        self._ledger.prepare(token, new)
        # A retry after a lost answer would make a second batch; the next process looks for the first one instead.
        batch = await client.with_options(max_retries=0).batches.create(
            input_file_id=file.id, endpoint=_ENDPOINT, completion_window="24h", metadata={_TOKEN: token}
        )
        self._ledger.accept(token, batch.id)
        self._awaited[token] = _Awaited(new)
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
        for key, request in awaited.requests.items():
            error = awaited.failures.get(key, f"batch {batch.id} ended as {batch.status} without an answer")
            yield Generation(request.id, "", "error", error=error)

    async def _download(self, name: str) -> list[bytes]:
        content = await self._engine.client.files.content(name)
        return content.content.split(b"\n")

    def _answers(self, awaited: _Awaited, lines: Iterable[bytes]) -> Iterator[Generation]:
        for line in lines:
            if not line.strip():
                continue
            answer = json.loads(line)
            key = answer.get("custom_id")
            if key not in awaited.requests:
                continue
            response = answer.get("response") or {}
            if answer.get("error") or response.get("status_code") != 200:
                awaited.failures[key] = json.dumps(answer.get("error") or response.get("body"))
                continue
            try:
                completion = ChatCompletion.model_validate(response["body"])
            except ValueError as error:
                awaited.failures[key] = f"not a chat completion: {error}"
                continue
            yield self._engine.read(awaited.requests.pop(key).id, completion)


def _errors(batch: Any) -> str:
    data = (batch.errors.data if batch.errors else None) or []
    return "; ".join(str(error.message) for error in data) or "the provider does not say why"
