"""At which rate a model is trained, on what in which order, and when it is evaluated.

All are pure functions of the step and the seed, so that a resumed run needs no state for them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Literal

_BATCHES_SORTED_TOGETHER = 16


def rate_factor(step: int, total: int, warmup: int, schedule: Literal["cosine", "linear", "constant"]) -> float:
    """The learning rate of a step as a share of the highest.

    Args:
        step: Optimiser steps done before it.
        total: Optimiser steps of the training.
        warmup: Steps in which the rate rises; the first of them already has a rate above 0.
        schedule: How the rate falls after that; cosine and linear end just above 0.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule == "constant":
        return 1.0
    done = (step - warmup) / max(1, total - warmup)
    return (1 + math.cos(math.pi * done)) / 2 if schedule == "cosine" else 1 - done


def evaluation_steps(total: int, evaluations: int) -> frozenset[int]:
    """After which optimiser steps to evaluate: before the first, evenly on the way, after the last."""
    return frozenset({0, total, *(round(total * number / (evaluations + 1)) for number in range(1, evaluations + 1))})


def pair_order(pairs: int, wanted: int, seed: int) -> list[int]:
    """Indices of the pairs of a training, all epochs one after the other; each epoch is shuffled with a seed of its own.

    Args:
        pairs: How many pairs there are.
        wanted: How many indices to give.
        seed: Another seed, another order.
    """
    order: list[int] = []
    epoch = 0
    while len(order) < wanted:
        order.extend(_shuffled(pairs, random.Random(f"{seed}/{epoch}")))
        epoch += 1
    return order[:wanted]


def example_order(
    lengths: Sequence[int], *, seed: int, epochs: float, batch_size: int, micro_batch_size: int, group: bool
) -> list[int]:
    """Indices of the examples of a training, all epochs one after the other.

    With ``group``, the examples of a micro-batch have similar lengths, so that little is padding: a shuffled epoch is cut into
    pieces of 16 batches, each piece is sorted by length and cut into micro-batches, and these are shuffled again.

    Args:
        lengths: Tokens of each example.
        seed: Another seed, another order; each epoch has its own.
        epochs: How often each example comes; a fraction takes part of the last epoch.
        batch_size: Examples of one optimiser step.
        micro_batch_size: Examples that are computed at once.
        group: Whether to group by length.
    """
    order: list[int] = []
    wanted = max(1, round(len(lengths) * epochs))
    epoch = 0
    while len(order) < wanted:
        chance = random.Random(f"{seed}/{epoch}")
        indices = _shuffled(len(lengths), chance)
        if group:
            indices = _grouped(indices, lengths, batch_size * _BATCHES_SORTED_TOGETHER, micro_batch_size, chance)
        order.extend(indices[: wanted - len(order)])
        epoch += 1
    return order


def _shuffled(count: int, chance: random.Random) -> list[int]:
    indices = list(range(count))
    chance.shuffle(indices)
    return indices


def _grouped(
    indices: list[int], lengths: Sequence[int], piece_size: int, micro_batch_size: int, chance: random.Random
) -> list[int]:
    ordered: list[int] = []
    for start in range(0, len(indices), piece_size):
        piece = sorted(indices[start : start + piece_size], key=lambda index: lengths[index])
        # A short remainder goes last, so that it shifts no other micro-batch.
        whole = len(piece) - len(piece) % micro_batch_size
        batches = [piece[begin : begin + micro_batch_size] for begin in range(0, whole, micro_batch_size)]
        chance.shuffle(batches)
        ordered.extend(index for batch in (*batches, piece[whole:]) for index in batch)
    return ordered
