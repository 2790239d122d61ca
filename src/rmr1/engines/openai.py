"""Any server that speaks OpenAI's chat completions: OpenAI, vLLM, SGLang, llama.cpp's server, and the providers of ``PROVIDERS``.

OpenAI's batch API is an engine too: requests go out in files, answers come back within a day, at a lower price.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Container, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from rmr1.config import BatchConfig, EngineConfig
from rmr1.engines.batches import BatchLedger
from rmr1.engines.chat_reply import read_reply
from rmr1.engines.protocol import Engine, EngineFactory
from rmr1.engines.provider_batches import BatchAnswer, BatchState, ProviderBatchEngine
from rmr1.engines.request_shape import RequestShape
from rmr1.errors import ConfigError, MissingExtraError
from rmr1.files import parse_json
from rmr1.models.providers import PROVIDERS
from rmr1.records import Generation, GenerationRequest
from rmr1.redaction import address_identity, public_value

try:
    import openai

    from rmr1.engines.server_engine import ServerEngine, provider_key
except ImportError as error:
    raise MissingExtraError("the openai engine", "openai") from error

_ENDPOINT: Final = "/v1/chat/completions"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_TOKEN = "rmr1_batch"


def __getattr__(name: str) -> EngineFactory:
    """The factory of each provider, such as ``load_openai`` for ``openai/MODEL``, the model as the server calls it."""
    provider = name.removeprefix("load_")
    if provider == name or provider not in PROVIDERS:
        raise AttributeError(name)

    def load(model: str, config: EngineConfig, *, concurrency: int) -> OpenAIEngine:
        return OpenAIEngine(model, config, concurrency, provider)

    return load


class OpenAIEngine(ServerEngine):
    """Asks a server that speaks OpenAI's protocol.

    Args:
        model: The server's name of the model.
        config: ``base_url``, ``api_key_env``, ``timeout_s``, ``max_retries``, ``max_answer_mb``, ``server_grammar``, ``omit``,
            ``extra_body``, ``chat_template_kwargs``, ``reasoning_effort`` and ``think`` matter here.
        concurrency: Requests under way.
        provider: Its name in ``PROVIDERS``.

    Attributes:
        client: OpenAI's client, for batches.

    Raises:
        ConfigError: There is no API key and the server is the provider's.
    """

    embedded = False
    computes_in_caller = False
    writes_logprobs = True

    def __init__(self, model: str, config: EngineConfig, concurrency: int = 16, provider: str = "openai") -> None:
        known = PROVIDERS[provider]
        key = provider_key(provider, config)
        self.obeys_grammars = config.server_grammar is not None
        self.think_open = config.think == "open"
        self._has_batches = known.batches or config.base_url is not None
        self.client = _client(key, config, config.base_url or known.base_url)
        self._more = {**_set_fields(config), **config.extra_body}
        super().__init__(
            f"{provider}/{model}",
            model,
            config,
            known,
            concurrency=concurrency,
            address=(config.base_url or known.base_url, "/chat/completions"),
            headers={**self.client.default_headers, **self.client.auth_headers},
            key=key,
        )

    def identity(self) -> Mapping[str, object]:
        """The model, the server, how it takes a grammar, how a think block is treated, and which fields are left out or added."""
        config = self._config
        identity = {
            "model": self.model,
            **address_identity(config.base_url),
            "think": config.think,
            **_set_fields(config),
        }
        optional = {
            "omit": list(config.omit),
            "extra_body": public_value(config.extra_body),
            "server_grammar": config.server_grammar,
        }
        return identity | {name: value for name, value in optional.items() if value}

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


def _set_fields(config: EngineConfig) -> dict[str, object]:
    """Fields of a request that are settings of the engine and are sent only where they are set."""
    fields = {"chat_template_kwargs": config.chat_template_kwargs, "reasoning_effort": config.reasoning_effort}
    return {name: value for name, value in fields.items() if value}


def _client(key: str | None, config: EngineConfig, url: str) -> openai.AsyncOpenAI:
    address, _, query = url.partition("?")
    return openai.AsyncOpenAI(
        api_key=key or "none",
        base_url=address,
        timeout=config.timeout_s,
        max_retries=config.max_retries,
        default_query=dict(parse_qsl(query)),
    )


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
