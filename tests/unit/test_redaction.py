"""Secrets out of addresses and of what servers say."""

import time

import pytest

from rmr1.redaction import address_identity, foreign_words, public_url, public_value, redact, secret_texts, secrets_of


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("https://user:pa55word@host/v1", "pa55word"),
        ("see http://tok3n@host:80/v1.", "tok3n"),
        ("http://h/v1?key=abc1&x=1", "abc1"),
        ("http://h/v1?x=1&api_key=abc1", "abc1"),
        ("Authorization: Bearer abcd1234efgh", "abcd1234"),
        ('{"api_key": "abcd1234efgh"}', "abcd1234"),
        ("Incorrect API key provided: sk-proj-abc123def456.", "abc123"),
        ("token hf_abcdefgh12345678", "hf_abcd"),
        ("AIzaSyA1234567890123456789012345", "AIzaSy"),
        ("jwt eyJhbGciOiJI.eyJzdWIi.c2lnbmF0", "eyJzdW"),
    ],
)
def test_secrets_are_hidden(text, hidden):
    assert hidden not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    ["http://localhost:8000/v1", "the key is missing", "max_tokens: 2048", "hf_hub_download failed", "basic instructions",
     "mail me@host.org", "task-oriented-dialogue", "The token limit is 4096"],
)  # fmt: skip
def test_plain_words_stay(text):
    assert redact(text) == text


def test_known_secrets_are_hidden_in_any_form():
    assert redact("it says hunter22!", ["hunter22"]) == "it says ***!"
    assert redact("a none", ["none", ""]) == "a none"  # too short to be a secret


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("https://u:p@host:1/v1?key=a%20b&api-version=2#f", "https://***@host:1/v1?key=***&api-version=2"),
        ("me:pa55@host/v1", "***@host/v1"),
        ("pa55@host", "***@host"),
        ("http://me:pa55@[::1/v1?key=x", "***@[::1/v1"),
        ("localhost:8000/v1", "localhost:8000/v1"),
        ("https://host/v1?anything=secret", "https://host/v1?anything=***"),
    ],
)
def test_addresses_that_may_be_shown(url, public):
    assert public_url(url) == public


def test_servers_that_differ_in_what_is_hidden_are_told_apart():
    one, other = (address_identity(f"https://host/v1?deployment={name}") for name in "ab")
    assert one["base_url"] == other["base_url"] == "https://host/v1?deployment=***"
    assert one["address"] != other["address"]
    old, new = (address_identity(f"https://me:{name}@host/v1?api_key={name}&api-version=2") for name in ("old", "new"))
    assert old == new == {"base_url": "https://***@host/v1?api_key=***&api-version=2"}
    assert address_identity("http://localhost:8000/v1") == {"base_url": "http://localhost:8000/v1"}
    assert address_identity(None) == {"base_url": None}


def test_the_secrets_of_an_address():
    assert set(secrets_of("https://me:p%40ss@host/v1?key=a%20b")) == {"p%40ss", "p@ss", "a%20b", "a b"}
    assert secrets_of("https://host/v1") == ()


@pytest.mark.parametrize(
    "piece", ["http://", "a.", "sk-", "key=", "?key=", "Bearer ", "eyJaaaaaaaa.", "api_key: ", "-a+"]
)
def test_time_grows_with_the_text_alone(piece):
    began = time.process_time()
    redact(piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 10  # coarse: a quadratic pattern would take hours
    assert len(foreign_words(piece * 200_000)) <= 500


def test_values_whose_keys_are_called_like_secrets_are_hidden():
    value = {
        "tier": "flex",
        "max_tokens": "many",
        "apiKey": "abc",
        "route": [{"X-Api-Key": "def", "order": ["a", "b"], "Authorization": "x"}, 5, None],
        "note": "the key is sk-proj-abc123def456",
    }
    assert public_value(value) == {
        "tier": "flex",
        "max_tokens": "many",
        "apiKey": "***",
        "route": [{"X-Api-Key": "***", "order": ["a", "b"], "Authorization": "***"}, 5, None],
        "note": "the key is ***",
    }
    assert set(secret_texts(value)) == {"abc", "def", "x"}
