"""Recordings in place of a model."""

import asyncio
import json
from dataclasses import replace

import pytest

from rmr1.engines import open_model, prompt_sha256
from rmr1.errors import EngineError, JournalError, ModelNotFoundError
from rmr1.judging import judge_pairs
from rmr1.records import GenerationRequest, Message
from tests.support.engines import FunctionEngine, answer


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
    with pytest.raises(EngineError, match='the request "a" was recorded for another prompt'):
        asyncio.run(collect(engine.generate([request("a", "hullo")])))


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (['{"text": "one"}'], r":1: not a recording with .*: request: Field required"),
        (['{"request": "a", "text": "x"}', '{"request": "b"}'], r":2: not a recording .*: text: Field required"),
        (['{"request": 7, "text": "x"}'], r":1: .*: request: Input should be an instance of str"),
        (['{"request": "", "text": "x"}'], r":1: .*: request: "),
        (['{"request": "a", "text": ["x"]}'], r":1: .*: text: "),
        (['{"request": "a", "text": "x", "finish_reason": "eos"}'], r":1: .*: finish_reason: "),
        (['{"request": "a", "text": "x", "think_open": "no"}'], r":1: .*: think_open: "),
        (['{"request": "a", "text": "x", "usage": {"tokens": 3}}'], r":1: .*: usage.tokens: Extra"),
        (['{"request": "a", "text": "x", "usage": {"prompt_tokens": -3}}'], r":1: .*: usage.prompt_tokens: "),
        (['{"request": "a", "text": "x", "usage": 3}'], r":1: .*: usage: "),
        (['{"request": "a", "text": "x", "prompt_sha256": "abc"}'], r":1: .*: prompt_sha256: "),
        (
            ['{"request": "a", "text": "x"}', '{"request": "a", "text": "y"}'],
            r':2: .*"a" is recorded in an earlier line',
        ),
        (['{"request": "a", "text": "x"}', ""], r":2: not a recording"),
        (['["request", "text"]'], r":1: not a recording"),
        (['{"request": "a", "text": "x", "text": "y"}'], r':1: .*the key "text" is there twice'),
        (["[" * 5000], r":1: .*nested too deeply"),
    ],
)
def test_each_line_of_a_recording_is_looked_at(tmp_path, lines, told):
    path = tmp_path / "recorded.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(EngineError, match=rf"recorded\.jsonl{told}"):
        open_model(f"replay/{path}")


def test_there_is_no_such_recording(tmp_path):
    with pytest.raises(ModelNotFoundError, match="no such recording"):
        open_model(f"replay/{tmp_path}/none.jsonl")


def test_a_run_is_replayed_as_it_was_written_or_not_at_all(tmp_path):
    judged = judge_pairs(write(tmp_path, 3), engine=FunctionEngine(lambda request: answer("A")), run=tmp_path / "run")
    replayed = judge_pairs(write(tmp_path, 3), model=f"replay/{tmp_path}/run", run=tmp_path / "again")
    assert replace(replayed.results, notes=()) == replace(judged.results, notes=())
    with pytest.raises(
        EngineError, match=r'nothing is recorded for the pair "p3" in order ab, vote 0; replay it with the data'
    ):
        judge_pairs(write(tmp_path, 4), model=f"replay/{tmp_path}/run", run=tmp_path / "more")
    journal = tmp_path / "run" / "completions.jsonl"
    journal.write_text(journal.read_text().replace("[[A]]", "[[B]]", 1))
    with pytest.raises(JournalError, match=r"completions\.jsonl:1: the line was changed"):
        open_model(f"replay/{tmp_path}/run")
    (tmp_path / "run" / "run.json").unlink()  # a recording without a run is what it says
    assert open_model(f"replay/{journal}").engine.path == journal


def write(folder, count):
    path = folder / f"pairs{count}.jsonl"
    rows = ({"id": f"p{n}", "prompt": f"q{n}", "chosen": "good", "rejected": "bad"} for n in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
