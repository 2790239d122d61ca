import asyncio

import pytest

from rmr1.engines import checked_replies
from rmr1.errors import EngineError
from rmr1.records import Generation, GenerationRequest, Message
from tests.support.engines import FunctionEngine

REQUESTS = [GenerationRequest(name, (Message("user", "x"),)) for name in ("one", "two", "three")]


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
