"""Providers by the name of their engine, such as ``mistral/MODEL``: whose key goes to which server.

An entry says where the server is and which variable holds the key. What is said about its fields are hints for the first request
only: whatever a server refuses or calls otherwise is learnt from its replies.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from pydantic import ValidationError

from rmr1.config import EngineConfig
from rmr1.errors import ConfigError
from rmr1.redaction import public_url

_ADDRESS = "OPENAI_BASE_URL"
"""The variable from which OpenAI's library takes an address."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    Args:
        title: How messages call it.
        base_url: The address of its server.
        key: The environment variable that holds the API key.
        keys_at: The page where people get one.
        limit: The field that limits a completion.
        seed: The field that holds the seed.
        counts_logprobs: Whether ``logprobs`` is the number of alternatives, instead of true next to ``top_logprobs``.
        batches: Whether it has OpenAI's files and batches.
    """

    title: str
    base_url: str
    key: str
    keys_at: str
    limit: str = "max_tokens"
    seed: str = "seed"
    counts_logprobs: bool = False
    batches: bool = False


PROVIDERS = {
    "openai": Provider(
        "OpenAI",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        "platform.openai.com/api-keys",
        limit="max_completion_tokens",  # the servers that imitate OpenAI's keep the old name
        batches=True,
    ),
    "mistral": Provider(
        "Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "console.mistral.ai/api-keys", seed="random_seed"
    ),
    "gemini": Provider(
        "Gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
        "aistudio.google.com/apikey",
    ),
    "together": Provider(
        "Together",
        "https://api.together.xyz/v1",
        "TOGETHER_API_KEY",
        "api.together.ai/settings/api-keys",
        counts_logprobs=True,
    ),
    "openrouter": Provider(
        "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "openrouter.ai/settings/keys"
    ),
    "deepseek": Provider(
        "DeepSeek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "platform.deepseek.com/api_keys"
    ),
    "groq": Provider("Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "console.groq.com/keys", batches=True),
    "fireworks": Provider(
        "Fireworks",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        "app.fireworks.ai/settings/users/api-keys",
    ),
    "xai": Provider("xAI", "https://api.x.ai/v1", "XAI_API_KEY", "console.x.ai"),
}
"""All whose servers speak OpenAI's protocol, by the name of their engine."""
ANTHROPIC = Provider("Anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", "platform.claude.com/settings/keys")


def provider_of(engine: str) -> Provider:
    """The provider of an engine that asks a server; OpenAI for one that has no provider of its own, such as ``scalar``."""
    return ANTHROPIC if engine == "anthropic" else PROVIDERS.get(engine, PROVIDERS["openai"])


def key_variable(engine: str, config: EngineConfig) -> str:
    """The environment variable that holds the key which an engine sends, to its provider's server or to one of the user's.

    Everything that sends a key asks here, so that no server gets the key of another provider.
    """
    return config.api_key_env or provider_of(engine).key


def api_key(engine: str, config: EngineConfig) -> str | None:
    """The key in that variable; None if there is none."""
    return os.environ.get(key_variable(engine, config)) or None


def with_address(engine: str, config: EngineConfig) -> EngineConfig:
    """The settings with the address of the server that will be asked, where the environment names it instead of the user.

    Raises:
        ConfigError: What the environment says is no address.
    """
    named = os.environ.get(_ADDRESS, "").strip()
    if engine != "openai" or config.base_url is not None or not named:
        return config
    try:
        return EngineConfig.model_validate({**config.model_dump(), "base_url": named})
    except ValidationError as error:
        raise ConfigError(f"{_ADDRESS}: {public_url(named)} is no address of a server; set it as --base-url") from error


def server_root(url: str) -> str:
    """An address without ``/v1`` at the end of its path; its query stays."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
