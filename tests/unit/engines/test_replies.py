"""Replies: the loop that engines share, and the check that all of them pass."""

import asyncio
from dataclasses import replace

import pytest

from rmr1.engines import ThinkHabit, checked_replies, dispatch
from rmr1.engines.replies import MOST_HELD
from rmr1.errors import EngineError
from rmr1.records import Generation, GenerationRequest, Message, TokenLogprob, Usage
from rmr1.verdict import parse_verdict
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
    "reply",
    [
        Generation("other", "x"),
        Generation("one", "x"),  # the second time
        Generation(["one"], "x"),
        "one",
    ],
)
def test_an_answer_to_nothing_that_was_asked_is_a_fault_of_the_engine(reply):
    class Odd(FunctionEngine):
        def _answers(self, waiting):
            waiting.clear()
            yield reply

    with pytest.raises(EngineError, match=r"not under way|instead of Generation"):
        replies(Odd(lambda request: ""))


GOOD = Generation("one", "x", usage=Usage(1, 1), tokens=(TokenLogprob("x", -0.1, (("y", -2.0),)),))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"text": b"x"}, "bytes instead of a text"),
        ({"finish_reason": "eos"}, '"eos", which is none of stop, length, refused, error'),
        ({"usage": {"prompt_tokens": 1}}, "dict instead of Usage"),
        ({"usage": Usage(None, 1)}, "prompt_tokens as None"),
        ({"usage": Usage(1, 1.5)}, "completion_tokens as 1.5"),
        ({"usage": Usage(True, 1)}, "prompt_tokens as True"),
        ({"usage": Usage(1, -1)}, "completion_tokens as -1"),
        ({"think_open": None}, "think_open to None"),
        ({"error": 500, "finish_reason": "error"}, "int instead of words"),
        ({"finish_detail": ["eos"]}, "list instead of words"),
        ({"tokens": [TokenLogprob("x", -0.1)]}, "no tuple of TokenLogprob"),
        ({"tokens": (TokenLogprob("x", float("nan")),)}, "no tuple of TokenLogprob"),
        ({"tokens": (TokenLogprob("x", -0.1, ((None, -0.1),)),)}, "no tuple of TokenLogprob"),
        ({"tokens": (TokenLogprob("x", -0.1, None),)}, "no tuple of TokenLogprob"),
    ],
)
def test_a_generation_that_could_not_be_kept_is_a_failed_request_and_the_run_goes_on(changes, problem):
    def reply(request):
        return replace(GOOD, **changes) if request.id == "one" else request.id

    odd, *others = replies(FunctionEngine(reply))
    assert (odd.request_id, odd.finish_reason, odd.text) == ("one", "error", "")
    assert problem in odd.error
    assert [one.text for one in others] == ["two", "three"]


def test_a_failure_says_something_on_one_line_without_secrets():
    failed = Generation("one", "half", "error", error="bad key sk-abcdefgh12345678\x1b[31m\nsee log" + "x" * 900)
    told, silent, _ = replies(
        FunctionEngine(
            lambda request: replace(failed, request_id=request.id, error=None if request.id == "two" else failed.error)
        )
    )
    assert silent.error == "test/function failed and does not say why"
    assert (told.text, len(told.error)) == ("", 500)
    assert told.error.startswith("bad key *** [31m see log")


# think blocks


def settled(*answers, embedded=False):
    """What becomes of answers (text and finish_reason) of a server, by request: whether they start inside a thought."""
    asked = [GenerationRequest(str(number), (Message("user", "x"),)) for number in range(len(answers))]
    engine = FunctionEngine(lambda request: Generation(request.id, *answers[int(request.id)]))
    engine.embedded = embedded

    async def collect():
        return {one.request_id: one async for one in checked_replies(engine, asked, ThinkHabit())}

    found = asyncio.run(collect())
    assert len(found) == len(answers)
    return [found[one.id].think_open for one in asked]


CUT = ("First I lean to <answer>[[B]]</answer>, hmm", "length")
CLOSES = ("I weigh both.</think><answer>[[A]]</answer>", "stop")
PLAIN = ("<eval>A.</eval><answer>[[A]]</answer>", "stop")


def test_a_cut_text_starts_inside_a_thought_if_others_close_one_that_they_did_not_open():
    assert settled(CUT, CLOSES) == [True, False]
    assert settled(CLOSES, CUT) == [False, True]
    assert settled(CUT, CUT, CLOSES, CUT) == [True, True, False, True]
    assert settled(PLAIN, CLOSES, CUT) == [False, False, True]


def test_no_text_starts_inside_a_thought_where_others_end_without_one():
    assert settled(CUT, PLAIN, CUT) == [False, False, False]
    assert settled(("<think>a</think><answer>[[A]]</answer>", "stop"), CUT) == [False, False]


def test_cut_texts_alone_start_inside_a_thought_if_they_go_on_after_a_verdict():
    assert settled(CUT, CUT) == [True, True]
    assert settled(("<eval>A.</eval><answer>[[A]]</answer>\nNote", "length"), ("<eval>A", "length")) == [False, False]


def test_an_engine_that_knows_its_template_is_believed():
    assert settled(CLOSES, CUT, embedded=True) == [False, False]


def test_cut_texts_wait_for_a_bounded_time():
    answers = [CUT] * (MOST_HELD + 1)
    assert settled(*answers, CLOSES)[0] is True  # they went on before anything was known
    assert parse_verdict(Generation("r", *CUT, think_open=True)).invalid == "truncated"


def test_what_waited_is_not_lost_when_the_engine_is_gone():
    class Gone(FunctionEngine):
        async def generate(self, requests):
            yield Generation(next(requests).id, *CUT)
            raise EngineError("gone")

    engine = Gone(lambda request: "")
    engine.embedded = False
    kept = []

    async def collect():
        async for generation in checked_replies(engine, REQUESTS, ThinkHabit()):
            kept.append(generation)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(EngineError, match="gone"):
        asyncio.run(collect())
    assert [one.request_id for one in kept] == ["one"]


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
