"""Rollouts and greedy completions of the model that is being trained, written by the batches of the hf engine.

A sequence draws from a seed of its own, so what is written depends on the weights and the seeds: up to rounding, not on how many
sequences are written at once or how many processes share the work, and not at all on whether the training was interrupted before.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch

from rmr1.prefix.decoding.batch import Batch, rows_for
from rmr1.prefix.decoding.sequences import DecodingSequence
from rmr1.records import GenerationRequest, Sampling

_WORTH_SHARING = 2048
"""Tokens of a prompt to save at every step from which on its rollouts attend to it together: that has a price of its own."""


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
