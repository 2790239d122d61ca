"""Scalar reward models behind a server: which endpoint is asked, how replies are read, what is refused."""

import asyncio

import pytest

from rmr1.config import EngineConfig
from rmr1.engines import open_model
from rmr1.errors import ConfigError, EngineError
from rmr1.records import GenerationRequest, Message
from tests.support.raw_server import Raw, answering, error

USAGE = {"prompt_tokens": 12, "completion_tokens": 0, "total_tokens": 12}


def classified(score):
    return {
        "object": "list",
        "data": [{"index": 0, "label": "LABEL_0", "probs": [score], "num_classes": 1}],
        "usage": USAGE,
    }


def pooled(data):
    return {"object": "list", "data": [{"index": 0, "object": "pooling", "data": data}], "usage": USAGE}


def requests(count=1, turns=1):
    more = (Message("user", "And?"), Message("assistant", "Two.")) * (turns - 1)
    return [
        GenerationRequest(str(number), (Message("user", f"Question {number}"), Message("assistant", "One."), *more))
        for number in range(count)
    ]


def ask(server, asked, notes=None, **settings):
    """Generations by request."""
    config = EngineConfig(base_url=server.address, **settings)
    engine = open_model("scalar/my-model", config, concurrency=4).engine
    engine.hear((notes if notes is not None else []).append)

    async def collect():
        try:
            return {generation.request_id: generation async for generation in engine.generate(asked)}
        finally:
            await engine.aclose()

    return asyncio.run(collect())


def test_vllm_is_asked_for_the_raw_score_of_the_conversation():
    notes = []
    with answering(lambda request: Raw(classified(-1.5))) as server:
        found = ask(server, requests(3), notes)
    assert [one.text for one in found.values()] == ["-1.5"] * 3
    assert found["0"].usage.prompt_tokens == 12
    assert set(server.paths) == {"/classify"}
    assert server.asked[0] == {
        "model": "my-model",
        "messages": [{"role": "user", "content": "Question 0"}, {"role": "assistant", "content": "One."}],
        "add_generation_prompt": False,
        "use_activation": False,
    }
    assert len(notes) == 1 and notes[0].endswith("scores at /classify")


@pytest.mark.parametrize("data", [[2.5], 2.5, [[0.1], [2.5]]])
def test_an_endpoint_that_is_missing_is_passed_over_once(data):
    paths = []
    with answering(
        lambda request: Raw(error("Not Found"), 404) if len(server.paths) == 1 else Raw(pooled(data))
    ) as server:
        found = ask(server, requests(4))
        paths = server.paths
    assert [one.text for one in found.values()] == ["2.5"] * 4
    assert paths == ["/classify", *["/pooling"] * 4]


def test_a_model_without_a_chat_template_gets_two_texts():
    def reply(request):
        if "messages" in request:
            return Raw(error("the model has no chat template"), 400)
        return Raw({"data": [{"index": 0, "object": "score", "score": 0.25}], "usage": USAGE})

    with answering(reply) as server:
        found = ask(server, requests())
        turns = ask(server, requests(turns=2), score_api="score")
    assert found["0"].text == "0.25"
    assert server.asked[-1]["text_1"] == "Question 0" and server.asked[-1]["text_2"] == "One."
    assert "takes one message and one response, and there are 4 messages" in turns["0"].error


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (classified("high"), "no score"),
        ({"data": [{"probs": [0.1, 0.9]}]}, "2 numbers"),
        ({"data": []}, "no score"),
        ({"data": [{"probs": [1.0]}, {"probs": [2.0]}]}, "no score"),
        ({"data": [{"probs": [True]}]}, "no score"),
        ({}, "no score"),
        ([], "no score"),
        (b"<html>", "no JSON"),
        (b'{"data": [{"probs": [NaN]}]}', "no JSON"),
    ],
)
def test_a_reply_without_exactly_one_number_is_a_failed_request(reply, words):
    with answering(lambda request: Raw(reply)) as server:
        found = ask(server, requests(), score_api="classify")
    assert found["0"].finish_reason == "error" and words in found["0"].error


def test_a_server_that_does_not_score_is_named_with_the_cure():
    with (
        answering(lambda request: Raw(error("Not Found"), 404)) as server,
        pytest.raises(EngineError, match="--runner pooling"),
    ):
        ask(server, requests())
    with (
        answering(lambda request: Raw(error("no key"), 401)) as server,
        pytest.raises(EngineError, match="OPENAI_API_KEY"),
    ):
        ask(server, requests())


def test_a_refusal_is_a_failed_request_with_the_servers_words():
    def reply(request):
        too_long = "Question 1" in str(request)
        return Raw(error("the maximum context length is 512 tokens"), 400) if too_long else Raw(classified(1.0))

    with answering(reply) as server:
        found = ask(server, requests(3))
    assert "maximum context length" in found["1"].error
    assert (found["0"].text, found["2"].text) == ("1.0", "1.0")


def test_scores_that_look_like_probabilities_are_noticed():
    notes = []
    with answering(lambda request: Raw(classified(0.7))) as server:
        ask(server, requests(25), notes)
    assert sum("between 0 and 1" in note for note in notes) == 1
    with answering(lambda request: Raw(classified(0.7 if "Question 3" in str(request) else 1.7))) as server:
        ask(server, requests(25), notes)
    assert sum("between 0 and 1" in note for note in notes) == 1


def test_sglang_gets_the_text_that_the_chat_template_writes(tmp_path):
    pytest.importorskip("transformers", reason="the train extra is not installed")
    from tests.support.tiny_model import write_tiny_reward_model

    folder = write_tiny_reward_model(tmp_path / "model", steps=0)
    reply = [{"embedding": [3.25], "meta_info": {"id": "x", "prompt_tokens": 7}}]
    with answering(lambda request: Raw(reply)) as server:
        config = EngineConfig(base_url=server.address, score_api="sglang")
        engine = open_model(f"scalar/{folder}", config).engine

        async def collect():
            found = [generation async for generation in engine.generate(requests())]
            await engine.aclose()
            return found

        found = asyncio.run(collect())
    assert (found[0].text, found[0].usage.prompt_tokens) == ("3.25", 7)
    assert server.paths == ["/classify"]
    assert server.asked[0]["text"] == [
        "<|im_start|>user\nQuestion 0<|im_end|>\n<|im_start|>assistant\nOne.<|im_end|>\n"
    ]
    with pytest.raises(ConfigError, match="scalar/FOLDER"):
        open_model("scalar/some/name", config)


def test_the_server_and_not_its_password_identify_the_engine():
    config = EngineConfig(base_url="http://me:secret@localhost:1/v1")
    engine = open_model("scalar/my-model", config).engine
    assert "secret" not in str(engine.identity()) and engine.identity()["model"] == "my-model"


def test_the_key_is_shown_neither_in_an_error_nor_in_a_note(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "my-team-code-17")
    with (
        answering(lambda request: Raw(error("Invalid my-team-code-17"), 401)) as server,
        pytest.raises(EngineError, match=r"Invalid \*\*\*") as caught,
    ):
        ask(server, requests())
    assert "my-team-code-17" not in str(caught.value)
    notes, answers = [], [Raw(error("boom at my-team-code-17"), 500), Raw(classified(1.0))]
    with answering(lambda request: answers.pop(0), lambda path: Raw({}, 404)) as server:
        ask(server, requests(), notes, max_retries=1)
    assert any("boom at ***" in note for note in notes)
    assert "my-team-code-17" not in str(notes)


def test_an_address_with_a_query_is_asked_below_its_path(monkeypatch):
    with answering(lambda request: Raw(classified(1.0))) as server:
        engine = open_model("scalar/m", EngineConfig(base_url=f"{server.address}?team=blue")).engine

        async def collect():
            found = [generation async for generation in engine.generate(requests())]
            await engine.aclose()
            return found

        (found,) = asyncio.run(collect())
    assert (found.text, server.paths) == ("1.0", ["/classify?team=blue"])
