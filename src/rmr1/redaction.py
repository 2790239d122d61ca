"""Secrets and control characters out of what others wrote, before it is shown or kept.

An address may carry a password or a key, and a server may echo the key that it was sent. All patterns are bounded, so the time
grows with the text alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

MOST_WORDS = 500
"""This many characters of a server's words are kept."""
_HIDDEN = "***"
_READ_AT_MOST = 20_000
_SHORTEST_SECRET = 6
_PLAIN_QUERY = ("api-version",)
_SECRET_NAME = (
    r"(?:api|access|auth|secret|private|x-api)?[_-]?(?:key|token|secret|password|passwd|pwd|signature|sig|credential)"
)
_SECRET_KEY = re.compile(rf"(?:^|[_-])(?:{_SECRET_NAME}|authorization)$", re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_KEY = r"(?:sk|pk|rk|hf|gsk|xai|ghp|gho|glpat|nvapi|r8|fw|tgp|csk|pplx)[-_](?=[\w*-]{0,64}[\d*])[\w*-]{8,512}"
_TOKEN = r"(?:AIza[\w-]{20,64}|AKIA[A-Z0-9]{12,32}|eyJ[\w-]{8,4096}\.[\w-]{4,4096}\.[\w-]{4,4096})"
_PATTERNS = (
    (re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@'\"<>]{1,256}@", re.IGNORECASE), rf"\1{_HIDDEN}@"),
    (re.compile(rf"([?&]{_SECRET_NAME}=)[^\s&#'\"<>]{{1,4096}}", re.IGNORECASE), rf"\1{_HIDDEN}"),
    (re.compile(r"\b(bearer|basic)\s{1,4}(?=[\w.~+/-]{0,80}[\d=])[\w.~+/=-]{8,4096}", re.IGNORECASE), rf"\1 {_HIDDEN}"),
    (
        re.compile(rf"(\b{_SECRET_NAME}\b[\"']?\s{{0,4}}[:=]\s{{0,4}}[\"']?)[\w.~+/*-]{{6,4096}}", re.IGNORECASE),
        rf"\1{_HIDDEN}",
    ),
    (re.compile(rf"\b{_KEY}"), _HIDDEN),
    (re.compile(rf"\b{_TOKEN}"), _HIDDEN),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without the keys, tokens and passwords that it carries.

    Args:
        text: What may be shown or kept, such as an address or a server's words.
        secrets: Values that are known to be secret; they are hidden wherever they occur.
    """
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def public_url(url: str) -> str:
    """An address without user, password and the values of its query, except versions; also if it is no valid address.

    >>> public_url("https://me:pass@host/v1?key=abc&api-version=2")
    'https://***@host/v1?key=***&api-version=2'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = SplitResult("", "", url.partition("?")[0], "", "")
    user, at, host = parts.netloc.rpartition("@")
    path = (
        parts.path
        if parts.netloc
        else f"{_HIDDEN}@{parts.path.rpartition('@')[2]}"
        if "@" in parts.path
        else parts.path
    )
    pairs = [one.partition("=") for one in parts.query.split("&") if one]
    query = "&".join(
        f"{name}{equals}{value if name in _PLAIN_QUERY or not value else _HIDDEN}" for name, equals, value in pairs
    )
    scheme = "" if parts.scheme and not parts.netloc and "@" in parts.path else parts.scheme  # a user, not a scheme
    return urlunsplit((scheme, f"{_HIDDEN if user else ''}{at}{host}", path, query, ""))


def address_identity(url: str | None) -> dict[str, object]:
    """What tells one server from another, for the identity of an engine that asks it.

    Args:
        url: Its address; None for the provider's own.

    Returns:
        ``base_url``, as ``public_url`` shows it; and, if values of its query are hidden there, ``address``: a hash of those whose
        name is not that of a secret. So two deployments are two servers, and a server with a new key is the same one.
    """
    if url is None:
        return {"base_url": None}
    shown = public_url(url)
    pairs = (one.partition("=") for one in urlsplit(url).query.split("&"))
    hidden = [f"{name}={value}" for name, _, value in pairs if value and not _is_plain_or_secret(name)]
    mark = hashlib.sha256("&".join(hidden).encode()).hexdigest()[:16]
    return {"base_url": shown, **({"address": mark} if hidden else {})}


def _is_plain_or_secret(name: str) -> bool:
    return name in _PLAIN_QUERY or _is_secret(name)


def secrets_of(url: str) -> tuple[str, ...]:
    """The password and the values of the query in an address, as they are written and as they are meant."""
    parts = urlsplit(url)
    written = [parts.password or "", *(one.partition("=")[2] for one in parts.query.split("&"))]
    return tuple({one for value in written for one in (value, unquote(value)) if one})


def public_value(value: object) -> object:
    """A JSON value without the secrets in it.

    Hidden are texts whose key in a mapping is called like a secret (``api_key``, ``user-token``, ``Authorization``), and in all
    other texts what ``redact`` knows.

    >>> public_value({"route": {"api_key": "abc123"}, "tier": "flex"})
    {'route': {'api_key': '***'}, 'tier': 'flex'}
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return [public_value(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: _HIDDEN if isinstance(one, str) and _is_secret(str(name)) else public_value(one)
        for name, one in value.items()
    }


def secret_texts(value: object) -> Iterator[str]:
    """The texts in a JSON value that ``public_value`` hides because of their keys."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from secret_texts(one)
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if isinstance(one, str) and _is_secret(str(name)):
                yield one
            else:
                yield from secret_texts(one)


def _is_secret(name: str) -> bool:
    return _SECRET_KEY.search(_HUMP.sub("_", name)) is not None


def foreign_words(text: str, secrets: Iterable[str] = ()) -> str:
    """What a server said, fit for a message: one line, no control characters, no secrets, 500 characters at most."""
    printable = "".join(one if one.isprintable() else " " for one in text[:_READ_AT_MOST])
    words = " ".join(redact(printable, secrets).split())
    return words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 3] + "..."
