"""What rollouts and greedy completions were worth: rewards by the one parser, the metrics of a step, evaluations, and what a
training concludes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rmr1.config import RlConfig
from rmr1.records import Generation, InvalidReason, Order, Sampling, Side
from rmr1.results import RlEvalMetrics, RlResults, RlStepMetrics
from rmr1.reward import verdict_reward
from rmr1.sides import pair_side
from rmr1.training.rl.groups import JudgePrompt
from rmr1.verdict import parse_verdict

Write: TypeAlias = Callable[[Sequence[Sequence[int]], Sequence[Sampling]], list[list[int]]]


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


@dataclass(frozen=True, slots=True)
class RolloutBatch:
    """The rollouts of one policy, written and scored, on which ``steps_per_rollout`` optimiser steps are taken.

    Args:
        outcomes: What became of the rollouts of all processes, group by group.
        computed: Share of this process's rollouts that go through the forward and backward pass.
        seconds: Time of writing.
    """

    outcomes: Sequence[Outcome]
    computed: float
    seconds: float


def step_metrics(
    number: int, batch: RolloutBatch, logs: Mapping[str, float], seconds: float, pairs: int, config: RlConfig
) -> RlStepMetrics:
    """The metrics of an optimiser step.

    Args:
        number: The step's, from 1.
        batch: The rollouts that it was taken on; the time of writing counts for the first of their steps.
        logs: What TRL's trainer logs of it.
        seconds: Time of the step.
        pairs: Pairs that are trained on.
        config: How.
    """
    shares = summarise(batch.outcomes, config.group_size)
    writing_s = batch.seconds if (number - 1) % config.steps_per_rollout == 0 else 0.0
    return RlStepMetrics(
        step=number,
        loss=logs["loss"],
        learning_rate=logs["learning_rate"],
        grad_norm=float(logs.get("grad_norm", 0.0)),
        epoch=number * config.pairs_per_step / pairs,
        reward=shares.reward,
        accuracy=shares.accuracy,
        position_consistency=shares.position_consistency,
        invalid=shares.invalid,
        invalid_by_reason=shares.invalid_by_reason,
        zero_variance=shares.zero_variance,
        truncated=logs.get("completions/clipped_ratio", shares.invalid_by_reason.get("truncated", 0.0)),
        computed=batch.computed,
        completion_tokens=shares.completion_tokens,
        entropy=logs.get("entropy") or 0.0,
        kl=logs.get("kl"),
        clipped=logs.get("clip_ratio/region_mean") or 0.0,
        tokens=int(logs.get("num_tokens") or 0),
        seconds=seconds,
        seconds_rollout=round(writing_s, 3),
        seconds_update=round(max(0.0, seconds - writing_s), 3),
    )


def judge_held_out(
    shown: Sequence[JudgePrompt],
    prompts: Sequence[Sequence[int]],
    write: Write,
    score: Callable[[JudgePrompt, list[int]], Outcome],
    max_tokens: int,
    step: int,
) -> RlEvalMetrics:
    """Judge comparisons and see how many pairs are right.

    Args:
        shown: The comparisons, both orders of each pair.
        prompts: Their tokens.
        write: Writes completions.
        score: Parses a completion.
        max_tokens: Longest completion.
        step: Optimiser steps so far.
    """
    completions = write(prompts, [Sampling(max_tokens=max_tokens)] * len(prompts))
    outcomes = [score(comparison, tokens) for comparison, tokens in zip(shown, completions, strict=True)]
    by_pair: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_pair[outcome.pair_id].append(outcome)
    valid = [_preferences(pair) for pair in by_pair.values() if all(outcome.prefers for outcome in pair)]
    return RlEvalMetrics(
        step=step,
        accuracy=_mean([all(outcome.reward > 0 for outcome in pair) for pair in by_pair.values()]) or 0.0,
        vote_accuracy=_mean([outcome.reward > 0 for outcome in outcomes]) or 0.0,
        position_consistency=_mean([len(preferred) == 1 for preferred in valid]),
        invalid=_mean([outcome.invalid is not None for outcome in outcomes]) or 0.0,
        completion_tokens=_mean([outcome.tokens for outcome in outcomes]) or 0.0,
        pairs=len(by_pair),
    )


def conclude(
    steps: Sequence[RlStepMetrics],
    evaluations: Sequence[RlEvalMetrics],
    *,
    pairs: int,
    held_out: int,
    dropped_too_long: int,
    rows_per_step: int,
    precision: str,
) -> RlResults | None:
    """What a training concludes; None where no step is known, as on all processes but the first.

    Args:
        steps: The metrics of all steps.
        evaluations: Those of all evaluations.
        pairs: Pairs that were trained on.
        held_out: Pairs that were judged on the way.
        dropped_too_long: Pairs that were left out because of the length of their prompts.
        rows_per_step: Rollouts of a step.
        precision: What was computed in.
    """
    if not steps:
        return None
    tail = steps[-max(1, len(steps) // 10) :]
    return RlResults(
        steps=len(steps),
        pairs=pairs,
        dropped_too_long=dropped_too_long,
        held_out=held_out,
        rollouts=rows_per_step * len(steps),
        first_reward=steps[0].reward,
        last_reward=sum(step.reward for step in tail) / len(tail),
        seconds_rollout=round(sum(step.seconds_rollout for step in steps), 1),
        seconds_update=round(sum(step.seconds_update for step in steps), 1),
        held_out_before=evaluations[0] if evaluations else None,
        held_out_after=evaluations[-1] if evaluations else None,
        held_out_best=max(evaluations[1:], key=lambda metrics: metrics.accuracy, default=None),
        precision=precision,
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


def _preferences(pair: Sequence[Outcome]) -> set[Side | None]:
    return {outcome.prefers for outcome in pair}


def _mean(values: Sequence[Any]) -> float | None:
    return sum(values) / len(values) if values else None
