"""One request to a server and what it answers: a deadline for all of it, a bound on its size, retries, and causes in words."""

from __future__ import annotations

import asyncio
import json
import math
import random
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from rmr1.engines.chat_reply import inner_status, server_words
from rmr1.engines.request_shape import is_template_error, is_used_up
from rmr1.redaction import foreign_words, public_url

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 8.0
_RETRIED = (408, 409, 429)
_SMALLEST_MB = 8
_BYTES_PER_TOKEN = 3072
"""With twenty alternatives at each token, a token takes about two thirds of this."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered in the end.

    ``failure`` says why there is no answer, and is None otherwise; ``is_lost`` that there is no connection; ``status`` is that of
    the error where a server puts one into an answer with status 200.
    """

    status: int = 0
    body: bytes = b""
    failure: str | None = None
    is_lost: bool = False


class ChatClient:
    """Posts requests to one address.

    Args:
        url: The address of the server, with user, password and query if it has them.
        endpoint: What to post to, below that address.
        headers: Sent with every request.
        timeout_s: Seconds that one request may take in all, with its retries.
        max_retries: How often a request is sent again that a server could not answer.
        most_mb: Megabytes that one answer may have; None for 8 and three more for each 1,000 tokens.
        concurrency: Connections.
        on_note: Called with a sentence the first time that a kind of failure is retried.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        max_retries: int,
        most_mb: int | None,
        concurrency: int,
        on_note: Callable[[str], None],
        endpoint: str = "/chat/completions",
    ) -> None:
        base = httpx2.URL(url)
        self._url = base.copy_with(path=base.path.rstrip("/") + endpoint)
        self._called = public_url(url)
        self._host = base.host
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._most_mb = most_mb
        self._on_note = on_note
        self._told: set[str] = set()
        self._http = httpx2.AsyncClient(
            headers=dict(headers),
            timeout=timeout_s,
            limits=httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
            follow_redirects=True,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def post(self, fields: Mapping[str, object], max_tokens: int) -> Answer:
        """Send a request until there is an answer that another try would not change.

        Args:
            fields: The body.
            max_tokens: The longest completion; it bounds the size of the answer.
        """
        content = json.dumps(fields).encode()
        deadline = time.monotonic() + self._timeout_s
        answer = Answer(failure="no time to ask")
        try:
            async with asyncio.timeout(self._timeout_s):
                for number in range(self._max_retries + 1):
                    answer, wait = await self._try(content, self._limit(max_tokens), number)
                    if wait is None or number == self._max_retries:
                        return answer
                    if time.monotonic() + wait >= deadline:
                        return Answer(answer.status, answer.body, self._too_long(answer, wait))
                    self._tell(answer)
                    await asyncio.sleep(wait)
        except TimeoutError:
            return Answer(
                failure=f"{self._called} gave no whole answer within engine.timeout_s ({self._timeout_s:g} s)"
            )
        return answer

    async def _try(self, content: bytes, most: int, number: int) -> tuple[Answer, float | None]:
        """One try, and how many seconds to wait before the next one; None if it would not help."""
        backoff = min(_FIRST_WAIT_S * 2**number, _LONGEST_WAIT_S) * (1 - 0.25 * random.random())
        try:
            async with self._http.stream("POST", self._url, content=content) as response:
                body = await _read(response, most)
                if body is None:
                    words = f"the answer has more than {most / 1e6:.0f} MB, see engine.max_answer_mb"
                    return Answer(response.status_code, b"", words), None
                status = response.status_code
                answer = Answer((inner_status(body) or status) if 200 <= status < 300 else status, body)
                return answer, self._wait(answer, response.headers, backoff)
        except httpx2.TimeoutException as error:
            raise TimeoutError from error
        except httpx2.DecodingError as error:
            return Answer(failure=f"the answer of {self._called} cannot be decoded: {foreign_words(str(error))}"), None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            cause, passing = _cause(error, self._host)
            failure = f"no answer from {self._called}: {cause}"
            return Answer(failure=failure, is_lost=passing), backoff if passing else None

    def _wait(self, answer: Answer, headers: Mapping[str, str], backoff: float) -> float | None:
        if answer.status not in _RETRIED and answer.status < 500:
            return None
        words = server_words(answer.body)
        if is_used_up(answer.status, words) or (answer.status == 500 and is_template_error(words)):
            return None
        if headers.get("x-should-retry") == "false":
            return None
        asked = _asked_to_wait(headers)
        return backoff if asked is None else max(asked, 0.0)

    def _limit(self, max_tokens: int) -> int:
        return (self._most_mb or _SMALLEST_MB) * 1_000_000 + (0 if self._most_mb else max_tokens * _BYTES_PER_TOKEN)

    def _too_long(self, answer: Answer, wait: float) -> str:
        said = answer.failure or f"HTTP {answer.status}: {server_words(answer.body)}"
        return f"{said}; the next try in {wait:.0f} s would be after engine.timeout_s ({self._timeout_s:g} s)"

    def _tell(self, answer: Answer) -> None:
        said = answer.failure or f"{self._called} answers with HTTP {answer.status}: {server_words(answer.body)}"
        kind = answer.failure or str(answer.status)
        if kind not in self._told:
            self._told.add(kind)
            self._on_note(f"{said}; such requests are tried again, up to {self._max_retries} times")


async def _read(response: Any, most: int) -> bytes | None:
    """The body of a response; None, and no more is read, if it is longer than ``most`` bytes."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)


def _asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait, which it may give as a date; None for what is no time.

    NaN is none: it would stop the clock of the event loop, and with it every deadline.
    """
    milliseconds, text = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds is not None:
            wait = float(milliseconds) / 1000
        elif text is None:
            return None
        else:
            wait = float(text) if text.strip()[:1].isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
        return None if math.isnan(wait) else wait
    except (ValueError, TypeError, OverflowError):
        return None


def _cause(error: BaseException, host: str) -> tuple[str, bool]:
    """Why a connection failed, in words, and whether that may pass."""
    for one in _causes(error, 0):
        if isinstance(one, socket.gaierror):
            return f"the name {host} cannot be resolved ({one.strerror})", True
        if isinstance(one, ssl.SSLError):
            reason = getattr(one, "verify_message", None) or one.reason or str(one)
            return f"TLS fails ({reason}); is it https:// or http://, and is the certificate trusted?", False
        if isinstance(one, ConnectionRefusedError):
            return "the connection is refused; is the server running, and is the port right?", True
        if isinstance(one, OSError) and one.strerror:
            return foreign_words(one.strerror), True
    return f"{type(error).__name__}: {foreign_words(str(error)) or 'the connection broke off'}", True


def _causes(error: BaseException | None, depth: int) -> Iterator[BaseException]:
    if error is None or depth > 10:
        return
    yield error
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _causes(inner, depth + 1)
    yield from _causes(error.__cause__ or error.__context__, depth + 1)
