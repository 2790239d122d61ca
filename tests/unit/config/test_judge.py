"""Settings of servers: addresses are addresses, and what is in them stays secret."""

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
