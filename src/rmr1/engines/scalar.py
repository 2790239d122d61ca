"""``scalar/MODEL``: a scalar reward model, in this process or behind the scoring endpoints of vLLM's and SGLang's servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from rmr1.config import EngineConfig
from rmr1.engines.chat_reply import server_words
from rmr1.engines.protocol import Engine
from rmr1.engines.replies import dispatch, fault
from rmr1.errors import ConfigError, EngineError, MissingExtraError
from rmr1.files import parse_json
from rmr1.models.loading import hf_folder, quiet_transformers
from rmr1.models.providers import api_key, key_variable, server_root
from rmr1.records import UNKNOWN_USAGE, Generation, GenerationRequest, Message, Usage
from rmr1.redaction import address_identity, public_url, redact, secrets_of
from rmr1.verdict import score_text

if TYPE_CHECKING:
    from rmr1.engines.chat_client import Answer, ChatClient

ScoreApi: TypeAlias = Literal["classify", "pooling", "score", "sglang"]
_ENDPOINTS: Mapping[ScoreApi, str] = {
    "classify": "/classify",
    "pooling": "/pooling",
    "score": "/score",
    "sglang": "/classify",
}
_TRIED: tuple[ScoreApi, ...] = ("classify", "pooling", "score")
_NO_ACCESS = (401, 403)
_NOT_HERE = (404, 405)
_LOOKED_AT = 20
"""After this many scores, all of them between 0 and 1, the server seems to squash them."""


def load(model: str, config: EngineConfig, *, concurrency: int) -> Engine:
    """``scalar/MODEL``; with ``engine.base_url`` as the server calls it, else as ``hf_folder`` finds it."""
    if config.base_url is not None:
        return ScalarServerEngine(model, config, concurrency)
    from rmr1.engines.scalar_model import ScalarEngine

    return ScalarEngine(model, config)


class ScalarServerEngine:
    """Asks a server for the score of each response.

    vLLM writes the conversation with the model's chat template (``/classify``, ``/pooling``), or reads a prompt of one message and
    a response of one message as two texts (``/score``); it is asked for raw scores. SGLang takes a text, so that the chat template
    has to be here: the model is then named by its folder.

    Args:
        model: The server's name of the model; for SGLang, a folder with its tokenizer.
        config: ``base_url``, ``api_key_env``, ``timeout_s``, ``max_retries``, ``max_answer_mb`` and ``score_api`` matter here.
        concurrency: Requests under way.

    Raises:
        ConfigError: SGLang is asked, and the model is no folder with a chat template.
    """

    embedded = False
    computes_in_caller = False
    think_open = False
    writes_logprobs = False
    obeys_grammars = False
    gives_scores = True

    def __init__(self, model: str, config: EngineConfig, concurrency: int = 16) -> None:
        self.name = f"scalar/{model}"
        self._model = model
        self._url = server_root(str(config.base_url))
        self._called = public_url(str(config.base_url))
        self._config = config
        self._concurrency = concurrency
        self._on_note: Callable[[str], None] = _unheard
        self._api: ScoreApi | None = None if config.score_api == "auto" else config.score_api
        self._tokenizer: Any = _tokenizer_of(model) if self._api == "sglang" else None
        key = api_key("scalar", config)
        self._secrets = tuple(filter(None, (key, *secrets_of(self._url))))
        self._headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._clients: dict[ScoreApi, ChatClient] = {}
        self._choosing = asyncio.Lock()
        self._seen = 0

    def identity(self) -> Mapping[str, object]:
        """The model and the server."""
        return {"model": self._model, **address_identity(self._config.base_url), "score_api": self._config.score_api}

    def hear(self, on_note: Callable[[str], None]) -> None:
        """Pass notes on: which endpoint answers, and which failures are retried."""
        self._on_note = on_note

    def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Ask for all scores, ``concurrency`` at a time.

        Raises:
            EngineError: The server refuses the key, or has no endpoint that scores.
        """
        return dispatch(requests, self._score, self._concurrency)

    async def aclose(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()

    async def _score(self, request: GenerationRequest) -> Generation:
        if self._api is None:
            async with self._choosing:
                if self._api is None:
                    return await self._choose(request)
        return self._generation(request, await self._ask(self._api, request.messages))

    async def _choose(self, request: GenerationRequest) -> Generation:
        """Answer the first request by the first endpoint that answers it; all later ones take that."""
        refused: list[tuple[str, ScoreReply]] = []
        for api in _TRIED:
            reply = await self._ask(api, request.messages)
            if reply.score is not None:
                self._api = api
                self._on_note(f"{self._called} scores at {_ENDPOINTS[api]}")
                return self._generation(request, reply)
            if not reply.answered:
                return self._generation(request, reply)
            refused.append((_ENDPOINTS[api], reply))
        if all(reply.status in _NOT_HERE for _, reply in refused):
            raise EngineError(
                f"{self._called} has none of {', '.join(path for path, _ in refused)}; serve the reward model with vLLM "
                f"(vllm serve MODEL --runner pooling), or for SGLang's server set engine.score_api=sglang"
            )
        said = "; ".join(f"{path}: {reply.problem}" for path, reply in refused if reply.status not in _NOT_HERE)
        return fault(request.id, said, self._secrets)

    async def _ask(self, api: ScoreApi, messages: Sequence[Message]) -> ScoreReply:
        fields = self._fields(api, messages)
        if fields is None:
            return ScoreReply(
                400, problem=f"takes one message and one response, and there are {len(messages)} messages"
            )
        answer = await self._client(api).post(fields, 0)
        if answer.status in _NO_ACCESS:
            problem = redact(read_score(answer).problem, self._secrets)
            raise EngineError(
                f"{self._called} refuses the key ({problem}); set {key_variable('scalar', self._config)}, or name the variable "
                f"that holds it with engine.api_key_env"
            )
        return read_score(answer)

    def _fields(self, api: ScoreApi, messages: Sequence[Message]) -> dict[str, object] | None:
        rows = [{"role": message.role, "content": message.content} for message in messages]
        if api == "sglang":
            text = self._tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=False)
            return {"model": self._model, "text": [text]}
        if api == "score":
            if [message.role for message in messages] != ["user", "assistant"]:
                return None
            texts = {"text_1": messages[0].content, "text_2": messages[1].content}
            return {"model": self._model, **texts, "use_activation": False}
        return {"model": self._model, "messages": rows, "add_generation_prompt": False, "use_activation": False}

    def _client(self, api: ScoreApi) -> ChatClient:
        if api not in self._clients:
            self._clients[api] = _http_client(
                self._url,
                self._headers,
                timeout_s=self._config.timeout_s,
                max_retries=self._config.max_retries,
                most_mb=self._config.max_answer_mb,
                concurrency=self._concurrency,
                on_note=lambda note: self._on_note(redact(note, self._secrets)),
                endpoint=_ENDPOINTS[api],
            )
        return self._clients[api]

    def _generation(self, request: GenerationRequest, reply: ScoreReply) -> Generation:
        if reply.score is None:
            return fault(request.id, reply.problem, self._secrets)
        if self._seen >= 0:
            self._seen = self._seen + 1 if 0.0 <= reply.score <= 1.0 else -1
            if self._seen == _LOOKED_AT:
                self._on_note(
                    f"the first {_LOOKED_AT} scores of {self._called} lie between 0 and 1: it seems to give probabilities instead "
                    f"of raw scores. Which response is better stays right; p_a is nearer to a half than it should be"
                )
        usage = UNKNOWN_USAGE if reply.tokens is None else Usage(reply.tokens)
        return Generation(request.id, score_text(reply.score), usage=usage)


@dataclass(frozen=True, slots=True)
class ScoreReply:
    """What a server says about one response: its score, or what is wrong.

    Args:
        status: Of HTTP; 0 if there was no answer.
        score: The score.
        tokens: Tokens that it read, if it tells.
        problem: Why there is no score.
    """

    status: int
    score: float | None = None
    tokens: int | None = None
    problem: str = ""

    @property
    def answered(self) -> bool:
        """Whether the server said something about the request, so that another endpoint may do better."""
        return 200 <= self.status < 500


def read_score(answer: Answer) -> ScoreReply:
    """Read the reply of any of the endpoints: one finite number, in the place where the endpoint has it."""
    if answer.failure is not None:
        return ScoreReply(0, problem=answer.failure)
    if answer.status != 200:
        return ScoreReply(answer.status, problem=f"HTTP {answer.status}: {server_words(answer.body)}")
    try:
        reply = parse_json(answer.body)
    except ValueError as error:
        return ScoreReply(200, problem=f"the reply is no JSON ({error})")
    found = _numbers(reply)
    if len(found) != 1:
        wrong = f"{len(found)} numbers" if found else "no score"
        return ScoreReply(
            200, problem=f"the reply has {wrong} where a reward model gives one; is it a reward model with one output?"
        )
    return ScoreReply(200, found[0], _tokens(reply))


def _numbers(reply: object) -> list[float]:
    """The numbers about the one response that was asked about."""
    items = reply.get("data") if isinstance(reply, Mapping) else reply
    item = items[0] if isinstance(items, list) and len(items) == 1 else None
    if not isinstance(item, Mapping):
        return []
    value = next((item[name] for name in ("probs", "score", "data", "embedding") if name in item), None)
    if isinstance(value, list) and value and isinstance(value[0], list):
        value = value[-1]  # a number for each token: the last one is about all of them
    numbers = value if isinstance(value, list) else [value]
    return [float(one) for one in numbers if isinstance(one, int | float) and not isinstance(one, bool)]


def _tokens(reply: object) -> int | None:
    usage = reply.get("usage") if isinstance(reply, Mapping) else None
    if isinstance(reply, list) and isinstance(reply[0], Mapping):
        usage = reply[0].get("meta_info")
    count = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
    return count if type(count) is int and count >= 0 else None


def _http_client(*args: Any, **settings: Any) -> ChatClient:
    try:
        from rmr1.engines.chat_client import ChatClient
    except ImportError as error:
        raise MissingExtraError("a scalar reward model behind a server", "openai") from error
    return ChatClient(*args, **settings)


def _tokenizer_of(model: str) -> Any:
    if not Path(model).expanduser().is_dir():
        raise ConfigError(
            f"engine.score_api=sglang: SGLang takes a text, so the chat template has to be here; name the model by its folder, "
            f"as scalar/FOLDER (found: {model})"
        )
    folder = hf_folder(model)
    with quiet_transformers():
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if not tokenizer.chat_template:
        raise ConfigError(f"engine.score_api=sglang: {folder} has no chat template")
    return tokenizer


def _unheard(note: str) -> None:
    """Nobody listens."""
