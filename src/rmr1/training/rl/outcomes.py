"""What became of the rollouts of a step: rewards by the project's one parser, and the shares that are reported of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rmr1.records import Generation, InvalidReason, Order, Side
from rmr1.reward import verdict_reward
from rmr1.sides import pair_side
from rmr1.verdict import parse_verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rollout: of which comparison, what it said, and what that earned.

    Args:
        pair_id: Its pair.
        order: How the pair was shown.
        prefers: The response of the pair that it prefers, in the frame of the order "ab"; None where the verdict is invalid.
        reward: +1 or -1.
        invalid: Why there is no verdict, if there is none.
        tokens: Its length.
    """

    pair_id: str
    order: Order
    prefers: Side | None
    reward: float
    invalid: InvalidReason | None
    tokens: int


def score(
    text: str, *, pair_id: str, order: Order, gold: Side, tokens: int, cut: bool, think_open: bool = False
) -> Outcome:
    """Parse a rollout and reward it (paper section 3.3).

    Args:
        text: What was written, without the token that ends it.
        pair_id: Its pair.
        order: How the pair was shown.
        gold: The better shown side.
        tokens: Its length.
        cut: Whether it reached the longest length allowed without an end.
        think_open: Whether the chat template had opened a think block.
    """
    verdict = parse_verdict(Generation(pair_id, text, "length" if cut else "stop", think_open=think_open))
    reward = verdict_reward(verdict, gold)
    assert reward is not None  # only an engine's fault earns none
    return Outcome(pair_id, order, pair_side(verdict.side, order), reward, verdict.invalid, tokens)


@dataclass(frozen=True, slots=True)
class Shares:
    """What is reported of a step's rollouts, see ``RlStepMetrics``."""

    reward: float
    accuracy: float
    position_consistency: float | None
    invalid: float
    invalid_by_reason: Mapping[str, float]
    zero_variance: float
    completion_tokens: float


def summarise(outcomes: Sequence[Outcome], group_size: int) -> Shares:
    """The shares of a step.

    Args:
        outcomes: All rollouts of the step, group by group.
        group_size: Rollouts of a group.
    """
    count = len(outcomes)
    reasons = Counter(outcome.invalid for outcome in outcomes if outcome.invalid)
    groups = [outcomes[start : start + group_size] for start in range(0, count, group_size)]
    still = sum(len({outcome.reward for outcome in group}) == 1 for group in groups)
    return Shares(
        reward=sum(outcome.reward for outcome in outcomes) / count,
        accuracy=sum(outcome.reward > 0 for outcome in outcomes) / count,
        position_consistency=_consistency(outcomes),
        invalid=sum(reasons.values()) / count,
        invalid_by_reason={reason: number / count for reason, number in sorted(reasons.items())},
        zero_variance=still / len(groups),
        completion_tokens=sum(outcome.tokens for outcome in outcomes) / count,
    )


def _consistency(outcomes: Iterable[Outcome]) -> float | None:
    """Mean over pairs of the chance that a valid rollout of one order and one of the other prefer the same response."""
    preferred: dict[str, dict[Order, list[Side]]] = defaultdict(lambda: {"ab": [], "ba": []})
    for outcome in outcomes:
        if outcome.prefers is not None:
            preferred[outcome.pair_id][outcome.order].append(outcome.prefers)
    chances = []
    for orders in preferred.values():
        one, other = orders["ab"], orders["ba"]
        if one and other:
            p, q = one.count("A") / len(one), other.count("A") / len(other)
            chances.append(p * q + (1 - p) * (1 - q))
    return sum(chances) / len(chances) if chances else None
