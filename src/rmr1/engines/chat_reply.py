"""The one reader of chat completions: whatever a server or a line of a batch says becomes a ``Generation``.

Servers that speak OpenAI's protocol differ in what they leave out, in the types of fields, and in their words for the end. What
they mean is read; what does not fit is a failed request with the server's words. Nothing here raises for any bytes.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from rmr1.engines.replies import fault
from rmr1.files import parse_json
from rmr1.records import UNKNOWN_USAGE, FinishReason, Generation, TokenLogprob, Usage
from rmr1.redaction import foreign_words

_LENGTH: Final = frozenset((
    "length", "max_tokens", "max_output_tokens", "max_completion_tokens", "max_length", "max_new_tokens",
    "token_limit", "model_length", "context_length", "context_length_exceeded", "model_context_window_exceeded", "pause_turn"
))  # fmt: skip
_REFUSED: Final = frozenset((
    "content_filter", "content_filtered", "refusal", "safety", "image_safety", "recitation", "blocklist",
    "prohibited_content", "spii", "sensitive", "guardrail_intervened", "moderation"
))  # fmt: skip
_FAILED: Final = frozenset((
    "error", "abort", "aborted", "cancelled", "canceled", "failed", "failure", "engine_error", "internal_error",
    "network_error", "insufficient_system_resource", "malformed_function_call", "timeout"
))  # fmt: skip
_STATUS: Final = {
    **dict.fromkeys(("rate_limit_exceeded", "rate_limit_error", "rate_limit_reached", "rate_limited"), 429),
    **dict.fromkeys(("too_many_requests", "resource_exhausted", "insufficient_quota"), 429),
    **dict.fromkeys(("server_error", "internal_server_error", "internal_error", "internal", "api_error"), 500),
    **dict.fromkeys(("bad_gateway", "provider_error", "upstream_error"), 502),
    **dict.fromkeys(("service_unavailable", "service_unavailable_error", "unavailable"), 503),
    **dict.fromkeys(("gateway_timeout", "timeout", "timeout_error", "deadline_exceeded"), 504),
    **dict.fromkeys(
        ("overloaded", "overloaded_error", "engine_overloaded", "server_overloaded", "model_overloaded"), 529
    ),
    **dict.fromkeys(("authentication_error", "invalid_api_key"), 401),
}
"""Words of servers for an error, with the status that other servers answer it with."""
_THOUGHT_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
_TEXT_FIELDS = ("text", "content", "value", "thinking", "reasoning", "reasoning_content", "summary", "output_text")
_THOUGHT_TYPES = ("thinking", "reasoning", "reasoning_content", "reasoning.text", "reasoning.summary", "thought")
_THINK_TAG = re.compile(r"<[ \t]{0,4}/?[ \t]{0,4}think[^<>]{0,40}>", re.IGNORECASE)
_LARGEST_COUNT = 10**12
_DEEPEST = 8
_WORD = 64


def read_reply(
    request_id: str, body: bytes | object, *, think_open: bool = False, secrets: Iterable[str] = ()
) -> Generation:
    """What the model wrote, from the body of a reply.

    Args:
        request_id: The request that it answers.
        body: The bytes of a response with status 200, or the object that they hold.
        think_open: Whether texts start inside a think block that the chat template has opened.
        secrets: Keys that must not be repeated in messages.

    Returns:
        The generation. A reply that does not fit has the ``finish_reason`` "error", and ``error`` has the server's words.
    """
    if isinstance(body, bytes):
        try:
            return read_reply(request_id, parse_json(body, finite=False), think_open=think_open, secrets=secrets)
        except ValueError as error:
            return fault(request_id, _not_json(body, error), secrets)
    if not isinstance(body, Mapping):
        return fault(request_id, f"the server answered no chat completion: {server_words(body)}", secrets)
    if body.get("error"):
        return fault(request_id, f"the server answered with an error: {server_words(body)}", secrets)
    choice = _first(body.get("choices"))
    if choice is None:
        return fault(request_id, f"the server answered without choices: {server_words(body)}", secrets)
    return _read_choice(request_id, choice, read_usage(body.get("usage")), think_open, secrets)


def inner_status(body: bytes) -> int | None:
    """The status that an error inside an answer with status 200 stands for, by its code or type.

    Gateways have sent the status before the model behind them fails.

    Returns:
        None if there is no error in it, or one that does not say of which kind it is.
    """
    if b'"error"' not in body:
        return None
    try:
        answer = parse_json(body, finite=False)
    except ValueError:
        return None
    choice = _first(answer.get("choices")) if isinstance(answer, Mapping) else None
    holders: tuple[object, ...] = (answer, choice)
    errors = [holder.get("error") for holder in holders if isinstance(holder, Mapping)]
    for error in errors:
        for name in ("code", "status", "type"):
            word = str(error.get(name) if isinstance(error, Mapping) else None).strip().lower().replace(" ", "_")
            status = int(word) if word.isascii() and word.isdigit() and len(word) == 3 else _STATUS.get(word, 0)
            if 400 <= status < 600:
                return status
    return None


def server_words(body: bytes | object) -> str:
    """What a body of any kind says, at most 500 characters: the message of an error, if there is one."""
    if isinstance(body, bytes):
        text = body[:100_000].decode(errors="replace")
        try:
            return server_words(parse_json(text, finite=False))
        except ValueError:
            return foreign_words(text) or "nothing"
    return foreign_words(_message(body, 0) or _dumped(body)) or "nothing"


def is_web_page(body: bytes) -> bool:
    """Whether a body is a page for people."""
    return body[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<head", b"<body"))


def read_usage(usage: object) -> Usage:
    """Tokens as a server counts them; what is no count is unknown."""
    if not isinstance(usage, Mapping):
        return UNKNOWN_USAGE
    prompt, completion = (
        next((found for name in names if (found := _count(usage.get(name))) is not None), None)
        for names in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
    )
    details = usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None
    unknown = prompt is None or completion is None
    return Usage(prompt or 0, completion or 0, min(cached or 0, prompt or 0), int(unknown))


def _read_choice(
    request_id: str, choice: Mapping[object, object], usage: Usage, think_open: bool, secrets: Iterable[str]
) -> Generation:
    finish, own_word = _finish(choice.get("finish_reason"))
    message = choice.get("message")
    if choice.get("error") or finish == "error":
        words = server_words({"error": choice["error"]}) if choice.get("error") else f"it ended with {own_word}"
        return fault(request_id, f"the server failed in the middle of its answer: {words}", secrets)
    if not isinstance(message, Mapping):
        return fault(
            request_id, f"the server answered with a choice that holds no message: {server_words(choice)}", secrets
        )
    parts = _Parts(message)
    if parts.odd is not None:
        return fault(request_id, f"the server answered with content that is no text: {parts.odd}", secrets)
    if parts.refusal and not parts.text:
        finish, own_word = "refused", own_word or "refusal"
    if own_word is None and choice.get("finish_reason") is None and not (parts.text or parts.thought or parts.called):
        return fault(
            request_id, f"the server answered with nothing, and does not say why: {server_words(choice)}", secrets
        )
    text = parts.text or parts.refusal
    tokens = None if parts.thought else _tokens(choice.get("logprobs"), text)
    if parts.thought:
        text = f"<think>\n{parts.thought}\n</think>\n\n{text}"
    return Generation(
        request_id=request_id,
        text=text,
        finish_reason=finish,
        usage=usage,
        think_open=think_open and not parts.thought,
        tokens=tokens,
        finish_detail=own_word,
    )


class _Parts:
    """What a message holds: its text, the thought beside it, a refusal, whether tools were called; ``odd`` is what fits nowhere."""

    def __init__(self, message: Mapping[object, object]) -> None:
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._refusals: list[str] = []
        self.odd: str | None = None
        self.called = bool(message.get("tool_calls") or message.get("function_call"))
        self._add(message.get("content"))
        if not self._thoughts:  # servers repeat a thought under several names
            found = (_flat(message.get(name), 0) for name in _THOUGHT_FIELDS)
            self._thoughts += [next((one for one in found if one), "")]
        if isinstance(message.get("refusal"), str):
            self._refusals.append(str(message["refusal"]))

    @property
    def text(self) -> str:
        return _valid("".join(self._texts))

    @property
    def thought(self) -> str:
        # A tag inside the thought would end the block that is put around it.
        return _THINK_TAG.sub("", _valid("\n\n".join(self._thoughts))).strip()

    @property
    def refusal(self) -> str:
        return _valid("".join(self._refusals))

    def _add(self, content: object) -> None:
        for part in content if isinstance(content, list) else [content]:
            kind = str(part.get("type", "text")) if isinstance(part, Mapping) else "text"
            if kind in ("text", "output_text") and _is_thought(part):
                kind = "thinking"
            if part is None or kind in ("redacted_thinking", "reasoning.encrypted"):
                continue
            if kind in ("tool_use", "tool_call", "function_call"):
                self.called = True
            elif isinstance(part, Mapping) and kind == "refusal":
                self._refusals.append(_flat(part.get("refusal"), 0))
            elif kind in _THOUGHT_TYPES:
                self._thoughts.append(_flat(part, 0))
            elif isinstance(part, str) or (isinstance(part, Mapping) and kind in ("text", "output_text")):
                self._text(part)
            else:
                self.odd = server_words(part)

    def _text(self, part: str | Mapping[object, object]) -> None:
        value = part if isinstance(part, str) else next((part[name] for name in _TEXT_FIELDS if name in part), None)
        if isinstance(value, Mapping):
            value = value.get("value")
        if isinstance(value, str):
            self._texts.append(value)
        else:
            self.odd = server_words(part)


def _is_thought(part: object) -> bool:
    """Whether a part that does not say so holds a thought and no text."""
    if not isinstance(part, Mapping) or any(name in part for name in ("text", "content", "value")):
        return False
    return any(name in part for name in _THOUGHT_FIELDS)


def _finish(word: object) -> tuple[FinishReason, str | None]:
    """Why it ended, and the server's own word for that where it is another one."""
    if word is None:
        return "stop", None
    said = foreign_words(word if isinstance(word, str) else _dumped(word))[:_WORD]
    known = said.rpartition(".")[2].strip().lower().replace("-", "_").replace(" ", "_")
    own = None if said in ("stop", "length") else said or None
    if known in _LENGTH:
        return "length", own
    if known in _REFUSED:
        return "refused", own
    return ("error", own) if known in _FAILED else ("stop", own)


def _first(choices: object) -> Mapping[object, object] | None:
    """The choice that was asked for: a server may send more of them, in any order."""
    if not isinstance(choices, list):
        return None
    found = [one for one in choices if isinstance(one, Mapping)]
    return next((one for one in found if one.get("index") == 0), found[0] if found else None)


def _tokens(logprobs: object, text: str) -> tuple[TokenLogprob, ...] | None:
    """Tokens with log-probabilities, if there is one for each piece of the text; half of them would tell nothing."""
    content = _content(logprobs) if isinstance(logprobs, Mapping) else None
    if not isinstance(content, list) or not content or not text:
        return None
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    tokens: list[TokenLogprob] = []
    for token in content:
        logprob = _logprob(token)
        if logprob is None or not isinstance(token, Mapping):
            return None
        written = token.get("bytes")
        if isinstance(written, list) and all(type(one) is int and 0 <= one < 256 for one in written):
            piece = decode(bytes(written))  # a character may have several tokens
        else:
            piece = str(token["token"])
        tops = token.get("top_logprobs")
        found = [(top, _logprob(top)) for top in (tops if isinstance(tops, list) else [])]
        top = tuple(
            (str(one["token"]), value) for one, value in found if value is not None and isinstance(one, Mapping)
        )
        tokens.append(TokenLogprob(piece, logprob, top))
    return _aligned(tokens, text)


def _content(logprobs: Mapping[object, object]) -> object:
    """The list of tokens; servers that take a number as ``logprobs`` give three lists and no list of objects."""
    columns = [logprobs.get(name) for name in ("tokens", "token_logprobs", "top_logprobs")]
    tokens, chosen, tops = (column if isinstance(column, list) else [] for column in columns)
    if logprobs.get("content") or not tokens or len(tokens) != len(chosen):
        return logprobs.get("content")
    if len(tops) != len(tokens):
        tops = [None] * len(tokens)
    return [
        {
            "token": token,
            "logprob": logprob,
            "top_logprobs": [{"token": one, "logprob": value} for one, value in top.items()]
            if isinstance(top, Mapping)
            else [],
        }
        for token, logprob, top in zip(tokens, chosen, tops, strict=True)
    ]


def _aligned(tokens: Sequence[TokenLogprob], text: str) -> tuple[TokenLogprob, ...] | None:
    """The tokens of the text alone: servers strip it, or add the tokens of a thought before it and of the end after it."""
    before = "".join(token.text for token in tokens).rfind(text)
    if before < 0:
        return None
    aligned: list[TokenLogprob] = []
    for token in tokens:
        if before >= len(token.text):
            before -= len(token.text)
            continue
        aligned.append(TokenLogprob(token.text[before:], token.logprob, () if before else token.top))
        before = 0
    return tuple(aligned)


def _logprob(token: object) -> float | None:
    if not isinstance(token, Mapping) or not isinstance(token.get("token"), str):
        return None
    value = token.get("logprob")
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e6 or math.isnan(value):
        return None
    return float(value) if value < 1e-3 else None


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LARGEST_COUNT:
        return None
    return int(value) if value == int(value) else None


def _flat(value: object, depth: int) -> str:
    """The text in a value of any shape."""
    if isinstance(value, str):
        return value
    if depth > _DEEPEST:
        return ""
    if isinstance(value, list):
        return "".join(_flat(one, depth + 1) for one in value)
    if isinstance(value, Mapping):
        return next((found for name in _TEXT_FIELDS if (found := _flat(value.get(name), depth + 1))), "")
    return ""


def _message(body: object, depth: int) -> str:
    """The message of an error, wherever a server puts it, with its code and the place that it names."""
    if isinstance(body, str):
        return body
    if depth > _DEEPEST:
        return ""
    if isinstance(body, list):
        return "; ".join(filter(None, (_message(one, depth + 1) for one in body[:5])))
    if not isinstance(body, Mapping):
        return ""
    for name in ("error", "errors", "message", "msg", "detail", "details", "error_message"):
        found = _message(body.get(name), depth + 1)
        if found:
            return found + "".join(f" ({extra})" for extra in _details(body))
    return ""


def _details(body: Mapping[object, object]) -> Iterator[str]:
    for name in ("code", "type", "param", "loc"):
        value = body.get(name)
        if isinstance(value, list):
            value = ".".join(str(one) for one in value[:8])
        if isinstance(value, str | int) and value not in ("", None):
            yield f"{name} {value}"


def _dumped(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)[:2000]
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__}"


def _not_json(body: bytes, error: ValueError) -> str:
    if is_web_page(body):
        return f"the server answers with a web page: {server_words(body)}; is /v1 missing at the end of the base URL?"
    if not body.strip():
        return "the server answered with nothing"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return f"the server's answer is no JSON, or was cut: {server_words(body)}"
    return f"the server's answer is not read ({error}): {server_words(body)}"


def _valid(text: str) -> str:
    """The text without halves of characters, which JSON can hold and files cannot."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text
