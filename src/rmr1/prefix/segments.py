"""Attention of sequences that are being written, over beginnings that several of them share.

A beginning is computed once and kept as a segment. A sequence attends to the segments that it begins with and to keys and
values of its own; sequences with a segment in common attend to it together, as queries of one product. In a step, heads that
share keys are queries of one product as well, where the library would copy the keys for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby, pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import pad

from rmr1.prefix.parts import attend, merge

_QUERIES, _FEWEST = 8, 4
"""Blocks of so many queries and more round alike; fewer than the second round by where they lie in memory."""


@dataclass(eq=False, slots=True)
class Segment:
    """Tokens that follow each other, with the keys and values of each layer: ``key heads x tokens x size``."""

    tokens: tuple[int, ...]
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment that is to be computed, and those that it follows."""

    segment: Segment
    before: tuple[Segment, ...] = ()


class PieceAttention:
    """Pieces beside each other in one row: the tokens of each see what it follows and, among themselves, what came before.

    Args:
        pieces: In the order of the row.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        ends = list(accumulate(len(piece.segment) for piece in pieces))
        self._own = [slice(start, end) for start, end in pairwise((0, *ends))]
        self._following: list[tuple[tuple[Segment, ...], slice]] = []
        for before, alike in groupby(zip(pieces, self._own, strict=True), key=lambda part: part[0].before):
            rows = [own for _, own in alike]
            self._following.append((before, slice(rows[0].start, rows[-1].stop)))

    def attend(self, module: Module, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attention of one row, see ``PrefixAttention.attend``."""
        layer: Any = module.layer_idx
        queries = query[0].reshape(key.shape[1], -1, *query.shape[2:])
        keys, values = _repeated(key[0], queries), _repeated(value[0], queries)
        parts = [
            attend(queries[:, :, own], keys[:, :, own], values[:, :, own], scale, causal=True) for own in self._own
        ]
        mixed, sums = (torch.cat(states, 2) for states in zip(*parts, strict=True))
        mixed = mixed.to(sums.dtype)
        for before, rows in self._following:
            asking = queries[:, :, rows]
            for segment in before:
                keys, values = _repeated(segment.keys[layer], asking), _repeated(segment.values[layer], asking)
                merge(mixed[:, :, rows], sums[:, :, rows], *attend_together(asking, keys, values, scale))
        return mixed.to(query.dtype).flatten(0, 1).transpose(0, 1)[None]


class StepAttention:
    """One new token of each sequence.

    Args:
        mask: What is added to the scores of a sequence's own keys, ``sequences x 1 x 1 x keys``.
        shared: Segments with the rows of the sequences that begin with them.
    """

    def __init__(self, mask: Tensor, shared: Sequence[tuple[Segment, slice | Tensor]]) -> None:
        self._mask = mask
        self._shared = shared

    def attend(self, module: Module, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attention of a token of each row, see ``PrefixAttention.attend``."""
        layer: Any = module.layer_idx
        rows, heads = len(query), key.shape[1]
        queries = query.reshape(rows, heads, -1, query.shape[-1])
        mixed, sums = _attend_alike(queries, key, value, scale, _FEWEST, self._mask)
        mixed = mixed.to(sums.dtype)
        for segment, members in self._shared:
            part, part_sums = _of_segment(queries[members], segment.keys[layer], segment.values[layer], scale)
            theirs, their_sums = mixed[members], sums[members]
            merge(theirs, their_sums, part, part_sums)
            if isinstance(members, Tensor):  # else theirs are views
                mixed[members], sums[members] = theirs, their_sums
        return mixed.to(query.dtype).reshape(rows, 1, -1, mixed.shape[-1])


def attend_together(queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Attention of any number of queries to the same keys, such that no query's bits depend on how many there are.

    The kernel takes blocks of queries, and rounds otherwise in a block of few, such as what is left for the last.
    """
    return _attend_alike(queries, keys, values, scale, _QUERIES)


def _attend_alike(
    queries: Tensor, keys: Tensor, values: Tensor, scale: float, multiple: int, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    count = queries.shape[2]
    mixed, sums = attend(pad(queries, (0, 0, 0, -count % multiple)), keys, values, scale, mask=mask)
    return mixed[:, :, :count], sums[:, :, :count]


def _of_segment(queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Attention of all rows' queries to the same keys."""
    rows, heads, sharing, size = queries.shape
    together = queries.transpose(0, 1).reshape(1, heads, rows * sharing, size)
    mixed, sums = attend_together(together, keys[None], values[None], scale)
    return (
        mixed.reshape(heads, rows, sharing, -1).transpose(0, 1),
        sums.reshape(heads, rows, sharing).transpose(0, 1),
    )


def _repeated(states: Tensor, queries: Tensor) -> Tensor:
    return states[:, None].expand(-1, queries.shape[1], -1, -1)
