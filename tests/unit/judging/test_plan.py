"""How pairs are judged, checked against the engine."""

from dataclasses import replace

import pytest

from rmr1 import Judge
from rmr1.config import JudgeConfig
from rmr1.errors import ConfigError
from rmr1.judging import plan_judging
from rmr1.records import Message
from tests.support.engines import FunctionEngine, pairs, prefers


def test_configuration_is_checked_against_the_engine():
    engine = FunctionEngine(prefers("good"))
    with pytest.raises(ConfigError, match="--rule best: unknown; the rules are default, rm-r1-eval"):
        plan_judging(JudgeConfig(rule="best"), engine)
    engine.obeys_grammars = False
    with pytest.raises(ConfigError, match="--constrain: test/function takes no grammar"):
        plan_judging(JudgeConfig(constrain=True), engine)
    with pytest.raises(ConfigError, match="several votes at temperature 0"):
        Judge(engine, votes=3, temperature=0)


class Scorer(FunctionEngine):
    gives_scores = True


def two_turns():
    [pair] = pairs(1)
    more = (Message("user", "And?"), Message("assistant", "later"))
    return replace(pair, response_a=(*pair.response_a, *more))


def test_a_scalar_reward_model_reads_the_conversation_and_nothing_else():
    plan = plan_judging(JudgeConfig(), Scorer(None))
    [pair] = pairs(1)
    asked = [plan.request(one)[0] for one in plan.comparisons(pair)]
    assert [request.id for request in asked] == ["p0/ab/0", "p0/ba/0"]
    assert [request.messages for request in asked] == [
        (*pair.prompt, *pair.response_a),
        (*pair.prompt, *pair.response_b),
    ]
    assert plan.identity()["orders"] == "each" and plan.identity()["template"] == "none"
    assert plan.remarks and "position cannot matter" in plan.remarks[0]


@pytest.mark.parametrize(
    ("settings", "flag"),
    [({"template": "cor"}, "--template"), ({"votes": 3}, "--votes"), ({"constrain": True}, "--constrain")],
)
def test_what_a_scalar_reward_model_has_not_is_refused(settings, flag):
    with pytest.raises(ConfigError, match=f"{flag}: test/function is a scalar reward model"):
        plan_judging(JudgeConfig(**settings), Scorer(None))


@pytest.mark.parametrize("orders", ["both", "given", "swapped", "random"])
def test_a_pointwise_judge_sees_each_response_once_for_each_vote_whatever_the_orders(orders):
    plan = plan_judging(JudgeConfig(template="pointwise", votes=2, orders=orders), FunctionEngine(None))
    [pair] = pairs(1)
    asked = [plan.request(one)[0] for one in plan.comparisons(pair)]
    assert [request.id for request in asked] == ["p0/ab/0", "p0/ab/1", "p0/ba/0", "p0/ba/1"]
    for request, shown, hidden in zip(
        asked, ("good", "good", "bad", "bad"), ("bad", "bad", "good", "good"), strict=True
    ):
        text = request.messages[-1].content
        assert f"[The Start of the Response]\n{shown}\n[The End of the Response]" in text and hidden not in text
    assert len({request.sampling.seed for request in asked}) == 4


def test_a_response_that_occurs_in_several_pairs_has_one_seed():
    plan = plan_judging(JudgeConfig(template="pointwise"), FunctionEngine(None))
    first, second = pairs(2)
    same = replace(second, prompt=first.prompt)
    seeds = [[plan.request(one)[0].sampling.seed for one in plan.comparisons(pair)] for pair in (first, same, second)]
    assert seeds[0] == seeds[1] != seeds[2]


def test_several_turns_are_rated_as_a_conversation():
    plan = plan_judging(JudgeConfig(template="pointwise"), FunctionEngine(None))
    text = plan.request(next(plan.comparisons(two_turns())))[0].messages[-1].content
    assert "User: question 0\nChatbot: good\nUser: And?\nChatbot: later" in text and "bad" not in text


def test_a_constrained_rating_follows_a_grammar_of_its_own():
    plan = plan_judging(JudgeConfig(template="pointwise", constrain=True), FunctionEngine(None))
    assert plan.grammar is not None and '"10"' in plan.grammar


def test_a_limit_that_the_grammar_does_not_fit_into_is_refused_with_the_least_that_it_does():
    engine = FunctionEngine(prefers("good"))
    engine.least_tokens = lambda grammar: len(grammar) and 47
    with pytest.raises(
        ConfigError, match=r"--max-tokens 46 .* template cor has 47 tokens; take 47 at least, and 141 or"
    ):
        plan_judging(JudgeConfig(constrain=True, max_tokens=46), engine)
    assert plan_judging(JudgeConfig(constrain=True, max_tokens=47), engine).grammar
    assert plan_judging(JudgeConfig(max_tokens=46), engine).grammar is None


def test_a_run_is_not_resumed_under_another_grammar():
    engine = FunctionEngine(prefers("good"))
    plans = [plan_judging(JudgeConfig(constrain=True, template=name), engine) for name in ("cor", "verdict-only")]
    assert len({plan.identity()["grammar_sha256"] for plan in plans}) == 2
    assert "grammar_sha256" not in plan_judging(JudgeConfig(), engine).identity()
