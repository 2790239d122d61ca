"""Attention over a packed tree on a CPU: each node sees itself, its descendants see it, and the parts are put together.

A query's keys lie in several places of the row, its ancestors and its own node. The gradient of a part is what the kernel computes
anyway when it is told the whole output and the whole log-sum, so no part has to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from rmr1.prefix.packing import Span
from rmr1.prefix.parts import attend, has_kernel, merge, merging_type

_backward = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward", None)


def can_split(query: Tensor, value: Tensor) -> bool:
    """Whether the kernel is there and takes such tensors."""
    return _backward is not None and has_kernel(query, value) and query.shape[0] == 1


def split_attention(query: Tensor, key: Tensor, value: Tensor, spans: Sequence[Span], scale: float) -> Tensor:
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


def _parts(spans: Sequence[Span]) -> Iterator[tuple[slice, slice, bool]]:
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
    """Heads that share keys are the second axis throughout, groups of them the first; keys are repeated by a stride of zero."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, spans: Sequence[Span], scale: float) -> Tensor:
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
            of_query, of_key, of_value = _backward(  # type: ignore[misc]
                upstream[:, :, rows],
                queries[:, :, rows],
                keys[:, :, seen],
                values[:, :, seen],
                mixed[:, :, rows],
                sums[:, :, rows],
                0.0,
                causal,
                scale=ctx.scale,
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
