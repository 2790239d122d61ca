"""The card of a model that a server serves: how it wants to be asked, if it was trained here and its folder can be read here.

vLLM names the folder in ``/v1/models`` (``root``), llama.cpp's server the file there or in ``/props``. Whatever a server answers
instead, or if it does not answer, there is no card, and nothing is said: the requests themselves will say what is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rmr1.config import EngineConfig
from rmr1.errors import ConfigError
from rmr1.files import expand_home, parse_json
from rmr1.models.card import CARD, ModelCard, read_card_of
from rmr1.models.providers import api_key

_PATIENCE_S = 5.0
_LARGEST = 4_000_000


def card_at(place: str) -> ModelCard:
    """The card in the folder, the run or the GGUF file that ``engine.card`` names.

    Raises:
        ConfigError: There is none.
    """
    path = expand_home(place)
    for candidate in (path, path / "model"):
        card = read_card_of(candidate) if candidate.exists() else None
        if card is not None:
            return card
    raise ConfigError(
        f"engine.card {place}: holds no {CARD}; name the folder or GGUF file of a model that rmr1 has trained"
    )


def served_card(engine: str, model: str, config: EngineConfig) -> tuple[ModelCard, Path] | None:
    """The card of the model that the server at ``base_url`` serves under this name, and where it was found.

    Args:
        engine: Whose key is sent.
        model: The server's name of the model.
        config: ``base_url`` and ``api_key_env`` matter here.
    """
    if config.base_url is None:
        return None
    for named in _places(model, config.base_url, api_key(engine, config)):
        path = Path(named)
        try:
            readable = path.is_dir() or (path.suffix == ".gguf" and path.is_file())
        except (OSError, ValueError):
            continue
        card = read_card_of(path) if readable else None
        if card is not None:
            return card, path
    return None


def _places(model: str, url: str, key: str | None) -> Iterator[str]:
    base, question, query = url.partition("?")
    base = base.rstrip("/")
    listed = _asked(f"{base}/models{question}{query}", key)
    entries = listed.get("data") if isinstance(listed, Mapping) else None
    known = [one for one in entries if isinstance(one, Mapping)] if isinstance(entries, list) else []
    mine = [one for one in known if one.get("id") == model] or (known if len(known) == 1 else [])
    found = [one.get(name) for one in mine for name in ("root", "id")]
    yield from (one for one in found if isinstance(one, str))
    if mine and mine[0].get("owned_by") == "llamacpp":
        props = _asked(f"{base.removesuffix('/v1')}/props{question}{query}", key)
        path = props.get("model_path") if isinstance(props, Mapping) else None
        if isinstance(path, str):
            yield path


def _asked(url: str, key: str | None) -> object:
    """What a server answers to a question that need not be answered; None for anything else than JSON."""
    import httpx2

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    deadline = time.monotonic() + _PATIENCE_S
    body = bytearray()
    try:
        with httpx2.stream("GET", url, headers=headers, timeout=_PATIENCE_S, follow_redirects=True) as response:
            if response.status_code != 200:
                return None
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _LARGEST or time.monotonic() > deadline:
                    return None
        return parse_json(bytes(body), finite=False)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError):
        return None
