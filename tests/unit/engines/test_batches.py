"""OpenAI's batch API: nothing is sent twice, whatever is interrupted; failures are faults."""

import asyncio
from contextlib import suppress

import pytest

pytest.importorskip("openai", reason="the openai extra is not installed")

from rmr1.config import BatchConfig, EngineConfig
from rmr1.engines import BatchLedger, batched, open_model
from rmr1.errors import ConfigError, EngineError, JournalError
from rmr1.records import GenerationRequest, Message, Sampling
from rmr1.runs import Journal
from tests.support.batch_server import Provider, serving
from tests.support.engines import FunctionEngine


def requests(count):
    return [
        GenerationRequest(f"r{number}", (Message("user", f"question {number}"),), Sampling(seed=number))
        for number in range(count)
    ]


def echo(body):
    return f"answer to {body['messages'][-1]['content']}"


def ask(address, journal, wanted, *, size=3, stop_after=None, **settings):
    """Ask in a process of its own, so to speak; leave after some answers where told."""

    async def work():
        engine = open_model("openai/m", EngineConfig(base_url=address, max_retries=0, **settings)).engine
        with Journal(journal) as kept:
            batch = batched(engine, BatchLedger(kept), BatchConfig(size=size, poll_s=0.01), lambda message: None)
            answers = []
            generations = batch.generate(iter(wanted))
            try:
                async for generation in generations:
                    answers.append(generation)
                    if stop_after is not None and len(answers) >= stop_after:
                        break
            finally:
                await generations.aclose()
                await batch.aclose()
        return {one.request_id: one for one in answers}

    return asyncio.run(work())


@pytest.fixture
def provider():
    return Provider(echo)


def test_batches_are_sent_awaited_and_read(provider, tmp_path):
    with serving(provider) as address:
        answers = ask(address, tmp_path / "b.jsonl", requests(8))
    assert {name: one.text for name, one in answers.items()} == {
        f"r{number}": f"answer to question {number}" for number in range(8)
    }
    assert len(provider.batches) == 3
    assert answers["r0"].usage.completion_tokens == 20
    assert provider.asked[1]["seed"] == 1
    assert provider.asked[1]["model"] == "m"


def test_a_grammar_travels_in_the_body(provider, tmp_path):
    wanted = [GenerationRequest("g", (Message("user", "q"),), grammar="root ::= x")]
    with serving(provider) as address:
        ask(address, tmp_path / "b.jsonl", wanted, server_grammar="llamacpp")
    assert provider.asked[0]["grammar"] == "root ::= x"
    assert "extra_body" not in provider.asked[0]


def test_line_separators_inside_an_answer(tmp_path):
    provider = Provider(lambda body: "one\u2028two\x85three")
    with serving(provider) as address:
        assert ask(address, tmp_path / "b.jsonl", requests(1))["r0"].text == "one\u2028two\x85three"


def test_a_process_that_stops_while_batches_are_under_way_leaves_them_to_the_next(provider, tmp_path):
    provider.looks = 10**9

    with serving(provider) as address:
        asyncio.run(_cancelled(address, tmp_path / "b.jsonl", requests(7), lambda: len(provider.batches) == 3))
        assert len(provider.batches) == 3
        provider.looks = 0
        answers = ask(address, tmp_path / "b.jsonl", requests(9))
    assert len(answers) == 9
    assert len(provider.asked) == 9
    assert [len(batch["lines"]) for batch in provider.batches.values()] == [3, 3, 1, 2]


async def _cancelled(address, journal, wanted, reached):
    engine = open_model("openai/m", EngineConfig(base_url=address)).engine
    with Journal(journal) as kept:
        batch = batched(engine, BatchLedger(kept), BatchConfig(size=3, poll_s=0.01), lambda message: None)
        waiting = asyncio.create_task(anext(batch.generate(iter(wanted))))
        async with asyncio.timeout(600):
            while not reached():  # noqa: ASYNC110 - it is a thread that gets there
                await asyncio.sleep(0.01)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting


def test_a_process_that_stops_among_the_answers_gets_the_others_later(provider, tmp_path):
    with serving(provider) as address:
        first = ask(address, tmp_path / "b.jsonl", requests(6), size=6, stop_after=2)
        rest = [request for request in requests(6) if request.id not in first]
        second = ask(address, tmp_path / "b.jsonl", rest, size=6)
    assert set(first) | set(second) == {f"r{number}" for number in range(6)}
    assert (len(provider.batches), len(provider.asked)) == (1, 6)


def test_a_batch_whose_making_was_never_answered_is_found(provider, tmp_path):
    provider.lose_answer = True
    with serving(provider) as address:
        with pytest.raises(EngineError, match="Run the same command again"):
            ask(address, tmp_path / "b.jsonl", requests(3))
        assert len(ask(address, tmp_path / "b.jsonl", requests(3))) == 3
    assert len(provider.batches) == 1


def test_a_batch_that_was_never_made_is_sent(provider, tmp_path):
    with serving(provider) as address:
        ask(address, tmp_path / "a.jsonl", requests(2))
        with Journal(tmp_path / "a.jsonl") as kept, Journal(tmp_path / "b.jsonl") as lost:
            prepared = next(iter(kept))
            lost.append({**prepared, "batch": f"x{prepared['batch']}"})
        assert len(ask(address, tmp_path / "b.jsonl", requests(2))) == 2
    assert len(provider.asked) == 4


def test_failed_lines_are_faults_and_are_sent_anew(tmp_path):
    broken = True
    provider = Provider(lambda body: 500 if broken and "question 1" in body["messages"][0]["content"] else echo(body))
    with serving(provider) as address:
        answers = ask(address, tmp_path / "b.jsonl", requests(3))
        assert [answers[f"r{number}"].finish_reason for number in range(3)] == ["stop", "error", "stop"]
        assert "asked for 500" in answers["r1"].error
        broken = False
        assert ask(address, tmp_path / "b.jsonl", requests(3)[1:2])["r1"].finish_reason == "stop"
    assert len(provider.asked) == 4


def test_an_expired_batch_gives_what_it_has(provider, tmp_path):
    provider.ends_as = "expired"
    with serving(provider) as address:
        answers = ask(address, tmp_path / "b.jsonl", requests(4), size=4)
    finished = [one.finish_reason for one in answers.values()]
    assert (finished.count("stop"), finished.count("error")) == (2, 2)
    assert "expired" in next(one.error for one in answers.values() if one.error)


def test_a_refused_batch_says_why_and_is_not_waited_for_again(provider, tmp_path):
    provider.ends_as = "failed"
    with serving(provider) as address:
        with pytest.raises(EngineError, match="no such model"):
            ask(address, tmp_path / "b.jsonl", requests(2))
        provider.ends_as = "completed"
        assert len(ask(address, tmp_path / "b.jsonl", requests(2))) == 2


def test_other_engines_have_no_batches(tmp_path):
    with Journal(tmp_path / "b.jsonl") as kept, pytest.raises(ConfigError, match="no batch API"):
        batched(FunctionEngine(echo), BatchLedger(kept), BatchConfig(), print)


def test_a_journal_of_something_else_is_refused(tmp_path):
    with Journal(tmp_path / "b.jsonl") as kept:
        kept.append({"x": 1})
    with Journal(tmp_path / "b.jsonl") as kept, pytest.raises(JournalError, match="does not describe a batch"):
        BatchLedger(kept)


def test_a_field_that_a_batch_is_refused_for_is_left_out_of_the_next_one(tmp_path):
    provider = Provider(lambda body: 400 if "seed" in body else echo(body))
    provider.words = 'Unknown name "seed"'
    with serving(provider) as address:
        answers = ask(address, tmp_path / "b.jsonl", requests(4), size=2)
    assert {one.finish_reason for one in answers.values()} == {"stop"}
    assert sorted("seed" in body for body in provider.asked).count(False) == 4
