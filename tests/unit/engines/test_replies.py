"""Replies: the loop that engines share, and the check that all of them pass."""

import asyncio

import pytest

from rmr1.engines import checked_replies, dispatch
from rmr1.errors import EngineError
from rmr1.records import Generation, GenerationRequest, Message
from tests.support.engines import FunctionEngine

REQUESTS = [GenerationRequest(name, (Message("user", "x"),)) for name in ("one", "two", "three")]


def request(name, text="hello", **options):
    return GenerationRequest(name, (Message("user", text),), **options)


async def collect(stream):
    return [generation async for generation in stream]


# dispatch


def test_results_come_as_they_finish():
    async def in_turn():
        others = asyncio.Event()

        async def call(asked):
            if asked.id == "slow":
                await others.wait()
            elif asked.id == "b":
                others.set()
            return Generation(asked.id, "")

        return await collect(dispatch([request("slow"), request("a"), request("b")], call, 2))

    done = asyncio.run(in_turn())
    assert [generation.request_id for generation in done] == ["a", "b", "slow"]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_no_more_at_a_time_than_allowed_and_no_request_drawn_early(concurrency):
    running = peak = drawn = 0

    async def call(asked):
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0)
        running -= 1
        return Generation(asked.id, "")

    def source():
        nonlocal drawn
        for number in range(50):
            drawn += 1
            yield request(str(number))

    async def take_two():
        stream = dispatch(source(), call, concurrency)
        await anext(stream)
        await anext(stream)
        for _ in range(500):  # turns enough to draw all requests, if it did
            await asyncio.sleep(0)
        await stream.aclose()

    asyncio.run(take_two())
    assert peak == concurrency
    assert drawn <= 2 + 2 * concurrency + concurrency


def test_an_exception_ends_everything_and_cancels_the_rest():
    cancelled = []

    async def call(asked):
        if asked.id == "bad":
            raise EngineError("gone")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(asked.id)
            raise
        return Generation(asked.id, "")

    with pytest.raises(EngineError, match="gone"):
        asyncio.run(collect(dispatch([request("slow"), request("bad")], call, 2)))
    assert cancelled == ["slow"]


# replay


def replies(engine):
    async def collect():
        return [generation async for generation in checked_replies(engine, REQUESTS)]

    return asyncio.run(collect())


def test_good_replies_pass_in_any_order():
    found = replies(FunctionEngine(lambda request: request.id.upper(), batch=3))
    assert [generation.text for generation in found] == ["THREE", "TWO", "ONE"]


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Generation("other", "x"), "not under way"),
        (Generation("one", "x"), "not under way"),  # the second time
        (Generation("one", b"x"), "bytes instead of a text"),
        (Generation("one", "x", "eos"), '"eos", which is none of stop, length, error'),
    ],
)
def test_what_was_not_asked_and_what_is_no_reply_is_a_fault_of_the_engine(reply, problem):
    with pytest.raises(EngineError, match=problem):
        replies(FunctionEngine(lambda request: reply))


def test_requests_without_an_answer_are_reported():
    class Lazy(FunctionEngine):
        async def generate(self, requests):
            for request in requests:
                if request.id != "two":
                    yield Generation(request.id, "x")

    with pytest.raises(EngineError, match="1 requests unanswered, such as two"):
        replies(Lazy(str))


def test_anything_but_a_generation_is_refused():
    class Odd(FunctionEngine):
        async def generate(self, requests):
            for request in requests:
                yield {"text": request.id}

    with pytest.raises(EngineError, match="dict instead of Generation"):
        replies(Odd(str))
