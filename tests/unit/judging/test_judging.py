import asyncio
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from rmr1 import Judge
from rmr1.config import JudgeConfig
from rmr1.errors import ConfigError, EngineError
from rmr1.judging import JudgingStream, Summary, combine, plan_judging
from rmr1.records import Generation, Usage
from tests.support.completions import completion
from tests.support.engines import FunctionEngine, answer, pairs, prefers


def sample(order, vote, shown, *, label="A", text=None, p=None, finish="stop"):
    return completion(
        answer(shown) if text is None else text, index=(order == "ba") * 10 + vote, group="g", category="c",
        label=label, order=order, vote=vote, finish_reason=finish, usage=Usage(1, 1), p_shown_a=p,
    )  # fmt: skip


def outcome(*samples):
    judgment = combine(samples, "default")
    return judgment.winner, judgment.position_consistent, judgment.confidence, judgment.correct


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ((("ab", "A"), ("ba", "B")), ("A", True, 1.0, True)),
        ((("ab", "B"), ("ba", "A")), ("B", True, 1.0, False)),
        ((("ab", "A"), ("ba", "A")), ("tie", False, 0.5, False)),
        ((("ab", "A"), ("ba", "?")), ("A", None, 0.5, True)),
        ((("ab", "?"), ("ba", "?")), (None, None, 0.0, False)),
        ((("ab", "A"),), ("A", None, 1.0, True)),
        ((("ba", "A"),), ("B", None, 1.0, False)),
        ((("ab", "A"), ("ab", "A"), ("ab", "B"), ("ba", "B"), ("ba", "B"), ("ba", "B")), ("A", True, 5 / 6, True)),
        ((("ab", "A"), ("ab", "B"), ("ba", "B"), ("ba", "B")), ("tie", False, 0.5, False)),
        ((("ab", "A"), ("ab", "B"), ("ba", "B"), ("ba", "A")), ("tie", True, 0.5, False)),
    ],
)
def test_orders_and_votes_are_combined(shown, expected):
    assert outcome(*(sample(order, number, side) for number, (order, side) in enumerate(shown))) == expected


def test_probability_is_told_in_the_frame_of_the_pair():
    judgment = combine([sample("ab", 0, "A", p=0.9), sample("ba", 0, "B", p=0.2)], "default")
    assert [vote.p_a for vote in judgment.votes] == [0.9, pytest.approx(0.8)]


def test_without_label_nothing_is_correct_or_wrong():
    assert outcome(sample("ab", 0, "A", label=None))[3] is None


def test_explanation_comes_from_a_vote_for_the_winner():
    against = sample("ab", 0, "B", text="<eval>no</eval>" + answer("B"))
    agreeing = [sample("ab", vote, "A", text="<eval>yes</eval>" + answer("A")) for vote in (1, 2)]
    assert combine([against, *agreeing], "default").evaluation == "yes"


def run(engine, source, **settings):
    plan = plan_judging(JudgeConfig(**settings), engine)

    async def collect():
        return [finished async for finished in JudgingStream(engine, plan).judge(source)]

    return asyncio.run(collect())


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_every_comparison_is_asked_once_and_every_pair_judged(batch):
    engine = FunctionEngine(prefers("good"), batch)
    judged = run(engine, pairs(7), votes=3)
    assert sorted(number for number, _ in judged) == list(range(7))
    assert all(judgment.correct and judgment.position_consistent for _, judgment in judged)
    assert len(engine.asked) == 7 * 2 * 3
    assert len({request.id for request in engine.asked}) == 42
    assert len({request.sampling.seed for request in engine.asked}) == 42


def test_seeds_depend_on_the_pair_and_not_on_its_place():
    one, other = FunctionEngine(prefers("good")), FunctionEngine(prefers("good"))
    source = pairs(5)
    run(one, source)
    run(other, source[::-1])
    seeds = [{request.id: request.sampling.seed for request in engine.asked} for engine in (one, other)]
    assert seeds[0] == seeds[1]


def test_pairs_of_one_name_are_both_judged():
    engine = FunctionEngine(prefers("good"), batch=100)
    judged = run(engine, pairs(1) + pairs(1))
    assert [number for number, _ in sorted(judged, key=lambda item: item[0])] == [0, 1]


def test_a_biased_judge_is_a_tie():
    judged = run(FunctionEngine(lambda request: answer("A")), pairs(3))
    assert {(judgment.winner, judgment.position_consistent) for _, judgment in judged} == {("tie", False)}


def test_orders_policies():
    for policy, orders in (("given", {"ab"}), ("swapped", {"ba"}), ("random", {"ab", "ba"})):
        judged = run(FunctionEngine(prefers("good")), pairs(30), orders=policy)
        assert {vote.order for _, judgment in judged for vote in judgment.votes} == orders
        assert all(judgment.correct for _, judgment in judged)


def failing(request):
    return Generation(request.id, "", "error", error="boom")


def test_engine_fault_is_invalid_and_never_a_wrong_verdict():
    good = prefers("good")
    engine = FunctionEngine(lambda request: failing(request) if "p1/ab" in request.id else good(request))
    judged = dict(run(engine, pairs(3)))
    assert [vote.verdict.invalid for vote in judged[1].votes] == ["engine_error", None]
    assert judged[1].winner == "A"
    assert judged[1].votes[0].error == "boom"


def test_an_engine_that_is_gone_ends_the_run():
    with pytest.raises(EngineError, match="20 requests failed in a row, the last with: boom"):
        run(FunctionEngine(failing), pairs(50))


def test_requests_are_drawn_only_as_they_are_needed():
    engine = FunctionEngine(prefers("good"), batch=4)
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            for pair in pairs(1):
                drawn += 1
                yield pair

    async def take(count):
        plan = plan_judging(JudgeConfig(), engine)
        stream = JudgingStream(engine, plan).judge(endless())
        for _ in range(count):
            await anext(stream)
        await stream.aclose()

    asyncio.run(take(10))
    assert drawn <= 12


def summarise(judged, count):
    summary = Summary()
    for number, judgment in judged:
        summary.add(number, judgment)
    return summary.results(range(count))


def test_summary_is_the_same_in_any_order():
    good = prefers("good")
    engine = FunctionEngine(
        lambda request: answer("A") if "p3/" in request.id else "?" if "p5/ab" in request.id else good(request)
    )
    judged = run(engine, pairs(8))
    results = summarise(judged, 8)
    assert json.dumps(results) == json.dumps(summarise(judged[::-1], 8))
    assert (results["right"], results["ties"], results["completions"]) == (7, 1, 16)
    assert results["accuracy"]["value"] == 7 / 8
    assert results["invalid"] == {"share": 1 / 16, "by_reason": {"missing": 1}}
    assert results["position_consistency"]["value"] == 6 / 7
    assert results["vote_accuracy"] == 14 / 16
    assert results["by_category"]["even"]["value"] == 1.0
    assert results["tokens"] == {"prompt_tokens": 160, "completion_tokens": 32, "cached_tokens": 16}


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
    class SlowToSay(ThreadEngine):
        decisions = 0

        @property
        def computes_in_caller(self):
            self.decisions += 1
            time.sleep(0.05)
            return True

        @computes_in_caller.setter
        def computes_in_caller(self, value):
            pass

    engine = SlowToSay(in_caller=True)
    with Judge(engine) as judge, ThreadPoolExecutor(4) as threads:
        engine.decisions = 0
        list(threads.map(lambda _: judge.compare("Which?", "good", "bad"), range(4)))
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


def test_configuration_is_checked_against_the_engine():
    engine = FunctionEngine(prefers("good"))
    with pytest.raises(ConfigError, match="--rule best: unknown; the rules are default, rm-r1-eval"):
        plan_judging(JudgeConfig(rule="best"), engine)
    engine.obeys_grammars = False
    with pytest.raises(ConfigError, match="--constrain: test/function takes no grammar"):
        plan_judging(JudgeConfig(constrain=True), engine)
    with pytest.raises(ConfigError, match="several votes at temperature 0"):
        Judge(engine, votes=3, temperature=0)


def test_environment_does_not_reach_the_python_api(monkeypatch):
    monkeypatch.setitem(os.environ, "RMR1_VOTES", "7")
    with Judge(FunctionEngine(prefers("good"))) as judge:
        assert judge.config.votes == 1


def test_pairs_of_one_group_are_one_cluster_wherever_they_stand():
    def accuracy(groups):
        source = [replace(pair, group=group) for pair, group in zip(pairs(len(groups)), groups, strict=True)]
        engine = FunctionEngine(lambda request: answer("A" if "0" in request.id or "1" in request.id else "B"))
        stream, summary = JudgingStream(engine, plan_judging(JudgeConfig(orders="given"), engine)), Summary()

        async def count():
            async for number, judgment in stream.judge(source):
                summary.add(number, judgment)

        asyncio.run(count())
        return summary.results(stream.clusters)["accuracy"]

    together, scattered, alone = accuracy("aabbccdd"), accuracy("acabdcdb"), accuracy([""] * 8)
    assert together["clusters"] == scattered["clusters"] == 4
    assert alone["clusters"] == 8
    assert together["low"] < alone["low"], "pairs that rise and fall together say less"
