"""In which order examples are trained on: a pure function, so that a resumed run needs no state for it."""

from __future__ import annotations

import random
from collections.abc import Sequence

_BATCHES_SORTED_TOGETHER = 16


def training_order(
    lengths: Sequence[int], *, seed: int, epochs: float, batch_size: int, micro_batch_size: int, group: bool
) -> list[int]:
    """Indices of the examples for all epochs, one after the other.

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
        indices = list(range(len(lengths)))
        chance.shuffle(indices)
        if group:
            indices = _grouped(indices, lengths, batch_size * _BATCHES_SORTED_TOGETHER, micro_batch_size, chance)
        order.extend(indices[: wanted - len(order)])
        epoch += 1
    return order


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
