"""Choosing the next token of each sequence from the model's logits.

A sequence draws one number in [0, 1) for each token from a generator of its own, and takes the token at that share of the
distribution. So what a sequence draws depends on its seed alone, and a change of the distribution in its last bits moves few draws.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from rmr1.records import Sampling

TOP_LOGPROBS = 20
"""Alternatives that are kept with each token, as the llamacpp engine keeps."""


@dataclass(slots=True)
class Chooser:
    """How one sequence chooses.

    Args:
        sampling: Temperature, top-p and seed of its request.
        wants_logprobs: Whether to keep the log-probabilities of what is chosen.
    """

    sampling: Sampling
    wants_logprobs: bool = False
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.sampling.seed)


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen token, its log-probability at temperature 1, and those of the likeliest tokens; None where not wanted."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


def choose(logits: torch.Tensor, choosers: Sequence[Chooser]) -> list[Choice]:
    """Choose a token for each row.

    Args:
        logits: Of the next token, ``rows x vocabulary``.
        choosers: One for each row.
    """
    logits = logits.float()
    drawing = [row for row, chooser in enumerate(choosers) if chooser.sampling.temperature > 0]
    if len(drawing) == len(choosers):
        tokens = _draw(logits, choosers)
    else:
        tokens = logits.argmax(-1)
        if drawing:
            tokens[drawing] = _draw(logits[drawing], [choosers[row] for row in drawing])
    chosen = tokens.tolist()
    if not any(chooser.wants_logprobs for chooser in choosers):
        return [Choice(token) for token in chosen]
    return _with_logprobs(logits, tokens, choosers)


def _draw(logits: torch.Tensor, choosers: Sequence[Chooser]) -> torch.Tensor:
    temperatures = logits.new_tensor([chooser.sampling.temperature for chooser in choosers])
    probabilities = torch.softmax(logits / temperatures[:, None], -1)
    cut = [row for row, chooser in enumerate(choosers) if chooser.sampling.top_p < 1]
    if cut:
        shares = logits.new_tensor([choosers[row].sampling.top_p for row in cut])
        probabilities[cut] = _nucleus(probabilities[cut], shares)
    reached = probabilities.cumsum(-1, dtype=torch.float64)
    drawn = reached.new_tensor([chooser.chance.random() for chooser in choosers])
    tokens = torch.searchsorted(reached, (drawn * reached[:, -1])[:, None], right=True)[:, 0]
    return tokens.clamp(max=logits.shape[-1] - 1)


def _nucleus(probabilities: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Only the likeliest tokens whose probabilities sum up to the share; the one that reaches it is kept."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    ordered[before >= shares[:, None]] = 0
    return torch.zeros_like(probabilities).scatter_(-1, order, ordered)


def _with_logprobs(logits: torch.Tensor, tokens: torch.Tensor, choosers: Sequence[Chooser]) -> list[Choice]:
    total = logits.logsumexp(-1, keepdim=True)
    of_chosen = (logits.gather(-1, tokens[:, None]) - total)[:, 0].tolist()
    best, indices = logits.topk(min(TOP_LOGPROBS, logits.shape[-1]), -1)
    tops, ids = (best - total).tolist(), indices.tolist()
    return [
        Choice(token, of_chosen[row], tuple(zip(ids[row], tops[row], strict=True)))
        if choosers[row].wants_logprobs
        else Choice(token)
        for row, token in enumerate(tokens.tolist())
    ]
