"""Which requests a run makes, and when."""

import pytest

from rmr1.config import JudgeConfig
from rmr1.judging import VoteLedger, plan_judging
from rmr1.judging.requests import RequestQueue
from tests.support.completions import completion
from tests.support.engines import FunctionEngine, answer, pairs


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
