"""Which requests a run makes, and when."""

import asyncio
from collections import Counter

import pytest

from rmr1.config import JudgeConfig, load_config
from rmr1.errors import ConfigError
from rmr1.judging import JudgeRun, VoteLedger, plan_judging
from rmr1.judging.requests import RequestQueue
from rmr1.records import Generation, Usage
from rmr1.runs import RunDirectory
from tests.support.completions import completion
from tests.support.engines import FunctionEngine, answer, pairs, prefers


@pytest.fixture
def plan():
    return plan_judging(JudgeConfig(votes=3, stop="early"), FunctionEngine(lambda request: answer("A")))


def reply(votes, index, text, finish="stop"):
    order, vote = divmod(index, 3)
    one = completion(text, pair_id="p0", index=index, order=("ab", "ba")[order], vote=vote, finish_reason=finish)
    if finish != "error":
        votes.add(0, index, one.side)
    return one


def names(queue):
    return [request.request.id for request in queue]


def test_votes_of_pairs_under_way_come_before_the_next_pair(plan):
    votes = VoteLedger(plan.layout.rule, 2)
    queue = RequestQueue(plan, votes, enumerate(pairs(2)))
    assert [next(queue).request.id for _ in range(4)] == ["p0/ab/0", "p0/ab/1", "p0/ba/0", "p0/ba/1"]
    for index, text in enumerate((answer("A"), answer("A"), None, answer("A"), answer("B"))):
        if text:
            queue.answered(reply(votes, index, text))
    assert next(queue).request.id == "p0/ba/2"
    assert names(queue) == ["p1/ab/0", "p1/ab/1", "p1/ba/0", "p1/ba/1"]


def test_it_goes_on_after_its_end_if_answers_call_for_more(plan):
    votes = VoteLedger(plan.layout.rule, 2)
    queue = RequestQueue(plan, votes, enumerate(pairs(1)))
    assert len(names(queue)) == 4
    assert not queue.waiting
    queue.answered(reply(votes, 0, answer("A")))
    assert not queue.waiting
    queue.answered(reply(votes, 1, answer("B")))
    assert queue.waiting
    assert names(queue) == ["p0/ab/2"]


def test_a_request_that_failed_is_not_made_again(plan):
    votes = VoteLedger(plan.layout.rule, 2)
    queue = RequestQueue(plan, votes, enumerate(pairs(1)))
    assert len(names(queue)) == 4
    queue.answered(reply(votes, 0, "", "error"))
    assert names(queue) == []


def test_what_is_answered_already_is_not_asked(plan):
    votes = VoteLedger(plan.layout.rule, 2)
    for index in (0, 1, 3):
        votes.add(0, index, "A")
    queue = RequestQueue(plan, votes, enumerate(pairs(1)))
    assert names(queue) == ["p0/ba/1"]


def cut_at(limit, tokens=None):
    """A judge that is cut below a limit, and right from there on."""

    def reply(request):
        allowed = request.sampling.max_tokens
        if allowed < limit:
            return Generation(request.id, "<eval>It is", "length", Usage(100, allowed if tokens is None else tokens))
        return Generation(request.id, prefers("good")(request), usage=Usage(100, limit))

    return reply


def judged(engine, **settings):
    plan = plan_judging(JudgeConfig(**settings), engine)

    async def collect():
        return dict([item async for item in JudgeRun(engine, plan).judge(pairs(3))])

    return asyncio.run(collect())


@pytest.mark.parametrize("batch", [1, 4])
def test_what_was_cut_is_asked_for_once_more_with_the_larger_limit(batch):
    engine = FunctionEngine(cut_at(150), batch)
    found = judged(engine, max_tokens=100, retry_truncated=200)
    assert {judgment.winner for judgment in found.values()} == {"A"}
    votes = [vote for judgment in found.values() for vote in judgment.votes]
    assert all(vote.retried and vote.usage == Usage(200, 250) for vote in votes)
    asked = Counter((request.id, request.sampling.seed) for request in engine.asked)
    assert len(asked) == 6 and set(asked.values()) == {2}, "with the same seed"
    assert sorted({request.sampling.max_tokens for request in engine.asked}) == [100, 200]


def test_what_is_cut_again_is_truncated():
    engine = FunctionEngine(cut_at(500))
    found = judged(engine, max_tokens=100, retry_truncated=200)
    assert {vote.verdict.invalid for judgment in found.values() for vote in judgment.votes} == {"truncated"}
    assert len(engine.asked) == 12


def test_what_filled_the_context_is_not_asked_for_again():
    engine = FunctionEngine(cut_at(500, tokens=60))
    found = judged(engine, max_tokens=100, retry_truncated=200)
    assert not any(vote.retried for judgment in found.values() for vote in judgment.votes)
    assert len(engine.asked) == 6


def test_a_retry_that_fails_is_a_fault():
    def reply(request):
        done = cut_at(150)(request)
        return done if done.finish_reason == "length" else Generation(request.id, "", "error", Usage(), error="boom")

    found = judged(FunctionEngine(reply), max_tokens=100, retry_truncated=200)
    assert {judgment.outcome for judgment in found.values()} == {"unjudged"}


def test_votes_that_stop_early_can_be_asked_for_again_too():
    engine = FunctionEngine(cut_at(150), 3)
    found = judged(engine, max_tokens=100, retry_truncated=200, votes=5, stop="early")
    assert {(judgment.winner, judgment.spared) for judgment in found.values()} == {("A", 4)}
    assert len(engine.asked) == 3 * 6 * 2


def test_a_retry_has_to_be_longer():
    with pytest.raises(ConfigError, match="retry_truncated is 100; give a larger limit than max_tokens, which is 100"):
        load_config(JudgeConfig, arguments={"max_tokens": 100, "retry_truncated": 100}, environment={})


def test_retries_are_paid_for_and_stay_in_the_journal(tmp_path):
    engine = FunctionEngine(cut_at(150), 2)
    plan = plan_judging(JudgeConfig(max_tokens=100, retry_truncated=200, max_total_tokens=10**6), engine)
    with RunDirectory(tmp_path / "run", {"job": "judge", **plan.identity()}) as directory:
        results = asyncio.run(JudgeRun(engine, plan, directory, total_pairs=3).conclude(pairs(3))).results
    assert (results.retried, results.tokens, results.spending.tokens) == (6, Usage(1200, 1500), Usage(1200, 1500))
    with RunDirectory(tmp_path / "run", {"job": "judge", **plan.identity()}) as directory:
        again = asyncio.run(JudgeRun(engine, plan, directory, total_pairs=3).conclude(pairs(3))).results
    assert (again, len(engine.asked)) == (results, 12)
