"""Which rollouts go through the forward and backward pass, and how their advantages are scaled: pure functions on tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

SCALE_EPSILON = 1e-6
"""Added to the standard deviation (paper, appendix on GRPO). TRL adds 1e-4."""


def scaled_by_group(advantages: torch.Tensor, group_size: int) -> torch.Tensor:
    """Divide centred rewards by the standard deviation of their group: A = (R - mean) / (std + 1e-6).

    Args:
        advantages: R - mean, one for each rollout, group by group.
        group_size: Rollouts of a group.
    """
    groups = advantages.view(-1, group_size)
    return (groups / (groups.std(dim=1, keepdim=True) + SCALE_EPSILON)).view(-1)


def live_rows(advantages: torch.Tensor, completion_mask: torch.Tensor) -> torch.Tensor:
    """Indices of the rollouts that a gradient can come from: their advantage is not 0, and they are not masked."""
    return ((advantages != 0) & (completion_mask.sum(dim=1) > 0)).nonzero()[:, 0]


def keep_rows(batch: Mapping[str, Any], live: torch.Tensor, count: int) -> dict[str, Any]:
    """A batch of ``count`` rows: the live ones, and dead ones with nothing to learn where those are too few.

    All processes have to compute equally many rows, because they average gradients row by row and gather figures of each row.

    Args:
        batch: Tensors of TRL's GRPO trainer: prompts padded left, completions padded right, one row a rollout; scalars stay.
        live: Rows to keep, at most ``count``.
        count: Rows of the result.
    """
    rows = batch["advantages"].shape[0]
    dead = [row for row in range(rows) if row not in set(live.tolist())][: count - len(live)]
    chosen = torch.cat([live, torch.tensor(dead, dtype=live.dtype, device=live.device)])
    kept = {
        name: value[chosen] if isinstance(value, torch.Tensor) and value.dim() > 0 and len(value) == rows else value
        for name, value in batch.items()
    }
    kept["completion_mask"] = kept["completion_mask"].clone()
    kept["completion_mask"][len(live) :] = 0
    kept["advantages"] = kept["advantages"].clone()
    kept["advantages"][len(live) :] = 0
    return _trimmed(kept)


def _trimmed(batch: dict[str, Any]) -> dict[str, Any]:
    """Without the columns of padding that no row needs any more."""
    prompt = int(batch["prompt_mask"].sum(dim=1).max())
    completion = max(1, int(batch["completion_mask"].sum(dim=1).max()))
    width = batch["completion_mask"].shape[1]
    for name, value in batch.items():
        if not isinstance(value, torch.Tensor) or value.dim() != 2:
            continue
        if name in ("prompt_ids", "prompt_mask"):
            batch[name] = value[:, value.shape[1] - prompt :]
        elif value.shape[1] == width:
            batch[name] = value[:, :completion]
    return batch
