"""The judge as an object, for callers of every kind."""

import asyncio
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from rmr1 import Judge
from rmr1.errors import DataError, InputError
from rmr1.judging import judge_pairs
from rmr1.records import Generation, Message
from tests.support.engines import FunctionEngine, answer, pairs, prefers


class ThreadEngine(FunctionEngine):
    """Remembers in which threads it was asked."""

    def __init__(self, in_caller, **settings):
        self.computes_in_caller = in_caller
        self.threads = set()
        super().__init__(self._reply, **settings)

    def _reply(self, request):
        self.threads.add(threading.current_thread())
        return prefers("good")(request)


@pytest.mark.parametrize("in_caller", [True, False])
def test_judge_object(in_caller):
    engine = ThreadEngine(in_caller)
    with Judge(engine) as judge:
        judgment = judge.compare("Which?", "bad", "good", label="B")
        assert (judgment.winner, judgment.correct, judgment.confidence) == ("B", True, 1.0)
        assert {judgment.id for judgment in judge.compare_many(pairs(4))} == {"p0", "p1", "p2", "p3"}
    assert engine.closed
    assert (engine.threads == {threading.current_thread()}) == in_caller


def test_a_pair_that_the_engine_fails_on_is_a_value_that_says_so():
    engine = FunctionEngine(
        lambda request: Generation(request.id, "", "error", error="HTTP 500") if "/ba/" in request.id else answer("A")
    )
    with Judge(engine) as judge:
        one, *many = judge.compare("Which?", "good", "bad", label="A"), *judge.compare_many(pairs(3))
    assert {(judgment.outcome, judgment.winner, judgment.correct, judgment.error) for judgment in (one, *many)} == {
        ("unjudged", None, None, "HTTP 500")
    }


@pytest.mark.parametrize("in_caller", [True, False])
def test_judge_object_inside_a_running_loop(in_caller):
    async def notebook_cell():
        with Judge(ThreadEngine(in_caller)) as judge:
            return judge.compare("Which?", "good", "bad").winner, (await judge.acompare("Which?", "bad", "good")).winner

    assert asyncio.run(notebook_cell()) == ("A", "B")


@pytest.mark.parametrize("in_caller", [True, False])
def test_several_threads_share_a_judge(in_caller):
    with Judge(ThreadEngine(in_caller)) as judge, ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(judge.compare, "Which?", *texts) for texts in [("good", "bad"), ("bad", "good")] * 10]
        assert [judgment.result().winner for judgment in asked] == ["A", "B"] * 10


def test_threads_that_ask_first_at_the_same_time_share_one_loop():
    all_ask = threading.Event()

    class SlowToSay(ThreadEngine):
        decisions = 0

        @property
        def computes_in_caller(self):
            self.decisions += 1
            if threading.current_thread() is not threading.main_thread():  # which only makes the judge
                all_ask.wait(60)
            return True

        @computes_in_caller.setter
        def computes_in_caller(self, value):
            pass

    engine, asking = SlowToSay(in_caller=True), threading.Barrier(4, all_ask.set, timeout=60)

    def compare(_):
        asking.wait()
        return judge.compare("Which?", "good", "bad")

    with Judge(engine) as judge, ThreadPoolExecutor(4) as threads:
        engine.decisions = 0
        list(threads.map(compare, range(4)))
    assert engine.decisions == 1


@pytest.mark.parametrize("in_caller", [True, False])
def test_leaving_a_batch_early_closes_it(in_caller):
    with Judge(ThreadEngine(in_caller)) as judge:
        for _ in judge.compare_many(pairs(100)):
            break
        assert len(judge.engine.asked) < 10


def test_an_interruption_reaches_the_caller_and_the_judge_goes_on():
    def reply(request):
        if not engine.asked[1:]:
            raise KeyboardInterrupt
        return answer("A")

    engine = FunctionEngine(reply)
    engine.computes_in_caller = True
    with Judge(engine) as judge:
        with pytest.raises(KeyboardInterrupt):
            judge.compare("Which?", "good", "bad")
        assert judge.compare("Which?", "good", "bad").votes


def test_environment_does_not_reach_the_python_api(monkeypatch):
    monkeypatch.setitem(os.environ, "RMR1_VOTES", "7")
    with Judge(FunctionEngine(prefers("good"))) as judge:
        assert judge.config.votes == 1


class LoopEngine(FunctionEngine):
    """As an engine with connections: it works in the loop alone in which it was used first."""

    loop = None

    async def generate(self, requests):
        loop = asyncio.get_running_loop()
        assert self.loop in (None, loop), "another event loop"
        self.loop = loop
        async for generation in super().generate(requests):
            yield generation


def test_one_judge_works_in_several_event_loops_and_beside_them():
    judge = Judge(LoopEngine(prefers("good")))

    async def many():
        return sorted([judgment.id async for judgment in judge.acompare_many(pairs(3))])

    async def leaves_early():
        async for judgment in judge.acompare_many(pairs(3)):
            return judgment.winner

    for _ in range(2):
        assert asyncio.run(judge.acompare("Which?", "bad", "good")).winner == "B"
        assert judge.compare("Which?", "good", "bad").winner == "A"
        assert asyncio.run(many()) == ["p0", "p1", "p2"]
        assert asyncio.run(leaves_early()) == "A"
    judge.close()
    judge.close()
    with pytest.raises(InputError, match="this Judge is closed"):
        judge.compare("Which?", "good", "bad")
    with pytest.raises(InputError, match="this Judge is closed"):
        asyncio.run(judge.acompare("Which?", "good", "bad"))


@pytest.mark.parametrize(
    "prompt",
    [
        "Which?",
        {"role": "user", "content": "Which?"},
        [{"role": "user", "content": "Which?"}],
        [{"role": "system", "content": "Be kind."}, Message("user", "Which?")],
        Message("user", "Which?"),
        (Message("user", "Which?"),),
        [{"role": "user", "content": [{"type": "text", "text": "Which?"}]}],
    ],
)
def test_messages_are_given_as_what_callers_have(prompt):
    engine = FunctionEngine(prefers("good"))
    with Judge(engine) as judge:
        assert len(judge.compare(prompt, [{"role": "assistant", "content": "bad"}], "good").votes) == 2
    assert "Which?" in engine.asked[0].messages[-1].content


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((None, "a", "b"), "prompt: expected a text, or messages such as .*; got NoneType"),
        (("p", 7, "b"), "a: expected a text, or messages such as .*; got int"),
        (("p", "a", b"b"), "b: expected a text, or messages such as .*; got bytes"),
        (("p", "a", []), "b: expected a text, or messages such as .*; got an empty list"),
        (([{"content": "x"}], "a", "b"), "prompt, message 1: expected"),
        ((["x"], "a", "b"), "prompt, message 1: expected .*; got str"),
        (([{"role": "king", "content": "x"}], "a", "b"), 'prompt, message 1 has the unknown role "king"'),
        (([{"role": "user", "content": None}], "a", "b"), "prompt, message 1 has no text"),
        (([Message("user", None)], "a", "b"), "prompt, message 1: expected"),
    ],
)
def test_what_is_no_message_is_named(arguments, told):
    with Judge(FunctionEngine(prefers("good"))) as judge, pytest.raises(DataError, match=told):
        judge.compare(*arguments)


def test_what_is_no_label_and_no_pair_is_named():
    with Judge(FunctionEngine(prefers("good"))) as judge:
        with pytest.raises(DataError, match=r'label: expected "A", "B", "tie" or None; got .chosen.'):
            judge.compare("p", "a", "b", label="chosen")
        with pytest.raises(DataError, match=r"pairs\[1\]: expected a PreferencePair; got dict"):
            list(judge.compare_many([*pairs(1), {"prompt": "x"}]))
        for wrong in ("pairs.jsonl", None, 7, {"prompt": "x"}):
            with pytest.raises(DataError, match="pairs: expected PreferencePairs"):
                list(judge.compare_many(wrong))
    with pytest.raises(DataError, match="pairs: expected a path, hf:OWNER/NAME or what load_pairs gave; got list"):
        judge_pairs(pairs(2), engine=FunctionEngine(prefers("good")))


SHOWS_BOTH = """@@ user single-turn
{{question}} {{response_a}} {{response_b}} (right: {{reference}}; by: {{rubric}})
@@ user multi-turn
{{conversation_a}} {{conversation_b}} ({{reference}}; {{rubric}})
"""


def test_a_template_is_shown_the_reference_and_the_rubric_that_a_call_gives(tmp_path):
    (tmp_path / "both.txt").write_text(SHOWS_BOTH)
    engine = FunctionEngine(lambda request: answer("A"))
    with Judge(engine, template=str(tmp_path / "both.txt"), orders="given") as judge:
        judge.compare("q", "x", "y", reference="four", rubric="brevity")
        asyncio.run(judge.acompare("q", "x", "y", reference="five", rubric="length"))
        list(judge.compare_many([replace(pairs(1)[0], reference="six", rubric="tone")]))
        with pytest.raises(
            DataError, match=r"reference: the template .* shows \{\{reference\}\}; pass reference=\.\.\."
        ):
            judge.compare("q", "x", "y", rubric="brevity")
        with pytest.raises(DataError, match=r"pair p0: .*\{\{reference\}\}.*set it in the PreferencePair"):
            list(judge.compare_many(pairs(1)))
    shown = [request.messages[-1].content.partition("(right: ")[2].strip() for request in engine.asked]
    assert shown == ["four; by: brevity)", "five; by: length)", "six; by: tone)"]


class Scorer(FunctionEngine):
    gives_scores = True


def test_a_scalar_reward_model_is_a_judge_whose_scores_and_probability_are_told():
    def reply(request):
        return "1.5" if request.messages[-1].content == "good" else "0.5"

    with Judge(Scorer(reply)) as judge:
        judgment = judge.compare("Which?", "bad", "good", label="B")
        same = judge.compare("Which?", "good", "good")
    assert (judgment.winner, judgment.correct, judgment.scores) == ("B", True, (0.5, 1.5))
    assert judgment.p_a == pytest.approx(1 / (1 + math.e)) and judgment.confidence == pytest.approx(1 - judgment.p_a)
    assert (same.winner, same.p_a, same.confidence) == ("tie", 0.5, 0.5)


def test_a_pointwise_judge_averages_its_votes():
    ratings = iter(["7", "8", "9", "3", "9", "9"])
    engine = FunctionEngine(lambda request: answer(next(ratings)))
    with Judge(engine, template="pointwise", votes=3) as judge:
        judgment = judge.compare("Which?", "good", "bad")
    assert (judgment.winner, judgment.scores) == ("A", (8.0, 7.0))
    assert judgment.p_a is None and judgment.confidence == pytest.approx((3 + 0.5 * 2) / 9)
