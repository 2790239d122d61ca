"""Groups, rewards and shares of stage 2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmr1.config import RlConfig
from rmr1.errors import DataError
from rmr1.prompts import load_template
from rmr1.records import Message, PreferencePair
from rmr1.training.rl.evaluation import Outcome, score, summarise
from rmr1.training.rl.groups import flatten, judge_prompts, steps_of
from rmr1.training.schedule import pair_order
from tests.support.engines import answer


def pair(number=0, label="A"):
    turn = (Message("assistant", "four"),), (Message("assistant", "five"),)
    return PreferencePair(f"p{number}", (Message("user", "2 + 2?"),), *turn, label)


def config(**settings):
    return RlConfig(**{"pairs_per_step": 2, "micro_batch_size": 1, **settings})


def shown(settings, *pairs):
    return [judge_prompts(each, load_template("cor-brief"), settings) for each in pairs]


def test_both_orders_share_a_group_and_the_gold_side_follows_the_response():
    settings = config(group="pair")
    (group,) = flatten(shown(settings, pair()), [0], settings)
    assert [(each.order, each.gold) for each in group.comparisons] == [("ab", "A"), ("ba", "B")]
    assert group.comparisons[0].messages != group.comparisons[1].messages
    assert settings.group_size == 8


def test_without_shared_groups_each_order_has_its_own_at_the_same_budget():
    settings = config(group="comparison")
    groups = flatten(shown(settings, pair()), [0], settings)
    assert [len(group.comparisons) for group in groups] == [1, 1]
    assert settings.group_size == 4
    assert settings.rows_per_step == config(group="pair").rows_per_step


def test_a_pair_without_a_label_is_refused():
    with pytest.raises(DataError, match="pair p0 has no label; a correctness reward needs a better response"):
        judge_prompts(pair(label=None), load_template("cor-brief"), config())


@pytest.mark.parametrize(
    ("pairs", "settings", "steps"),
    [
        (10, {}, 5),
        (11, {}, 5),
        (10, {"epochs": 2}, 10),
        (10, {"steps_per_rollout": 2}, 4),
        (10, {"max_steps": 3}, 3),
        (10, {"max_steps": 3, "steps_per_rollout": 2}, 2),
    ],
)
def test_steps_are_whole_rollouts(pairs, settings, steps):
    assert steps_of(pairs, config(**settings)) == steps


def test_too_few_pairs_are_named():
    with pytest.raises(
        DataError, match=r"3 pairs over 1 epochs are too few for a rollout of 4 pairs; lower pairs_per_step"
    ):
        steps_of(3, config(steps_per_rollout=2))


@given(pairs=st.integers(2, 40), steps=st.integers(1, 30), seed=st.integers(0, 5))
def test_each_epoch_takes_each_pair_once(pairs, steps, seed):
    order = pair_order(pairs, 2 * steps, seed)
    assert len(order) == 2 * steps
    for start in range(0, len(order), pairs):
        epoch = order[start : start + pairs]
        assert len(set(epoch)) == len(epoch)
    assert order == pair_order(pairs, 2 * steps + 2, seed)[: len(order)]


@pytest.mark.parametrize(
    ("text", "order", "gold", "cut", "reward", "prefers", "invalid"),
    [
        (answer("A"), "ab", "A", False, 1.0, "A", None),
        (answer("B"), "ab", "A", False, -1.0, "B", None),
        (answer("B"), "ba", "B", False, 1.0, "A", None),
        ("I cannot say.", "ab", "A", False, -1.0, None, "missing"),
        ("I cannot", "ab", "A", True, -1.0, None, "truncated"),
    ],
)
def test_rewards_and_what_a_rollout_prefers(text, order, gold, cut, reward, prefers, invalid):
    outcome = score(text, pair_id="p", order=order, gold=gold, tokens=3, cut=cut)
    assert (outcome.reward, outcome.prefers, outcome.invalid) == (reward, prefers, invalid)


def outcome(order, prefers, pair_id="p", tokens=10):
    return Outcome(pair_id, order, prefers, 1.0 if prefers == "A" else -1.0, None if prefers else "missing", tokens)


def test_shares_of_a_step():
    group = [outcome("ab", "A"), outcome("ab", "A"), outcome("ba", "B"), outcome("ba", None, tokens=30)]
    still = [outcome("ab", "A", "q"), outcome("ab", "A", "q"), outcome("ba", "A", "q"), outcome("ba", "A", "q")]
    shares = summarise([*group, *still], group_size=4)
    assert shares.accuracy == 6 / 8
    assert shares.reward == 4 / 8
    assert shares.invalid == 1 / 8
    assert shares.invalid_by_reason == {"missing": 1 / 8}
    assert shares.zero_variance == 1 / 2
    assert shares.completion_tokens == 100 / 8
    assert shares.position_consistency == pytest.approx((0 + 1) / 2)


def test_consistency_is_a_matter_of_chance_between_the_orders():
    half = [outcome("ab", "A"), outcome("ab", "B"), outcome("ba", "A"), outcome("ba", "B")]
    assert summarise(half, 4).position_consistency == pytest.approx(0.5)
    assert summarise(half[:2], 2).position_consistency is None
