"""What all engines have in common that ask a server request by request: retries, and what refusals teach."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

from rmr1.config import EngineConfig
from rmr1.engines.chat_client import ChatClient
from rmr1.engines.chat_reply import is_web_page, server_words
from rmr1.engines.replies import dispatch, fault
from rmr1.engines.request_shape import ENDED_SERVER, RequestShape, is_used_up, learn_shape, likely_cure
from rmr1.errors import ConfigError, EngineError
from rmr1.models.providers import Provider, api_key, key_variable, provider_of
from rmr1.records import Generation, GenerationRequest
from rmr1.redaction import public_url, redact, secret_texts, secrets_of

_FATAL = (401, 403, 404)


class ServerEngine:
    """Asks a server. A field that the server refuses is changed or left out for all later requests, and told once.

    Args:
        name: How the user named it.
        model: The server's name of the model.
        config: ``base_url``, ``timeout_s``, ``max_retries``, ``max_answer_mb``, ``omit`` and ``extra_body`` matter here.
        provider: Whose server it is if ``base_url`` does not say.
        concurrency: Requests under way.
        address: The server's address, and the path of what is asked there.
        headers: Sent with every request.
        key: The API key, which must not be repeated.

    Attributes:
        shape: Which fields requests have at present.
        first_shape: Which ones they had before anything was learnt.
        called: How messages call the server.
        secrets: Values that must not be repeated.
    """

    def __init__(
        self,
        name: str,
        model: str,
        config: EngineConfig,
        provider: Provider,
        *,
        concurrency: int,
        address: tuple[str, str],
        headers: Mapping[str, object],
        key: str | None,
    ) -> None:
        self.name = name
        self.model = model
        self._config = config
        self._concurrency = concurrency
        self._on_note: Callable[[str], None] = _unheard
        url, path = address
        self.called = public_url(url) if config.base_url else provider.title
        self.secrets = tuple(filter(None, (key, *secrets_of(url), *secret_texts(config.extra_body))))
        limit = "max_tokens" if config.base_url else provider.limit
        self.first_shape = self.shape = RequestShape(
            limit, frozenset(config.omit), seed=provider.seed, counts_logprobs=provider.counts_logprobs
        )
        self._left: set[RequestShape] = set()
        self._answered = False
        self._chat = ChatClient(
            url,
            {name: value for name, value in headers.items() if isinstance(value, str)},
            endpoint=path,
            timeout_s=config.timeout_s,
            max_retries=config.max_retries,
            most_mb=config.max_answer_mb,
            concurrency=concurrency,
            on_note=self._note,
        )

    def fields(self, request: GenerationRequest, shape: RequestShape) -> dict[str, object]:
        """What the server is sent."""
        raise NotImplementedError

    def read(self, request_id: str, body: bytes | object) -> Generation:
        """What the server wrote, from the body of an answer or of a line of a batch."""
        raise NotImplementedError

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

    def _note(self, sentence: str) -> None:
        self._on_note(redact(f"{self.name}: {sentence}", self.secrets))


def provider_key(engine: str, config: EngineConfig) -> str | None:
    """The API key; None for a server of the user's own that needs none.

    Raises:
        ConfigError: There is none, and the provider wants one.
    """
    key = api_key(engine, config)
    if key is None and config.base_url is None:
        provider = provider_of(engine)
        raise ConfigError(
            f"set {key_variable(engine, config)} to your API key of {provider.title} ({provider.keys_at}), or name your own server "
            f"with --base-url"
        )
    return key


def _unheard(sentence: str) -> None:
    """Nobody listens."""
