"""Attention in parts: softmax over all keys is the average of the softmaxes over parts of them, weighted with the exponentials of
their log-sums. So no part has to be copied beside another, masked or padded.

It is used in two ways. In training, ``split_attention`` computes a packed tree on a CPU: each node sees itself, its descendants see
it. In decoding, ``PieceAttention`` and ``StepAttention`` compute sequences over segments, beginnings that several of them share.

Torch's kernel for this on CPUs lies below ``scaled_dot_product_attention``, which does not return the log-sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby, pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import pad

from rmr1.prefix.packing import PackedSpan
from rmr1.prefix.torch_internals import cpu_attention, cpu_attention_backward, has_cpu_attention

_VECTORS = 64
"""Torch computes this many numbers, or multiples, in vectors alone; what is left over it computes, and rounds, in another way."""
_QUERIES, _FEWEST = 8, 4
"""Blocks of ``_QUERIES`` queries and more round alike; fewer than ``_FEWEST`` round by where they lie in memory."""


def has_kernel(query: Tensor, value: Tensor) -> bool:
    """Whether the kernel is there and takes such tensors."""
    return has_cpu_attention() and query.device.type == "cpu" and query.shape[-1] == value.shape[-1]


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, *, causal: bool = False, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Attention to one part.

    Args:
        query: Two axes of any meaning, queries, size of a head.
        key: Likewise; heads that share keys may share them by a stride of 0.
        value: Like ``key``.
        scale: Factor of the scores.
        causal: Whether a query sees only the keys up to its own place.
        mask: Added to the scores, with axes that may be 1.

    Returns:
        A tensor like ``query``, and the log-sums of the exponentials of its scores, in the precision that parts are merged in.
    """
    if has_kernel(query, value):
        return cpu_attention(query, key, value, causal, mask, scale)
    return _by_products(query, key, value, scale, causal, mask)


def merge(mixed: Tensor, sums: Tensor, part: Tensor, part_sums: Tensor) -> None:
    """Average what was mixed so far with another part, in place.

    Args:
        mixed: Of the precision of ``sums``.
        sums: Log-sums of what was mixed so far.
        part: See ``attend``.
        part_sums: Likewise.
    """
    together = _log_of_both(sums, part_sums)
    mixed.mul_((sums - together).exp_()[..., None])
    mixed.addcmul_(part.to(mixed.dtype), (part_sums - together).exp_()[..., None])
    sums.copy_(together)


def _log_of_both(sums: Tensor, part_sums: Tensor) -> Tensor:
    """``logaddexp`` that rounds a number alike, whatever is beside it."""
    flat = (pad(states.reshape(-1), (0, -states.numel() % _VECTORS)) for states in (sums, part_sums))
    return torch.logaddexp(*flat)[: sums.numel()].view(sums.shape)


def merging_type(states: Tensor) -> torch.dtype:
    """What the kernel computes log-sums in; the parts are put together in it."""
    return torch.float64 if states.dtype == torch.float64 else torch.float32


def _by_products(
    query: Tensor, key: Tensor, value: Tensor, scale: float, causal: bool, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    wide = merging_type(query)
    scores = (query.to(wide) * scale) @ key.to(wide).transpose(-1, -2)
    if mask is not None:
        scores = scores + mask
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    sums = scores.logsumexp(-1)
    return (scores - sums[..., None]).exp().to(value.dtype) @ value, sums


def can_split(query: Tensor, value: Tensor) -> bool:
    """Whether ``split_attention`` can compute a row: with the kernel, and with that of its gradient."""
    return has_cpu_attention(backward=True) and has_kernel(query, value) and query.shape[0] == 1


def split_attention(query: Tensor, key: Tensor, value: Tensor, spans: Sequence[PackedSpan], scale: float) -> Tensor:
    """Attention of a packed row.

    Args:
        query: One row, heads, tokens, size of a head.
        key: Likewise, with as many heads or a divisor of that.
        value: Like ``key``.
        spans: The nodes of the row.
        scale: Factor of the scores.

    Returns:
        A tensor like ``query``.
    """
    output: Tensor = _Split.apply(query, key, value, spans, scale)  # type: ignore[no-untyped-call]
    return output


def _parts(spans: Sequence[PackedSpan]) -> Iterator[tuple[slice, slice, bool]]:
    """Queries, their keys, and whether they see only what came before. The nodes themselves come first: they cover the row."""
    for span in spans:
        own = slice(span.start, span.end)
        yield own, own, True
    for span in spans:
        if span.reach > span.end:
            yield slice(span.end, span.reach), slice(span.start, span.end), False


def _contiguous_last(states: Tensor) -> Tensor:
    return states if states.stride(-1) == 1 else states.contiguous()


class _Split(torch.autograd.Function):
    """The gradient of a part is what the kernel computes when it is given the whole output and log-sum, so no part is kept.

    Heads that share keys are the second axis throughout, groups of them the first; keys are repeated by a stride of zero.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, spans: Sequence[PackedSpan], scale: float
    ) -> Tensor:
        query, key, value = (_contiguous_last(states.detach()) for states in (query, key, value))
        queries, keys, values = _grouped(query, key, value)
        groups, sharing, tokens, size = queries.shape
        sums = torch.empty(groups, sharing, tokens, dtype=merging_type(query), device=query.device)
        # In memory, a token's heads lie together: this is how the model goes on with it.
        mixed = sums.new_empty(tokens, groups, sharing, size).permute(1, 2, 0, 3)
        for rows, seen, causal in _parts(spans):
            part, part_sums = attend(queries[:, :, rows], keys[:, :, seen], values[:, :, seen], scale, causal=causal)
            if causal:
                mixed[:, :, rows] = part
                sums[:, :, rows] = part_sums
            else:
                merge(mixed[:, :, rows], sums[:, :, rows], part, part_sums)
        mixed = mixed.to(query.dtype)
        ctx.save_for_backward(query, key, value, mixed, sums)
        ctx.spans, ctx.scale = spans, scale
        return mixed.flatten(0, 1)[None]

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mixed, sums = ctx.saved_tensors
        queries, keys, values = _grouped(query, key, value)
        upstream = _contiguous_last(upstreams[0])[0].view_as(queries)
        groups, sharing, tokens, size = queries.shape
        grad_query = sums.new_empty(tokens, groups, sharing, size).permute(1, 2, 0, 3)
        grad_key, grad_value = (sums.new_empty(tokens, groups, size).transpose(0, 1) for _ in range(2))
        for rows, seen, causal in _parts(ctx.spans):
            of_query, of_key, of_value = cpu_attention_backward(
                upstream[:, :, rows],
                queries[:, :, rows],
                keys[:, :, seen],
                values[:, :, seen],
                mixed[:, :, rows],
                sums[:, :, rows],
                causal,
                ctx.scale,
            )
            parts = (of_query, of_key.sum(1, dtype=sums.dtype), of_value.sum(1, dtype=sums.dtype))
            for total, part in zip(
                (grad_query[:, :, rows], grad_key[:, seen], grad_value[:, seen]), parts, strict=True
            ):
                if causal:
                    total.copy_(part)
                else:
                    total.add_(part)
        totals = (grad_query.flatten(0, 1), grad_key, grad_value)
        return (*(total[None].to(query.dtype) for total in totals), None, None)


def _grouped(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    groups = key.shape[1]
    sharing = query.shape[1] // groups
    queries = query[0].view(groups, sharing, *query.shape[2:])
    return queries, key[0][:, None].expand(-1, sharing, -1, -1), value[0][:, None].expand(-1, sharing, -1, -1)


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
