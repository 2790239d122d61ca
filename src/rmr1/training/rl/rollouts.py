"""Rollouts of the model that is being trained: how they are written, and which of them go through the forward and backward pass.

Our own batches write them. A sequence draws from a seed of its own, so what is written depends on the weights and the seeds: up to
rounding, not on how many sequences are written at once or how many processes share the work, and not at all on whether the training
was interrupted before.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch

from rmr1.prefix.decoding.batch import Batch, rows_for
from rmr1.prefix.decoding.sequences import DecodingSequence
from rmr1.records import GenerationRequest, Sampling

_WORTH_SHARING = 2048
"""Rollouts of a prompt attend to it together where that saves this many tokens at every step: it has a price of its own."""
SCALE_EPSILON = 1e-6
"""Added to the standard deviation (paper, appendix on GRPO). TRL adds 1e-4."""


def rollout_seed(seed: int, group: int, pair_id: str, order: str, number: int) -> int:
    """The seed of one rollout, by the number of its group in the training: a pair may come twice in a step."""
    text = f"{seed}\n{group}\n{pair_id}\n{order}\n{number}"
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")


def write(
    model: Any, prompts: Sequence[Sequence[int]], samplings: Sequence[Sampling], stops: frozenset[int], slots: int
) -> list[list[int]]:
    """Write a completion for each prompt; the token that ends it is its last, unless it was cut.

    The instructions that all prompts share are computed once, and so is a prompt that follows itself.

    Args:
        model: A causal language model of transformers; it is in evaluation mode meanwhile.
        prompts: Tokens of each prompt.
        samplings: How to draw each.
        stops: Tokens that end a completion.
        slots: Sequences that are written at once.
    """
    shared = _shared_length(prompts)
    copies = Counter(map(tuple, prompts))
    waiting = (
        DecodingSequence(
            GenerationRequest(str(number), (), sampling),
            prompt,
            shared,
            sampling.max_tokens,
            repeated=(copies[prompt] - 1) * (len(prompt) - shared) >= _WORTH_SHARING,
        )
        for number, (prompt, sampling) in enumerate(zip(map(tuple, prompts), samplings, strict=True))
    )
    completions: list[list[int]] = [[] for _ in prompts]
    with _evaluating(model):
        batch = Batch(model, rows_for(len(prompts), slots), stops)
        while True:
            arriving = list(islice(waiting, batch.room))
            if not arriving and not batch.busy:
                return completions
            for sequence in filter(None, batch.work(arriving)):
                completions[int(sequence.request.id)] = [choice.token for choice in sequence.choices]


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


def _shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; at least one token of each is its own."""
    ordered = sorted(tuple(prompt) for prompt in prompts)
    first, last = ordered[0], ordered[-1]
    shortest = min(len(prompt) for prompt in prompts)
    length = 0
    while length < shortest - 1 and first[length] == last[length]:
        length += 1
    return length


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    training, use_cache = model.training, model.config.use_cache
    model.eval()
    model.config.use_cache = True
    try:
        with torch.no_grad():
            yield
    finally:
        model.config.use_cache = use_cache
        model.train(training)


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
