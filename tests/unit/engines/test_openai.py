"""Servers that speak OpenAI's protocol."""

import asyncio

import pytest

from rmr1.config import EngineConfig
from rmr1.engines import open_model
from rmr1.errors import ConfigError, EngineError
from rmr1.records import GenerationRequest, Message, Sampling
from rmr1.verdict import parse_verdict, verdict_probability
from tests.support import openai_server


def request(name, text="hello", **options):
    return GenerationRequest(name, (Message("user", text),), **options)


async def collect(stream):
    return [generation async for generation in stream]


def test_openai_wants_a_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(
        ConfigError, match="set OPENAI_API_KEY to your API key, or name your own server with --base-url"
    ):
        open_model("openai/some-model")


# openai


def ask(*asked, **config):
    openai_server.keep_requests = True
    openai_server.requests.clear()

    async def run():
        connections = []

        async def serve(reader, writer):
            connections.append(asyncio.current_task())
            await openai_server.serve_connection(reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        engine = open_model(
            "openai/m", EngineConfig(base_url=address, **{"max_retries": 2, **config}), concurrency=1
        ).engine
        try:
            return await collect(engine.generate(asked))
        finally:
            await engine.aclose()
            server.close()
            await asyncio.wait_for(asyncio.gather(*connections), 60)  # each sees the end and closes

    return asyncio.run(run())


def test_openai_sends_what_was_asked():
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=7, seed=3)
    (done,) = ask(request("r", sampling=sampling))
    assert done.request_id == "r"
    assert done.text == openai_server.ANSWER
    assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.cached_tokens) == (100, 20, 60)
    assert openai_server.requests == [
        {
            "messages": [{"role": "user", "content": "hello"}],
            "model": "m",
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 7,
            "seed": 3,
        }
    ]


@pytest.mark.parametrize(
    ("server", "sent"), [("llamacpp", {"grammar": "g"}), ("vllm", {"structured_outputs": {"grammar": "g"}})]
)
def test_grammar_is_sent_as_the_server_takes_it(server, sent):
    ask(request("r", grammar="g"), server_grammar=server)
    assert sent.items() <= openai_server.requests[0].items()


def test_log_probabilities_of_the_verdict():
    (done,) = ask(request("r", logprobs=True))
    assert verdict_probability(done, parse_verdict(done)) == pytest.approx(0.5)


def test_reasoning_that_the_server_cut_out_is_put_back_and_has_no_say():
    (done,) = ask(request("r", "!think"), think="open")
    assert done.text.startswith("<think>\nLet me see")
    assert parse_verdict(done).side == "A"


def test_length_and_think_mode_are_passed_on():
    (done,) = ask(request("r", "!cut"), think="open")
    assert (done.finish_reason, done.think_open) == ("length", True)


def test_a_passing_fault_is_retried_by_the_client():
    (done,) = ask(request("r", "!500"))
    assert (done.finish_reason, len(openai_server.requests)) == ("stop", 2)


def test_a_lasting_fault_is_a_generation_and_not_an_exception():
    bad, good = ask(request("bad", "!always 500"), request("good"), max_retries=1)
    assert (bad.finish_reason, bad.text) == ("error", "")
    assert "asked for 500" in bad.error
    assert good.finish_reason == "stop"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_that_no_request_can_pass_ends_the_run(status):
    with pytest.raises(EngineError, match=f"refuses m: .*{status}"):
        ask(request("r", f"!always {status}"))


def test_a_server_that_is_not_there_is_a_fault():
    async def run():
        engine = open_model("openai/m", EngineConfig(base_url="http://127.0.0.1:9/v1", max_retries=0)).engine
        try:
            return await collect(engine.generate([request("r")]))
        finally:
            await engine.aclose()

    (done,) = asyncio.run(run())
    assert done.finish_reason == "error"
    assert done.error.startswith("no answer from http://127.0.0.1:9/v1: the connection is refused")
