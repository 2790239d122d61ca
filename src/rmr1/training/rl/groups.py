"""Groups: the rollouts that share a baseline, and the comparisons that they are rollouts of.

GRPO measures each rollout against the mean of its group. The paper's group holds the rollouts of one comparison. Where both orders
of a pair are in one group, a judge that always prefers the first response earns +1 in one order and -1 in the other: what it
gains in one it pays for in the other, and only rollouts that follow the responses, not their places, stay above the baseline.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rmr1.config import RlConfig
from rmr1.errors import DataError
from rmr1.prompts import Template, render_prompt
from rmr1.records import Message, Order, PreferencePair, Side
from rmr1.sides import decisive, show, shown_orders


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """A comparison as the judge reads it. ``gold`` is the better shown side."""

    pair_id: str
    order: Order
    gold: Side
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Comparisons whose rollouts share a baseline: one, or both orders of a pair."""

    comparisons: tuple[JudgePrompt, ...]


@dataclass(frozen=True, slots=True)
class Rollout:
    """One completion of a comparison: the number of its group in the training, and its own among the comparison's."""

    shown: JudgePrompt
    group: int
    number: int


def judge_prompts(pair: PreferencePair, template: Template, config: RlConfig) -> tuple[JudgePrompt, ...]:
    """The comparisons of a pair.

    Raises:
        DataError: The pair has no label, or a tie.
    """
    shown = []
    for order in shown_orders(config.orders, pair.id, config.seed):
        comparison = show(pair, order)
        gold = decisive(comparison.gold)
        if gold is None:
            what = "is labelled a tie" if comparison.gold else "has no label"
            raise DataError(f"pair {pair.id} {what}; a correctness reward needs a better response")
        prompt = render_prompt(comparison, template, fenced=config.fence, system_role=config.system_role)
        shown.append(JudgePrompt(pair.id, order, gold, prompt.messages))
    return tuple(shown)


def groups_of(comparisons: tuple[JudgePrompt, ...], config: RlConfig) -> tuple[Group, ...]:
    """One group for all orders of a pair, or one for each."""
    if config.group == "pair":
        return (Group(comparisons),)
    return tuple(Group((shown,)) for shown in comparisons)


def steps_of(pairs: int, config: RlConfig) -> int:
    """Optimiser steps of a training.

    A step takes ``pairs_per_step`` pairs; the rest of the last one is left out. The rollouts of one policy serve all of their
    ``steps_per_rollout`` steps, so the number of steps is a multiple of that.

    Raises:
        DataError: There are too few pairs for a step.
    """
    steps = int(pairs * config.epochs) // config.pairs_per_step
    steps -= steps % config.steps_per_rollout
    if steps < 1:
        needed = config.pairs_per_step * config.steps_per_rollout
        raise DataError(
            f"{pairs} pairs over {config.epochs:g} epochs are too few for a rollout of {needed} pairs; "
            "lower pairs_per_step or steps_per_rollout, or raise epochs"
        )
    if config.max_steps is not None:
        steps = min(steps, config.max_steps)
        steps = max(steps - steps % config.steps_per_rollout, config.steps_per_rollout)
    return steps


def flatten(pairs: Sequence[tuple[JudgePrompt, ...]], order: Iterable[int], config: RlConfig) -> list[Group]:
    """The groups of a whole training, in their order.

    Args:
        pairs: The comparisons of each pair.
        order: Which pair comes when, see ``pair_order``.
        config: How pairs are grouped.
    """
    return [group for index in order for group in groups_of(pairs[index], config)]
