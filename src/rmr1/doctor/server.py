"""A server before it is asked anything: whether it is there, whether the address is right, the key, and the model.

Only lists and facts are asked for here, nothing is generated. What vLLM and llama.cpp's server tell beyond OpenAI's protocol (their
context, their slots, the tokens of a prompt) is used if they tell it.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rmr1.config import EngineConfig
from rmr1.errors import MissingExtraError
from rmr1.files import parse_json
from rmr1.redaction import foreign_words, public_url
from rmr1.results import CheckResult

if TYPE_CHECKING:
    import httpx2

SERVER, ADDRESS, KEY, LISTED, BEGIN = "server", "address", "API key", "model name", "double BOS"
OPENAI_URL = "https://api.openai.com/v1"
_TIMEOUT_S = 10.0
_MOST_NAMES = 8
_PROBE = [{"role": "user", "content": "x"}]


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server tells about itself.

    Args:
        checks: Findings about the server, its address and the key.
        models: The names of its models; None if it does not list them.
        context: Tokens of prompt and completion together, if it says so.
        slots: How many requests it works on at a time, if it says so.
        template: Its chat template, if it shows it.
        begin: Whether a prompt begins with the same control token twice.
    """

    checks: tuple[CheckResult, ...]
    models: tuple[str, ...] | None = None
    context: int | None = None
    slots: int | None = None
    template: str | None = None
    begin: CheckResult | None = None


def look_at_server(model: str, config: EngineConfig) -> ServerFacts:
    """Ask a server what it is.

    Args:
        model: The server's name of the model.
        config: ``base_url`` and ``api_key_env`` matter here.

    Raises:
        MissingExtraError: The library that asks servers is not installed.
    """
    try:
        import httpx2
    except ImportError as error:
        raise MissingExtraError("the openai engine", "openai") from error
    url = config.base_url or OPENAI_URL
    key = os.environ.get(config.key_variable)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with httpx2.Client(headers=headers, timeout=_TIMEOUT_S, follow_redirects=True) as client:
        asker = _Asker(client, url)
        try:
            reply = asker.get(asker.base.path + "/models")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return ServerFacts((_unreachable(error, url),))
        return _read_list(asker, reply, model, config)


class _Asker:
    """Asks below one address: ``base`` is where ``/models`` should be, ``root`` is the same without ``/v1``."""

    def __init__(self, client: httpx2.Client, url: str) -> None:
        from httpx2 import URL

        parsed = URL(url)
        self._client = client
        self.base = parsed.copy_with(path=parsed.path.rstrip("/"))
        self.root = self.base.path.removesuffix("/v1")
        self.shown = public_url(url)

    def get(self, path: str) -> httpx2.Response:
        return self._client.get(self.base.copy_with(path=path or "/"))

    def fact(self, method: str, name: str, content: Mapping[str, object] | None = None) -> Any:
        """A JSON answer of a path beside ``/v1``; None if there is none."""
        from httpx2 import HTTPError

        try:
            path = self.base.copy_with(path=f"{self.root}/{name}", query=self.base.query or None)
            answer = self._client.request(method, path, json=content)
        except (HTTPError, OSError):
            return None
        return _json(answer) if answer.status_code == 200 else None


def _read_list(asker: _Asker, reply: httpx2.Response, model: str, config: EngineConfig) -> ServerFacts:
    there = CheckResult(SERVER, "ok", f"{asker.shown} answers")
    if reply.status_code in (401, 403):
        return ServerFacts((there, _address_is_right(asker), _refused_key(reply, config)))
    if reply.status_code >= 500:
        seen = f"{asker.shown}/models answers with HTTP {reply.status_code}: {foreign_words(reply.text) or 'nothing'}"
        return ServerFacts((CheckResult(SERVER, "warn", seen, "look at the server's log; it may still be starting"),))
    rows = _rows(reply)
    if rows is None:
        return ServerFacts((there, *_wrong_address(asker, reply)))
    entry = next((row for row in rows if row.get("id") == model), rows[0] if len(rows) == 1 else {})
    known = CheckResult(
        KEY, "ok", "the server takes the key" if os.environ.get(config.key_variable) else "none is needed"
    )
    props = asker.fact("GET", "props")
    settings = props if isinstance(props, Mapping) else {}
    generation = settings.get("default_generation_settings")
    slot = generation if isinstance(generation, Mapping) else {}
    begin, told = _look_at_begin(asker, model)
    return ServerFacts(
        (there, _address_is_right(asker), known),
        tuple(str(row["id"]) for row in rows),
        _number(entry.get("max_model_len")) or _number(slot.get("n_ctx")) or told,
        _number(settings.get("total_slots")),
        settings["chat_template"] if isinstance(settings.get("chat_template"), str) else None,
        begin,
    )


def check_listed(model: str, models: tuple[str, ...] | None, *, answers: bool) -> CheckResult:
    """Whether the server knows the model.

    Args:
        model: As the user named it.
        models: The names that the server lists; None if it lists none.
        answers: Whether it answers under that name.
    """
    if models is None:
        return CheckResult(LISTED, "skipped", "the server does not list its models")
    if model in models:
        return CheckResult(LISTED, "ok", f"the server has {model}")
    names = ", ".join(models[:_MOST_NAMES]) + (
        f" and {len(models) - _MOST_NAMES} more" if len(models) > _MOST_NAMES else ""
    )
    seen = f"the server lists {names or 'no model'}, not {model}"
    fix = f"name one of them: openai/{_nearest(model, models)}" if models else "load a model into the server"
    if answers:
        return CheckResult(LISTED, "warn", f"{seen}; it answers all the same, perhaps with another model", fix)
    return CheckResult(LISTED, "fail", seen, fix)


def _nearest(model: str, models: tuple[str, ...]) -> str:
    from difflib import SequenceMatcher

    return max(models, key=lambda name: SequenceMatcher(None, model.lower(), name.lower()).ratio())


def _address_is_right(asker: _Asker) -> CheckResult:
    return CheckResult(ADDRESS, "ok", f"{asker.shown} is where the API is")


def _refused_key(reply: httpx2.Response, config: EngineConfig) -> CheckResult:
    said = foreign_words(reply.text, filter(None, [os.environ.get(config.key_variable)]))
    if os.environ.get(config.key_variable):
        seen, fix = (
            f"the server refuses the key in {config.key_variable}",
            f"put a valid key into {config.key_variable}",
        )
    else:
        seen, fix = (
            f"the server wants a key, and {config.key_variable} is not set",
            f"set {config.key_variable} to your key",
        )
    words = f" (HTTP {reply.status_code}: {said})" if said else f" (HTTP {reply.status_code})"
    return CheckResult(KEY, "fail", seen + words, f"{fix}, or name its variable with --engine-api-key-env")


def _wrong_address(asker: _Asker, reply: httpx2.Response) -> Iterator[CheckResult]:
    """The address has no list of models: it is wrong, or the server has no list."""
    path = asker.base.path
    said = f"HTTP {reply.status_code}" if reply.status_code != 200 else "something else than a list of models"
    for other in dict.fromkeys((f"{path}/v1", path.removesuffix("/v1"), f"{path.partition('/')[0]}/v1")):
        if other == path:
            continue
        found = asker.get(f"{other}/models")
        if found.status_code in (401, 403) or _rows(found) is not None:
            right = public_url(str(asker.base.copy_with(path=other, query=None)))
            yield CheckResult(
                ADDRESS,
                "fail",
                f"{asker.shown}/models answers with {said}; the API is at {right}",
                f"pass --base-url {right}",
            )
            return
    chat = asker.get(f"{path}/chat/completions")  # a server without a list refuses the method, not the path
    if chat.status_code in (400, 401, 403, 405, 415, 422):
        yield CheckResult(ADDRESS, "ok", f"{asker.shown} is where the API is; it does not list its models")
        return
    fix = "pass the address of the API with --base-url, with /v1 at its end"
    yield CheckResult(
        ADDRESS, "fail", f"{asker.shown}/models answers with {said}; there is no OpenAI-compatible API", fix
    )


def _look_at_begin(asker: _Asker, model: str) -> tuple[CheckResult | None, int | None]:
    """Whether a prompt's first token is doubled, and the context, from vLLM's or llama.cpp's tokens of a prompt."""
    answer = asker.fact("POST", "tokenize", {"model": model, "messages": _PROBE, "add_generation_prompt": True})
    tokens, context = _tokens(answer), _number(answer.get("max_model_len")) if isinstance(answer, Mapping) else None
    if not tokens:
        rendered = asker.fact("POST", "apply-template", {"messages": _PROBE})
        text = rendered.get("prompt") if isinstance(rendered, Mapping) else None
        if not isinstance(text, str):
            return None, context
        tokens = _tokens(asker.fact("POST", "tokenize", {"content": text, "add_special": True, "parse_special": True}))
    if len(tokens) < 2:
        return None, context
    if tokens[0] == tokens[1]:
        seen = f"a prompt begins with the token {tokens[0]} twice: the chat template writes it, and the tokenizer adds it again"
        fix = "serve the model with a chat template that does not begin with the BOS token, or with a tokenizer that adds none"
        return CheckResult(BEGIN, "fail", seen, fix), context
    return CheckResult(BEGIN, "ok", "a prompt does not begin with the same token twice"), context


def _tokens(answer: object) -> list[int]:
    found = answer.get("tokens") if isinstance(answer, Mapping) else None
    return [one for one in found if isinstance(one, int)] if isinstance(found, list) else []


def _rows(reply: httpx2.Response) -> list[Mapping[str, object]] | None:
    content = _json(reply) if reply.status_code == 200 else None
    found = content.get("data", content.get("models")) if isinstance(content, Mapping) else content
    if not isinstance(found, list):
        return None
    return [row for row in found if isinstance(row, Mapping) and isinstance(row.get("id"), str)]


def _json(reply: httpx2.Response) -> Any:
    try:
        return parse_json(reply.text)
    except (ValueError, RecursionError):
        return None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _unreachable(error: BaseException, url: str) -> CheckResult:
    shown, host = public_url(url), urlsplit(url).hostname or ""
    for one in _causes(error):
        if isinstance(one, socket.gaierror):
            fix = "correct the host in --base-url, or look at the network and the DNS"
            return CheckResult(SERVER, "fail", f"the name {host} cannot be resolved ({one.strerror})", fix)
        if isinstance(one, ssl.SSLError):
            return _tls_failure(one, shown)
        if isinstance(one, ConnectionRefusedError):
            fix = "start the server, or correct the port in --base-url"
            return CheckResult(SERVER, "fail", f"{shown} refuses the connection: nothing listens there", fix)
    name = type(error).__name__
    if "Timeout" in name:
        fix = "look whether the host and port in --base-url are right, and whether a firewall is between"
        return CheckResult(SERVER, "fail", f"{shown} does not answer within {_TIMEOUT_S:g} s", fix)
    words = foreign_words(str(error)) or "the connection broke off"
    fix = "look whether --base-url names the right port, and http:// or https:// as the server speaks it"
    return CheckResult(SERVER, "fail", f"{shown} does not answer as a web server does ({name}: {words})", fix)


def _tls_failure(error: ssl.SSLError, shown: str) -> CheckResult:
    reason = getattr(error, "verify_message", None) or error.reason or str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        fix = "name the host as its certificate does, or set SSL_CERT_FILE to the certificate of its authority"
        return CheckResult(SERVER, "fail", f"the certificate of {shown} is not trusted ({reason})", fix)
    fix = f"pass --base-url http://{shown.partition('://')[2]}"
    return CheckResult(SERVER, "fail", f"{shown} does not speak TLS ({reason})", fix)


def _causes(error: BaseException | None, depth: int = 0) -> Iterator[BaseException]:
    if error is None or depth > 10:
        return
    yield error
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _causes(inner, depth + 1)
    yield from _causes(error.__cause__ or error.__context__, depth + 1)
