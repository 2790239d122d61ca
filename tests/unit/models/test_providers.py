"""Whose key goes where, and which server is asked."""

import pytest

from rmr1.config import EngineConfig
from rmr1.errors import ConfigError
from rmr1.models.providers import PROVIDERS, api_key, key_variable, server_root, with_address

OWN = EngineConfig(base_url="https://proxy.example/v1")


@pytest.mark.parametrize("config", [EngineConfig(), OWN], ids=["provider", "proxy"])
def test_each_engine_has_the_key_of_its_provider(config, monkeypatch):
    for name, provider in PROVIDERS.items():
        monkeypatch.setenv(provider.key, f"key of {name}")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key of anthropic")
    assert {name: api_key(name, config) for name in PROVIDERS} == {name: f"key of {name}" for name in PROVIDERS}
    assert api_key("anthropic", config) == "key of anthropic"
    assert api_key("scalar", config) == "key of openai"


def test_the_user_names_another_variable(monkeypatch):
    config = OWN.model_copy(update={"api_key_env": "PROXY_KEY"})
    monkeypatch.setenv("MISTRAL_API_KEY", "another")
    monkeypatch.delenv("PROXY_KEY", raising=False)
    assert key_variable("mistral", config) == "PROXY_KEY"
    assert api_key("mistral", config) is None


def test_an_address_in_the_environment_is_the_address(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:9/v1")
    assert with_address("openai", EngineConfig(max_retries=1)) == EngineConfig(
        base_url="http://localhost:9/v1", max_retries=1
    )
    assert with_address("openai", OWN) == OWN
    assert with_address("mistral", EngineConfig()) == EngineConfig()
    monkeypatch.setenv("OPENAI_BASE_URL", "me:pa55word@nowhere")
    with pytest.raises(ConfigError, match=r"OPENAI_BASE_URL: \*\*\*@nowhere is no address of a server"):
        with_address("openai", EngineConfig())
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert with_address("openai", EngineConfig()) == EngineConfig()


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://host/v1", "https://host"),
        ("https://host/v1/", "https://host"),
        ("https://host", "https://host"),
        ("https://me:pass@host:1/proxy/v1?key=x/v1", "https://me:pass@host:1/proxy?key=x/v1"),
        ("https://host/v1?key=x", "https://host?key=x"),
    ],
)
def test_the_root_of_an_address(url, root):
    assert server_root(url) == root
