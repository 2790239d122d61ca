"""Anthropic's Messages API: the system part is cached, thoughts become think blocks, and long answers are streamed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Container, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from rmr1.config import BatchConfig, EngineConfig
from rmr1.engines.batches import BatchLedger
from rmr1.engines.chat_reply import read_reply, server_words
from rmr1.engines.protocol import Engine
from rmr1.engines.provider_batches import BatchAnswer, BatchState, ProviderBatchEngine
from rmr1.engines.replies import fault
from rmr1.engines.request_shape import RequestShape
from rmr1.errors import ConfigError, MissingExtraError
from rmr1.files import parse_json
from rmr1.models.providers import ANTHROPIC, server_root
from rmr1.records import Generation, GenerationRequest
from rmr1.redaction import address_identity, public_value

try:
    import anthropic
    import httpx2

    from rmr1.engines.server_engine import ServerEngine, provider_key
except ImportError as error:
    raise MissingExtraError("the anthropic engine", "anthropic") from error

_STREAMED_FROM: Final = 16_000
"""The API wants longer answers streamed: a connection without a byte for ten minutes breaks."""
_ENDS = frozenset({"message_stop"})
_LOST_WITHIN_S = 86_400


def load(model: str, config: EngineConfig, *, concurrency: int) -> AnthropicEngine:
    """``anthropic/MODEL``, as the provider calls it."""
    return AnthropicEngine(model, config, concurrency)


class AnthropicEngine(ServerEngine):
    """Asks Anthropic's API, or a server that imitates it.

    Args:
        model: The provider's name of the model.
        config: ``base_url``, ``api_key_env``, ``timeout_s``, ``max_retries``, ``max_answer_mb``, ``omit``, ``extra_body``,
            ``thinking_budget`` and ``reasoning_effort`` matter here.
        concurrency: Requests under way.

    Attributes:
        client: Anthropic's client, for batches.

    Raises:
        ConfigError: There is no API key and the server is Anthropic's.
    """

    embedded = False
    computes_in_caller = False
    writes_logprobs = False
    obeys_grammars = False
    think_open = False

    def __init__(self, model: str, config: EngineConfig, concurrency: int = 16) -> None:
        key = provider_key("anthropic", config)
        base = server_root(config.base_url or ANTHROPIC.base_url)
        address, _, query = base.partition("?")
        self.client = anthropic.AsyncAnthropic(
            api_key=key or "none",
            base_url=address,
            timeout=config.timeout_s,
            max_retries=config.max_retries,
            default_query=dict(parse_qsl(query)),
        )
        super().__init__(
            f"anthropic/{model}",
            model,
            config,
            ANTHROPIC,
            concurrency=concurrency,
            address=(base, "/v1/messages"),
            headers={**self.client.default_headers, "x-api-key": key or "none"},
            key=key,
        )

    def identity(self) -> Mapping[str, object]:
        """The model, the server, how it thinks, which fields are left out, and which are added."""
        config = self._config
        optional = {
            "thinking_budget": config.thinking_budget,
            "reasoning_effort": config.reasoning_effort,
            "omit": list(config.omit),
            "extra_body": public_value(config.extra_body),
        }
        identity = {"model": self.model, **address_identity(config.base_url)}
        return identity | {name: value for name, value in optional.items() if value}

    def fields(self, request: GenerationRequest, shape: RequestShape) -> dict[str, object]:
        """What the server is sent. The system part stands first in every prompt of a run, so it is marked to be cached.

        Top-p is sent only where it cuts, since new models refuse it beside a temperature; a model that thinks takes neither a
        temperature nor top-k.
        """
        sampling, budget = request.sampling, self._config.thinking_budget
        system = "\n\n".join(message.content for message in request.messages if message.role == "system")
        turns = [message for message in request.messages if message.role != "system"]
        found: dict[str, object] = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in turns],
            "max_tokens": sampling.max_tokens,
        }
        if system:
            found["system"] = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
        if budget is None:
            found["temperature"] = sampling.temperature
            found |= {"top_k": sampling.top_k} if sampling.top_k else {}
        else:
            found["thinking"] = (
                {"type": "adaptive"} if budget == "adaptive" else {"type": "enabled", "budget_tokens": budget}
            )
        found |= {"top_p": sampling.top_p} if sampling.top_p < 1 else {}
        if self._config.reasoning_effort is not None:
            found["output_config"] = {"effort": self._config.reasoning_effort}
        if sampling.max_tokens > _STREAMED_FROM:
            found["stream"] = True
        found |= self._config.extra_body
        return {name: value for name, value in found.items() if name not in shape.omit}

    async def _complete(self, request: GenerationRequest) -> Generation:
        budget = self._config.thinking_budget
        if isinstance(budget, int) and budget >= request.sampling.max_tokens:
            raise ConfigError(
                f"engine.thinking_budget ({budget}) has to be below --max-tokens ({request.sampling.max_tokens}), which counts "
                f"the thoughts too"
            )
        return await super()._complete(request)

    def read(self, request_id: str, body: bytes | object) -> Generation:
        """What the server wrote, from the body of an answer, of a stream of events, or of a line of a batch."""
        if isinstance(body, bytes):
            if body.lstrip().startswith((b"event:", b"data:")):
                return self.read(request_id, _joined(body))
            try:
                return self.read(request_id, parse_json(body, finite=False))
            except ValueError:
                return read_reply(request_id, body, secrets=self.secrets)
        if isinstance(body, Mapping) and body.get("type") == "message" and not body.get("error"):
            if not isinstance(body.get("content"), list):
                words = f"the server answered with a message without content: {server_words(body)}"
                return fault(request_id, words, self.secrets)
            return read_reply(request_id, _as_completion(body), secrets=self.secrets)
        return read_reply(request_id, body, secrets=self.secrets)

    def batched(self, ledger: BatchLedger, config: BatchConfig, say: Callable[[str], None]) -> Engine:
        """The same model through the Message Batches API, see ``ProviderBatchEngine``."""
        return ProviderBatchEngine(self, AnthropicBatches(self.client), ledger, config, say)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._chat.aclose()
        await self.client.close()


def _as_completion(message: Mapping[object, object]) -> dict[str, object]:
    """A message in the form of a chat completion, for the one reader of replies."""
    content, reason = message.get("content"), message.get("stop_reason")
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": content}}
    return {"choices": [choice], "usage": _usage(message.get("usage"))}


def _usage(usage: object) -> object:
    """Tokens of the prompt together: the API counts those that it reads from its cache, or writes there, apart."""
    if not isinstance(usage, Mapping):
        return usage
    read, written = (usage.get(f"cache_{what}_input_tokens") or 0 for what in ("read", "creation"))
    parts = (usage.get("input_tokens"), read, written)
    whole = [part for part in parts if isinstance(part, int) and not isinstance(part, bool) and part >= 0]
    return {
        "prompt_tokens": sum(whole) if len(whole) == len(parts) else None,
        "completion_tokens": usage.get("output_tokens"),
        "prompt_tokens_details": {"cached_tokens": read},
    }


def _events(body: bytes) -> Iterator[Mapping[str, Any]]:
    for line in body.split(b"\n"):
        if line.startswith(b"data:"):
            try:
                event = parse_json(line.removeprefix(b"data:").strip(), finite=False)
            except ValueError:
                continue
            if isinstance(event, Mapping):
                yield event


def _joined(body: bytes) -> Mapping[str, object]:
    """The message that a stream of events adds up to; an error where it holds one, or breaks off."""
    message: dict[str, object] = {}
    blocks: dict[object, dict[str, object]] = {}
    ended = False
    for event in _events(body):
        kind, delta = event.get("type"), event.get("delta")
        delta = delta if isinstance(delta, Mapping) else {}
        if kind == "error":
            return {"error": event.get("error") or "the stream of the answer holds an error"}
        if kind == "message_start" and isinstance(event.get("message"), Mapping):
            message = dict(event["message"])
        elif kind == "content_block_start" and isinstance(event.get("content_block"), Mapping):
            blocks[str(event.get("index"))] = dict(event["content_block"])
        elif kind == "content_block_delta":
            block = blocks.setdefault(str(event.get("index")), {"type": "text"})
            for name in ("text", "thinking"):
                if isinstance(delta.get(name), str):
                    block[name] = f"{block.get(name) or ''}{delta[name]}"
        elif kind == "message_delta":
            message |= {name: delta[name] for name in ("stop_reason",) if name in delta}
            counts = [one for one in (message.get("usage"), event.get("usage")) if isinstance(one, Mapping)]
            message["usage"] = {name: value for one in counts for name, value in one.items() if value is not None}
        ended = ended or kind in _ENDS
    if not ended:
        return {"error": "the stream of the answer was cut"}
    return {**message, "type": "message", "content": list(blocks.values())}


class AnthropicBatches:
    """The Message Batches API. A batch keeps no name of ours, so a lost one is known by the keys of its requests.

    Args:
        client: Anthropic's client.
        poll_s: Seconds between two looks at a batch that may be a lost one.
    """

    failures: tuple[type[Exception], ...] = (anthropic.AnthropicError,)

    def __init__(self, client: anthropic.AsyncAnthropic, poll_s: float = 5.0) -> None:
        self._client = client
        self._poll_s = poll_s

    async def send(self, token: str, bodies: Mapping[str, Mapping[str, object]], prepare: Callable[[], None]) -> str:
        """Have requests run."""
        requests: Any = [
            {"custom_id": key, "params": {name: value for name, value in body.items() if name != "stream"}}
            for key, body in bodies.items()
        ]
        prepare()
        # A retry after a lost answer would make a second batch; the next process looks for the first one instead.
        client = self._client.with_options(max_retries=0)
        return (await client.messages.batches.create(requests=requests)).id

    async def find(self, lost: Mapping[str, Container[str]], known: Container[str]) -> AsyncGenerator[tuple[str, str]]:
        """The lost batches, by their keys; those of the last day are looked at when they have ended."""
        async for batch in self._client.messages.batches.list(limit=100):
            if batch.created_at.timestamp() < time.time() - _LOST_WITHIN_S:
                return
            counts = batch.request_counts
            total = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
            sizes = {len(keys): token for token, keys in lost.items() if isinstance(keys, set)}
            if batch.id in known or total not in sizes:
                continue
            state = await self.look(batch.id)
            while not state.ended:
                await asyncio.sleep(self._poll_s)
                state = await self.look(batch.id)
            async for answer in self.answers(state):
                token = next((token for token, keys in lost.items() if answer.key in keys), None)
                if token is not None:
                    yield token, batch.id
                break

    async def look(self, name: str) -> BatchState:
        """How far a batch is."""
        batch = await self._client.messages.batches.retrieve(name)
        return BatchState(name, batch.processing_status, batch.processing_status == "ended")

    async def answers(self, state: BatchState) -> AsyncGenerator[BatchAnswer]:
        """The lines of a batch's results."""
        response = await self._client.get(f"/v1/messages/batches/{state.name}/results", cast_to=httpx2.Response)
        for line in response.content.split(b"\n"):
            yield _read_line(line)


def _read_line(line: bytes) -> BatchAnswer:
    """A line of a batch's results; what cannot be read has no key."""
    try:
        answer = parse_json(line, finite=False)
    except ValueError:
        return BatchAnswer("")
    result = answer.get("result") if isinstance(answer, Mapping) else None
    if not isinstance(answer, Mapping) or not isinstance(result, Mapping):
        return BatchAnswer("")
    kind, key = result.get("type"), str(answer.get("custom_id"))
    if kind == "succeeded":
        return BatchAnswer(key, 200, result.get("message"), answered=True)
    body = result.get("error") or f"the request has {kind}"
    refused = kind == "errored" and "invalid_request_error" in server_words(body)
    return BatchAnswer(key, 400 if refused else 0, body)
