"""Servers that speak OpenAI's protocol."""

import asyncio

import pytest

from rmr1.config import EngineConfig
from rmr1.engines import open_model
from rmr1.errors import ConfigError, EngineError
from rmr1.models.providers import PROVIDERS
from rmr1.records import GenerationRequest, Message, Sampling
from rmr1.verdict import parse_verdict, verdict_probability
from tests.support import openai_server
from tests.support.raw_server import TEXT, Raw, answering, completion, error


def request(name, text="hello", **options):
    return GenerationRequest(name, (Message("user", text),), **options)


async def collect(stream):
    return [generation async for generation in stream]


def test_openai_wants_a_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(
        ConfigError, match=r"set OPENAI_API_KEY to your API key of OpenAI .*, or name your own server with --base-url"
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
        settings = EngineConfig(base_url=address, **{"max_retries": 2, **config})
        # In a thread, since the server that is asked for its models works in this loop.
        engine = (await asyncio.to_thread(open_model, "openai/m", settings, concurrency=1)).engine
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


def test_fields_of_the_user_are_sent_and_are_part_of_the_identity():
    more = {
        "extra_body": {"service_tier": "flex", "user_token": "s3cret-value"},
        "chat_template_kwargs": {"enable_thinking": False},
        "reasoning_effort": "low",
    }
    ask(request("r"), **more)
    assert openai_server.requests[0].items() >= (more["extra_body"] | {"reasoning_effort": "low"}).items()
    assert openai_server.requests[0]["chat_template_kwargs"] == {"enable_thinking": False}
    engine = open_model("openai/m", EngineConfig(base_url="http://h/v1", **more)).engine
    plain = open_model("openai/m", EngineConfig(base_url="http://h/v1")).engine
    try:
        hidden = {"extra_body": {"service_tier": "flex", "user_token": "***"}}
        assert engine.identity() == {**plain.identity(), **more, **hidden}
        assert not set(more) & set(plain.identity())
    finally:
        asyncio.run(engine.aclose())
        asyncio.run(plain.aclose())


def test_a_secret_of_the_user_that_the_server_repeats_is_hidden():
    (done,), _ = ask_raw(
        lambda request: Raw(error("bad s3cret-value"), 400),
        request("r"),
        extra_body={"user_token": "s3cret-value"},
    )
    assert done.error == "HTTP 400: bad ***"


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


def test_a_server_that_ends_in_the_middle_is_told_with_what_may_help():
    """vLLM's words as its engine ends; then connections break off. A server that never answered is another matter."""
    replies = {
        "good": Raw(completion()),
        "kills": Raw(error("EngineCore encountered an issue. See stack trace (above) for the root cause."), 500),
        "late": Raw(pieces=[b"{"], headers={"content-length": "100"}),
    }

    def asked(*texts):
        async def run():
            engine = open_model("openai/m", EngineConfig(base_url=server.address, max_retries=0), concurrency=1).engine
            try:
                return await collect(engine.generate([request(text, text) for text in texts]))
            finally:
                await engine.aclose()

        return [done.error for done in asyncio.run(run())]

    with answering(lambda sent: replies[sent["messages"][-1]["content"]]) as server:
        good, kills, late = asked("good", "kills", "late")
        assert good is None
        assert kills.startswith("HTTP 500: EngineCore encountered an issue.")
        assert late.startswith(f"no answer from {server.address}: ")
        for said in (kills, late):
            assert "the server has ended" in said
            assert "--no-enable-chunked-prefill" in said
        assert "the server has ended" not in asked("late")[0]


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


# what refusals teach


def ask_raw(reply, *asked, concurrency=1, notes=None, **config):
    """The generations and the requests that a server of raw answers got."""

    async def run(address):
        settings = EngineConfig(**{"base_url": address, "max_retries": 0, **config})
        engine = open_model("openai/m", settings, concurrency=concurrency).engine
        if notes is not None:
            engine.hear(notes.append)
        try:
            return await collect(engine.generate(asked))
        finally:
            await engine.aclose()

    with answering(reply) as server:
        return asyncio.run(run(server.address)), server.asked


def picky(request):
    """Refuses whatever it can refuse, one at a time."""
    refusals = {
        "max_tokens": "'max_tokens' is not supported, use 'max_completion_tokens'",
        "seed": 'Unknown name "seed"',
        "temperature": "'temperature' does not support 0. Only the default (1) value is supported",
        "top_p": "top_p: Extra inputs are not permitted",
    }
    for field, words in refusals.items():
        if field in request:
            return Raw(error(words), 400)
    if any(message["role"] == "system" for message in request["messages"]):
        return Raw(error("System role not supported"), 500)
    return Raw(completion())


def test_refusals_shape_all_later_requests_and_are_told_once():
    messages = (Message("system", "s"), Message("user", "u"))
    wanted = [GenerationRequest(str(number), messages, Sampling(seed=1)) for number in range(20)]
    notes = []
    done, asked = ask_raw(picky, *wanted, concurrency=4, notes=notes)
    assert {one.text for one in done} == {TEXT}
    assert len(notes) == len(set(notes)) == 5
    assert all(note.startswith("openai/m: the server") for note in notes)
    assert len(asked) <= 20 + 5 * 4
    assert asked[-1] == {
        "model": "m",
        "messages": [{"role": "user", "content": "s\n\nu"}],
        "max_completion_tokens": 2048,
    }


def test_a_refusal_that_teaches_nothing_says_what_may_help():
    (done,), asked = ask_raw(lambda request: Raw(error("prompt is too long: 9000 tokens"), 400), request("r"))
    assert (
        done.error
        == "HTTP 400: prompt is too long: 9000 tokens; lower --max-tokens, or serve the model with a larger context"
    )
    assert len(asked) == 1


def test_a_server_that_refuses_everything_ends_with_a_failure():
    (done,), asked = ask_raw(lambda request: Raw(error("seed, temperature, top_p: unsupported"), 400), request("r"))
    assert done.finish_reason == "error"
    assert len(asked) < 6


def test_a_server_whose_words_lead_back_is_not_asked_for_ever():
    asked = []

    def reply(request):
        asked.append(request)  # it gives in after a while, so that a circle ends this test
        words = "neither max_tokens nor max_completion_tokens is supported"
        return Raw(error(words), 400) if len(asked) < 30 else Raw(completion())

    (done, again), _ = ask_raw(reply, request("r"), request("s"))
    assert (done.finish_reason, again.finish_reason, len(asked)) == ("error", "error", 3)


def test_used_up_money_ends_the_run_at_once():
    quota = Raw(error("You exceeded your current quota", code="insufficient_quota"), 429)
    with pytest.raises(EngineError, match=r"refuses m: HTTP 429: You exceeded .* used up$"):
        ask_raw(lambda request: quota, request("r"), max_retries=5)


def test_an_odd_refusal_after_good_answers_is_a_failure_of_its_request():
    def reply(asked):
        return Raw(completion()) if asked["messages"][0]["content"] != "odd" else Raw(b"<html>", 404)

    (good, odd, last), _ = ask_raw(reply, request("a"), request("b", "odd"), request("c"))
    assert (good.finish_reason, odd.finish_reason, last.finish_reason) == ("stop", "error", "stop")
    assert odd.error == "HTTP 404: <html>; is /v1 missing at the end of the base URL?"


def test_credentials_are_used_and_never_said(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "hunter22-hunter22")
    (done,), _ = ask_raw(lambda request: Raw(error("wrong key hunter22-hunter22, s3cret-value"), 400), request("r"))
    assert "hunter22" not in done.error
    engine = open_model("openai/m", EngineConfig(base_url="https://me:pa55@host/v1?key=s3cret-value")).engine
    try:
        shown = str(engine.identity())
        assert "https://***@host/v1?key=***" in shown
        assert "s3cret" not in shown + engine.called
        with pytest.raises(EngineError) as refused:
            engine.refusal({}, 401, "the key s3cret-value is bad")
        assert "s3cret" not in str(refused.value)
    finally:
        asyncio.run(engine.aclose())


# providers


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_missing_key_is_named(name, monkeypatch):
    provider = PROVIDERS[name]
    monkeypatch.delenv(provider.key, raising=False)
    with pytest.raises(ConfigError, match=f"set {provider.key} to your API key of {provider.title} .*--base-url"):
        open_model(f"{name}/some/model")
    monkeypatch.setenv(provider.key, "")
    with pytest.raises(ConfigError, match=f"set {provider.key} "):
        open_model(f"{name}/some/model")


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_is_asked_at_its_address_with_its_key(name, monkeypatch):
    provider = PROVIDERS[name]
    monkeypatch.setenv(provider.key, "key-of-the-provider")
    engine = open_model(f"{name}/some/model").engine
    try:
        assert (engine.name, engine.model, engine.called) == (f"{name}/some/model", "some/model", provider.title)
        assert str(engine.client.base_url).rstrip("/") == (provider.base_url or "https://api.openai.com/v1")
        assert engine.client.api_key == "key-of-the-provider"
    finally:
        asyncio.run(engine.aclose())

    async def ask_it(address):
        engine = open_model(f"{name}/m", EngineConfig(base_url=address)).engine
        try:
            return await collect(engine.generate([request("r", sampling=Sampling(seed=4), logprobs=True)]))
        finally:
            await engine.aclose()

    with answering(lambda request: Raw(completion())) as server:
        (done,) = asyncio.run(ask_it(server.address))
    assert done.text == TEXT
    assert {name.lower(): value for name, value in server.headers[0].items()}[
        "authorization"
    ] == "Bearer key-of-the-provider"
    assert server.asked[0][provider.seed] == 4
    assert server.asked[0]["logprobs"] == (20 if provider.counts_logprobs else True)


def test_batches_only_of_providers_that_have_them(monkeypatch):
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    engine = open_model("mistral/m").engine
    with pytest.raises(ConfigError, match="--batch: Mistral has no batch API of OpenAI's kind; leave --batch out"):
        engine.batched(None, None, print)
    asyncio.run(engine.aclose())


def test_what_an_earlier_process_has_learnt_is_not_asked_again():
    notes = []
    _, asked = ask_raw(picky, request("r", sampling=Sampling(seed=1)), notes=notes)
    assert len(asked) == 5

    async def resumed(address):
        first, second = (open_model("openai/m", EngineConfig(base_url=address)).engine for _ in range(2))
        await collect(first.generate([request("r", sampling=Sampling(seed=1))]))
        second.remember(first.learnt())
        before = len(server.asked)
        await collect(second.generate([request("s", sampling=Sampling(seed=2))]))
        await first.aclose()
        await second.aclose()
        return len(server.asked) - before

    with answering(picky) as server:
        assert asyncio.run(resumed(server.address)) == 1


def test_log_probabilities_as_three_lists():
    pieces = [*TEXT.partition("[[A")]
    pieces[1:2] = ["[[", "A"]
    tops = [{}, None, {"A": -0.1, "B": -2.4}, {"]": -0.1}]
    lists = {"tokens": pieces, "token_logprobs": [-0.1] * 4, "top_logprobs": tops}
    whole = completion()
    whole["choices"][0]["logprobs"] = lists
    (done,), _ = ask_raw(lambda request: Raw(whole), request("r", logprobs=True))
    assert verdict_probability(done, parse_verdict(done)) == pytest.approx(1 / (1 + 2.718281828**-2.3))
    lists["token_logprobs"] = [-0.1]
    (done,), _ = ask_raw(lambda request: Raw(whole), request("r", logprobs=True))
    assert done.tokens is None


def identity_of(model, **config):
    engine = open_model(model, EngineConfig(**config)).engine
    asyncio.run(engine.aclose())
    return engine.identity()


def test_what_decides_answers_is_part_of_the_identity(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test1234")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    own = "http://127.0.0.1:9/v1"
    ways = [identity_of("openai/m", base_url=own, server_grammar=way) for way in (None, "vllm", "llamacpp")]
    assert len({way.get("server_grammar") for way in ways}) == 3
    usual = identity_of("openai/m")
    assert usual["base_url"] is None
    monkeypatch.setenv("OPENAI_BASE_URL", own)
    assert identity_of("openai/m") == ways[0] != usual
    deployments = [identity_of("openai/m", base_url=f"{own}?deployment={name}") for name in "ab"]
    assert deployments[0] != deployments[1]
    assert "deployment=a" not in str(deployments[0])


def test_an_address_in_the_environment_needs_no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with answering(lambda request: Raw(completion())) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.address)
        engine = open_model("openai/m").engine

        async def write():
            try:
                return await collect(engine.generate([request("r")]))
            finally:
                await engine.aclose()

        (done,) = asyncio.run(write())
    assert done.text == TEXT
    assert "max_tokens" in server.asked[0], "servers of one's own have the old name"
