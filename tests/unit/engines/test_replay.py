"""Recordings in place of a model."""

import asyncio
import json

import pytest

from rmr1.engines import open_model, prompt_sha256
from rmr1.errors import EngineError, ModelNotFoundError
from rmr1.records import GenerationRequest, Message


def request(name, text="hello", **options):
    return GenerationRequest(name, (Message("user", text),), **options)


async def collect(stream):
    return [generation async for generation in stream]


# dispatch


def recording(tmp_path, *records):
    path = tmp_path / "completions.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return open_model(f"replay/{path}").engine


def test_replay_answers_in_the_order_of_the_requests(tmp_path):
    engine = recording(
        tmp_path,
        {
            "request": "b",
            "text": "two\r\n\u2028",
            "finish_reason": "length",
            "think_open": True,
            "usage": {"completion_tokens": 3},
        },
        {"request": "a", "text": "one"},
    )
    done = asyncio.run(collect(engine.generate([request("a"), request("b")])))
    assert [(generation.request_id, generation.text) for generation in done] == [("a", "one"), ("b", "two\r\n\u2028")]
    assert (done[1].finish_reason, done[1].think_open, done[1].usage.completion_tokens) == ("length", True, 3)


def test_replay_refuses_what_was_not_recorded(tmp_path):
    engine = recording(
        tmp_path, {"request": "a", "text": "one", "prompt_sha256": prompt_sha256([Message("user", "hello")])}
    )
    assert len(asyncio.run(collect(engine.generate([request("a")])))) == 1
    with pytest.raises(EngineError, match='nothing is recorded for the request "z"'):
        asyncio.run(collect(engine.generate([request("z")])))
    with pytest.raises(EngineError, match='"a" was recorded for another prompt'):
        asyncio.run(collect(engine.generate([request("a", "hullo")])))


def test_replay_names_what_is_wrong_with_a_recording(tmp_path):
    with pytest.raises(ModelNotFoundError, match="no such recording"):
        open_model(f"replay/{tmp_path}/none.jsonl")
    with pytest.raises(EngineError, match=r"completions\.jsonl:1: not a recording"):
        recording(tmp_path, {"text": "one"})


# names
