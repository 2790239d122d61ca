"""Providers whose servers speak OpenAI's protocol, by the name of their engine: ``mistral/MODEL``, ``openrouter/MODEL``.

An entry says where the server is and which variable holds the key. What is said about its fields are hints for the first request
only: whatever a server refuses or calls otherwise is learnt from its replies.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    Args:
        title: How messages call it.
        base_url: The address of its server; None for the one that OpenAI's library knows.
        key: The environment variable that holds the API key.
        keys_at: The page where people get one.
        limit: The field that limits a completion.
        seed: The field that holds the seed.
        counts_logprobs: Whether ``logprobs`` is the number of alternatives, instead of true next to ``top_logprobs``.
        batches: Whether it has OpenAI's files and batches.
    """

    title: str
    base_url: str | None
    key: str
    keys_at: str
    limit: str = "max_tokens"
    seed: str = "seed"
    counts_logprobs: bool = False
    batches: bool = False


PROVIDERS = {
    "openai": Provider(
        "OpenAI",
        None,
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
"""All of them, by the name of their engine."""
