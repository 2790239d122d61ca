"""Anthropic's Messages API: what is sent, what comes back, odd replies, and batches that are found again."""

import asyncio
import json
import random
import threading
from contextlib import aclosing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rmr1.config import BatchConfig, EngineConfig, JudgeConfig
from rmr1.engines import BatchLedger, open_model
from rmr1.errors import ConfigError, EngineError
from rmr1.judging import judge_pairs
from rmr1.records import GenerationRequest, Message, Sampling
from rmr1.runs import Journal
from tests.property.test_replies_fuzz import check, mutant
from tests.support.raw_server import TEXT, Raw, answering, error

pytest.importorskip("anthropic", reason="the anthropic extra is not installed")

MESSAGES = (Message("system", "You judge."), Message("user", "A or B?"))
USAGE = {"input_tokens": 7, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 13, "output_tokens": 5}


def message(*content, stop="end_turn", **changes):
    """A message as the API's documentation shows it."""
    blocks = [one if isinstance(one, dict) else {"type": "text", "text": one} for one in content or (TEXT,)]
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": blocks, "usage": USAGE}
    return whole | {"stop_reason": stop, "stop_sequence": None} | changes


def thought(text):
    return {"type": "thinking", "thinking": text, "signature": "c2ln"}


def request(name="r", **sampling):
    return GenerationRequest(name, MESSAGES, Sampling(**sampling))


def ask(reply, *asked, notes=None, **config):
    async def run(address):
        settings = EngineConfig(**{"base_url": address, "max_retries": 0, **config})
        engine = open_model("anthropic/m", settings, concurrency=1).engine
        if notes is not None:
            engine.hear(notes.append)
        try:
            return [one async for one in engine.generate(asked)]
        finally:
            await engine.aclose()

    with answering(reply) as server:
        return asyncio.run(run(server.address)), server


def answer(body, **config):
    (done,), _ = ask(lambda request: Raw(body), request(), **config)
    return done


def test_a_missing_key_is_named(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="set ANTHROPIC_API_KEY to your API key of Anthropic"):
        open_model("anthropic/m")


def test_what_is_sent(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test12345")
    (done,), server = ask(lambda request: Raw(message()), request(temperature=0.5, max_tokens=100, seed=3, top_k=5))
    assert server.asked == [
        {
            "model": "m",
            "system": [{"type": "text", "text": "You judge.", "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": "A or B?"}],
            "max_tokens": 100,
            "temperature": 0.5,
            "top_k": 5,
        }
    ]
    headers = {name.lower(): value for name, value in server.headers[0].items()}
    assert (headers["x-api-key"], server.paths) == ("sk-ant-test12345", ["/v1/messages"])
    assert headers["anthropic-version"]
    assert (done.text, done.finish_reason, done.think_open) == (TEXT, "stop", False)
    assert (done.usage.prompt_tokens, done.usage.cached_tokens, done.usage.completion_tokens) == (100, 80, 5)


@pytest.mark.parametrize(
    ("budget", "sent"), [(1024, {"type": "enabled", "budget_tokens": 1024}), ("adaptive", {"type": "adaptive"})]
)
def test_a_thought_becomes_a_think_block(budget, sent):
    body = message(thought("B? "), thought("No."), {"type": "redacted_thinking", "data": "x"}, TEXT)
    (done,), server = ask(
        lambda request: Raw(body), request(top_p=0.9, top_k=3), thinking_budget=budget, reasoning_effort="high"
    )
    assert server.asked[0]["thinking"] == sent
    assert server.asked[0]["output_config"] == {"effort": "high"}
    assert not {"temperature", "top_k"} & set(server.asked[0])
    assert done.text == f"<think>\nB? \n\nNo.\n</think>\n\n{TEXT}"


def test_a_budget_that_leaves_no_room_is_refused():
    with pytest.raises(ConfigError, match=r"engine.thinking_budget \(2048\) has to be below --max-tokens \(2048\)"):
        ask(lambda request: Raw(message()), request(), thinking_budget=2048)
    with pytest.raises(ValueError, match="the least that can be set is 1024"):
        EngineConfig(thinking_budget=100)


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "refused"),
    ],
)
def test_ends(stop, finish):
    done = answer(message(stop=stop))
    assert (done.finish_reason, done.finish_detail) == (finish, stop)


def events(*parts, end=True):
    start = message()
    start |= {"content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}}
    stream = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, (kind, field, pieces) in enumerate(parts):
        stream.append({"type": "content_block_start", "index": index, "content_block": {"type": kind, field: ""}})
        stream += [
            {"type": "content_block_delta", "index": index, "delta": {"type": f"{field}_delta", field: piece}}
            for piece in pieces
        ]
    stream.append({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 9}})
    stream += [{"type": "message_stop"}] if end else []
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in stream).encode()


def test_long_answers_are_streamed():
    body = events(("thinking", "thinking", ["B", "?"]), ("text", "text", [TEXT[:9], TEXT[9:]]))
    (done,), server = ask(lambda request: Raw(body), request(max_tokens=20_000))
    assert server.asked[0]["stream"] is True
    assert done.text == f"<think>\nB?\n</think>\n\n{TEXT}"
    assert (done.finish_reason, done.usage.completion_tokens, done.usage.prompt_tokens) == ("length", 9, 100)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (events(("text", "text", [TEXT]), end=False), "the stream of the answer was cut"),
        (b'event: error\ndata: {"type": "error", "error": {"message": "boom"}}\n\n', "boom"),
        (b"data: x\n\n", "was cut"),
        (message(content=None), "a message without content"),
        ({"type": "error", "error": {"type": "api_error", "message": "boom"}}, "boom"),
        (b"<html>", "web page"),
        (b"", "nothing"),
    ],
)
def test_what_is_no_answer_is_a_failed_request(body, said):
    done = answer(body)
    assert done.finish_reason == "error"
    assert said in done.error


def test_what_new_models_refuse_is_left_out_and_told_once():
    def reply(asked):
        if "temperature" in asked:
            return Raw(error("`temperature` is deprecated for this model.", type="invalid_request_error"), 400)
        return Raw(message())

    notes = []
    done, server = ask(reply, request("a"), request("b"), notes=notes)
    assert [one.text for one in done] == [TEXT, TEXT]
    assert ["temperature" in one for one in server.asked] == [True, False, False]
    assert len(notes) == 1
    assert "engine.omit=[temperature]" in notes[0]


def test_a_refused_key_ends_the_run():
    with pytest.raises(EngineError, match=r"refuses m: HTTP 401: invalid x-api-key"):
        ask(lambda request: Raw(error("invalid x-api-key", type="authentication_error"), 401), request())


def test_ten_thousand_broken_replies():
    """No exception, nothing lost, nothing invented: whatever is left reads as A, or as no verdict."""
    replies = [
        message(),
        message(thought("Perhaps <answer>[[B]]</answer>? No."), TEXT),
        message(stop="max_tokens"),
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    ]
    streams = [events(("thinking", "thinking", ["[[B]]?"]), ("text", "text", [TEXT[:20], TEXT[20:]]))]
    engine = open_model("anthropic/m", EngineConfig(base_url="http://127.0.0.1:9")).engine
    draw = random.Random(5)
    found = set()
    for number in range(10_000):
        if number % 5:
            body = mutant(draw, replies)
        else:
            body = bytearray(draw.choice(streams))
            for _ in range(draw.randrange(1, 4)):
                body[draw.randrange(len(body))] = draw.choice(b'\x00\n\x80\xc3\xff"}x')
            body = bytes(body[: draw.randrange(len(body))] if draw.random() < 0.3 else body)
        found.add(check(engine.read("r", body)))
    asyncio.run(engine.aclose())
    assert found >= {"stop", "error", "length"}


def test_a_run_is_judged_and_resumed(tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    rows = ({"id": f"p{number}", "prompt": f"q{number}", "chosen": "good", "rejected": "bad"} for number in range(3))
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    broken = True

    def reply(asked):
        bad = broken and "q1" in asked["messages"][0]["content"]
        return Raw(error("boom"), 400) if bad else Raw(message())

    with answering(reply) as server:
        config = JudgeConfig(model="anthropic/m", engine={"base_url": server.address, "max_retries": 0})
        first = judge_pairs(pairs, config, run=tmp_path / "run").results
        broken = False
        second = judge_pairs(pairs, config, run=tmp_path / "run").results
    assert (first.unanswered, second.unanswered, second.pairs, len(server.asked)) == (2, 0, 3, 8)


# batches


class Provider:
    """Batches that end after a look. ``lose_answer``: the next one is made, but its maker never hears of it."""

    def __init__(self):
        self.batches = {}
        self.lose_answer = False
        self.refuse = ()

    def shown(self, name):
        batch = self.batches[name]
        ended = batch["looks"] > 1
        size = len(batch["requests"])
        counts = dict.fromkeys(("canceled", "errored", "expired", "processing", "succeeded"), 0)
        counts["succeeded" if ended else "processing"] = size
        return {
            "id": name, "type": "message_batch", "processing_status": "ended" if ended else "in_progress",
            "created_at": "2999-01-01T00:00:00Z", "expires_at": "2999-01-02T00:00:00Z", "request_counts": counts,
            "results_url": None, "ended_at": None, "archived_at": None, "cancel_initiated_at": None,
        }  # fmt: skip

    def results(self, name):
        lines = []
        for one in reversed(self.batches[name]["requests"]):
            named = [field for field in self.refuse if field in one["params"]]
            result = {"type": "succeeded", "message": message(f"{one['params']['messages'][0]['content']} {TEXT}")}
            if named:
                words = {"type": "invalid_request_error", "message": f"`{named[0]}` is not supported"}
                result = {"type": "errored", "error": {"type": "error", "error": words}}
            lines.append(json.dumps({"custom_id": one["custom_id"], "result": result}))
        return "\n".join([*lines, "no json", ""]).encode()


@contextmanager
def serving(provider):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            name = f"msgbatch_{len(provider.batches)}"
            provider.batches[name] = {"requests": body["requests"], "looks": 0}
            if provider.lose_answer:
                provider.lose_answer = False
                self.close_connection = True
                return
            self.send(json.dumps(provider.shown(name)).encode())

        def do_GET(self):
            parts = self.path.partition("?")[0].strip("/").split("/")
            if parts[-1] == "results":
                self.send(provider.results(parts[-2]))
            elif parts[-1] == "batches":
                data = [provider.shown(name) for name in reversed(provider.batches)]
                self.send(json.dumps({"data": data, "has_more": False, "first_id": None, "last_id": None}).encode())
            else:
                provider.batches[parts[-1]]["looks"] += 1
                self.send(json.dumps(provider.shown(parts[-1])).encode())

        def send(self, data):
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def written(address, journal, count=4, stop_after=None):
    """What one process gets from batches of two, up to ``stop_after`` answers."""

    async def run():
        engine = open_model("anthropic/m", EngineConfig(base_url=address, max_retries=0)).engine
        asked = [
            GenerationRequest(f"r{number}", (MESSAGES[0], Message("user", f"q{number}")), Sampling(max_tokens=20_000))
            for number in range(count)
        ]
        found = []
        with Journal(journal) as lines:
            batches = engine.batched(BatchLedger(lines), BatchConfig(size=2, poll_s=0.01), lambda sentence: None)
            try:
                async with aclosing(batches.generate(asked)) as generations:
                    async for one in generations:
                        found.append(one)
                        if len(found) == stop_after:
                            break
            finally:
                await engine.aclose()
        return found

    return asyncio.run(run())


def test_batches_are_sent_awaited_and_read(tmp_path):
    provider = Provider()
    with serving(provider) as address:
        found = written(address, tmp_path / "batches.jsonl")
    assert {one.request_id: one.text for one in found} == {f"r{number}": f"q{number} {TEXT}" for number in range(4)}
    assert [len(batch["requests"]) for batch in provider.batches.values()] == [2, 2]
    assert not any("stream" in one["params"] for batch in provider.batches.values() for one in batch["requests"])


def test_a_process_that_stops_leaves_its_batches_to_the_next(tmp_path):
    provider = Provider()
    with serving(provider) as address:
        first = written(address, tmp_path / "batches.jsonl", stop_after=1)
        second = written(address, tmp_path / "batches.jsonl")
    assert len(first) == 1
    assert len(second) == 4
    assert len(provider.batches) == 2, "nothing is paid for twice"


def test_a_batch_whose_making_was_never_answered_is_found_by_its_keys(tmp_path):
    provider = Provider()
    with serving(provider) as address:
        other = tmp_path / "other.jsonl"
        written(address, other, count=2)  # the batch of another run, of the same size
        provider.lose_answer = True
        provider.batches["msgbatch_0"]["requests"] = [
            {**one, "custom_id": f"x{number}"} for number, one in enumerate(provider.batches["msgbatch_0"]["requests"])
        ]
        with pytest.raises(EngineError, match="the batch API fails: APIConnectionError"):
            written(address, tmp_path / "batches.jsonl", count=2)
        found = written(address, tmp_path / "batches.jsonl", count=2)
    assert sorted(one.request_id for one in found) == ["r0", "r1"]
    assert len(provider.batches) == 2


def test_a_field_that_a_batch_is_refused_for_is_left_out_of_the_next_one(tmp_path):
    provider = Provider()
    provider.refuse = ("temperature",)
    with serving(provider) as address:
        found = written(address, tmp_path / "batches.jsonl")
    assert sorted((one.request_id, one.finish_reason) for one in found) == [(f"r{n}", "stop") for n in range(4)]
    assert "temperature" not in list(provider.batches.values())[-1]["requests"][0]["params"]
