"""Settings of servers: addresses are addresses, and what is in them stays secret."""

import datetime

import pytest

from rmr1.config import EngineConfig, JudgeConfig, load_config
from rmr1.errors import ConfigError


@pytest.mark.parametrize("url", ["http://localhost:8000/v1", " https://me:pw@host/v1?key=x ", "http://[::1]:80/v1"])
def test_addresses_of_servers(url):
    assert EngineConfig(base_url=url).base_url == url.strip()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:8000/v1", "write it with http:// or https://, such as http://localhost:8000/v1"),
        ("ftp://host/v1", "no address of a server"),
        ("http://", "no address of a server"),
        ("http://host:port/v1", "no address"),
        ("http://[::1/v1", "no address"),
        ("http://host/v1/chat/completions/", "leave /chat/completions out"),
        ("me:pa55word@host/v1", "no address of a server"),
        ("ftp://me:pa55word@host/v1?key=s3cret", "no address of a server"),
    ],
)
def test_what_is_no_address_is_named_without_its_secrets(url, said):
    with pytest.raises(ConfigError) as refused:
        load_config(JudgeConfig, arguments={"engine": {"base_url": url}}, environment={})
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "pa55word" not in str(refused.value)


def test_what_becomes_json_has_no_credentials():
    dumped = EngineConfig(base_url="https://me:pa55@host/v1?key=s3cret").model_dump(mode="json")
    assert dumped["base_url"] == "https://***@host/v1?key=***"
    assert EngineConfig().model_dump(mode="json")["base_url"] is None


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("extra_body", {"temperature": 1}, "temperature has a setting of its own: temperature"),
        (
            "extra_body",
            {"reasoning_effort": "low"},
            "reasoning_effort has a setting of its own: engine.reasoning_effort",
        ),
        ("extra_body", {"messages": []}, "messages cannot be set; the engine decides it for each request"),
        ("extra_body", {"stream": True}, "stream cannot be set"),
        ("extra_body", {"since": datetime.date(2026, 1, 1)}, "since holds something that JSON cannot"),
        ("extra_body", {"x": float("nan")}, "x holds something that JSON cannot"),
        ("chat_template_kwargs", {"tokenize": True}, "tokenize cannot be set; the engine decides it for each prompt"),
        ("reasoning_effort", "", "at least 1 character"),
    ],
)
def test_fields_that_cannot_be_added(field, value, said):
    with pytest.raises(ConfigError, match=said):
        load_config(JudgeConfig, arguments={"engine": {field: value}}, environment={})


def test_added_fields_are_kept_without_their_keys():
    settings = ["engine.extra_body={service_tier: flex, user_token: abc}", "engine.extra_body.route.api_key=def"]
    config = load_config(JudgeConfig, settings=settings, environment={})
    assert config.engine.extra_body == {"service_tier": "flex", "user_token": "abc", "route": {"api_key": "def"}}
    dumped = config.model_dump(mode="json")["engine"]["extra_body"]
    assert dumped == {"service_tier": "flex", "user_token": "***", "route": {"api_key": "***"}}


def test_a_refused_setting_is_named_without_its_key():
    with pytest.raises(ConfigError) as refused:
        load_config(JudgeConfig, settings=["engine.extra_body={model: x, api_key: sk-abcdef123456}"], environment={})
    assert "sk-abc" not in str(refused.value)
