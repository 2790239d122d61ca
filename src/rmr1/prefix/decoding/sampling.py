"""Choosing the next token of each sequence from the model's logits.

A sequence draws one number in [0, 1) for each token from a generator of its own, and takes the token at that share of the
distribution. So what a sequence draws depends on its seed alone, and a change of the distribution in its last bits moves few draws.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch.nn.functional import pad

from rmr1.prefix.decoding.grammar import GrammarState
from rmr1.records import Sampling

_BLOCK = 256
_BELOW_ONE = 1 - 2**-50
TOP_LOGPROBS = 20
"""Alternatives that are kept with each token, as the llamacpp engine keeps."""


@dataclass(slots=True)
class Sampler:
    """How one sequence draws its tokens.

    Args:
        sampling: Temperature, top-k, top-p, min-p and seed of its request.
        wants_logprobs: Whether to keep the log-probabilities of the tokens.
        grammar: How far the sequence has come in its grammar; None without one.
    """

    sampling: Sampling
    wants_logprobs: bool = False
    grammar: GrammarState | None = None
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.sampling.seed)


@dataclass(frozen=True, slots=True)
class Choice:
    """A completion token, its log-probability (nats, temperature 1), and those of the likeliest tokens; None where not wanted."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


def choose(logits: torch.Tensor, samplers: Sequence[Sampler], rows: Sequence[int] | None = None) -> list[Choice]:
    """Choose a token for each sequence.

    Args:
        logits: Of the next token, ``rows x vocabulary``.
        samplers: One for each sequence.
        rows: The row that each sequence chooses from; a row each where None.
    """
    logits = logits.float()
    rows = range(len(samplers)) if rows is None else rows
    tokens = _choose(logits, samplers, rows)
    _keep_to_grammars(tokens, logits, samplers, rows)
    if not any(sampler.wants_logprobs for sampler in samplers):
        return [Choice(token) for token in tokens]
    return _with_logprobs(logits, tokens, samplers, rows)


def _choose(logits: torch.Tensor, samplers: Sequence[Sampler], rows: Sequence[int]) -> list[int]:
    likeliest = logits.argmax(-1).tolist() if any(_is_greedy(sampler) for sampler in samplers) else ()
    tokens = [likeliest[row] if _is_greedy(sampler) else -1 for row, sampler in zip(rows, samplers, strict=True)]
    for number, token in _draw(logits, samplers, rows):
        tokens[number] = token
    return tokens


def _keep_to_grammars(
    tokens: list[int], logits: torch.Tensor, samplers: Sequence[Sampler], rows: Sequence[int]
) -> None:
    """Replace tokens that a grammar does not allow by others, chosen among those that it allows.

    What a grammar allows is kept, so a completion that is well-formed without its grammar is the same with it. And the tokens are
    distributed as if they had been drawn among the allowed ones at once.
    """
    followed = [(number, sampler.grammar) for number, sampler in enumerate(samplers) if sampler.grammar is not None]
    again = [(number, grammar) for number, grammar in followed if not grammar.allows(tokens[number])]
    if again:
        masked = torch.stack([grammar.masked(logits[rows[number]]) for number, grammar in again])
        chosen = _choose(masked, [samplers[number] for number, _ in again], range(len(again)))
        for (number, _), token in zip(again, chosen, strict=True):
            tokens[number] = token
    for number, grammar in followed:
        grammar.take(tokens[number])


def _is_greedy(sampler: Sampler) -> bool:
    return sampler.sampling.temperature <= 0


def _draw(logits: torch.Tensor, samplers: Sequence[Sampler], rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The numbers of the samplers that draw, each with its token; those with one distribution draw from it together."""
    together: dict[_Distribution, list[int]] = {}
    for number, (row, sampler) in enumerate(zip(rows, samplers, strict=True)):
        if not _is_greedy(sampler):
            together.setdefault(_distribution(row, sampler.sampling), []).append(number)
    if not together:
        return
    probabilities = _probabilities(logits, list(together))
    chances = [[samplers[number].chance.random() for number in numbers] for numbers in together.values()]
    most = max(map(len, chances))
    drawn = torch.tensor([some + [0.0] * (most - len(some)) for some in chances], dtype=torch.float64)
    tokens = _at_shares(probabilities, drawn.to(logits.device)).tolist()
    for numbers, found in zip(together.values(), tokens, strict=True):
        yield from zip(numbers, found, strict=False)


_Distribution: TypeAlias = tuple[int, float, float, int, float]
"""A row, and the temperature, top-p, top-k (0 for all tokens) and min-p with which to draw from it."""


def _distribution(row: int, sampling: Sampling) -> _Distribution:
    return row, sampling.temperature, sampling.top_p, sampling.top_k or 0, sampling.min_p or 0.0


def _probabilities(logits: torch.Tensor, distributions: Sequence[_Distribution]) -> torch.Tensor:
    """Probabilities, up to a factor, of each row's distribution: the temperature first, then top-k, top-p and min-p, as in
    transformers.
    """
    rows, temperatures, shares, counts, ratios = (list(column) for column in zip(*distributions, strict=True))
    if rows != list(range(len(logits))):
        logits = logits[rows]
    if set(temperatures) != {1.0}:
        logits = logits / logits.new_tensor(temperatures)[:, None]
    probabilities = torch.softmax(logits, -1)
    few = [place for place, count in enumerate(counts) if 0 < count < logits.shape[-1]]
    if few:
        probabilities[few] = _likeliest(probabilities[few], logits.new_tensor([counts[place] for place in few]))
    cut = [place for place, share in enumerate(shares) if share < 1]
    if cut:
        probabilities[cut] = _nucleus(probabilities[cut], logits.new_tensor(shares)[cut])
    if any(ratios):
        probabilities[probabilities < logits.new_tensor(ratios)[:, None] * probabilities.amax(-1, keepdim=True)] = 0
    return probabilities


def _at_shares(probabilities: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The tokens at these shares of each row's distribution, ``rows x shares``: first their blocks, then within these.

    Sums of blocks are several times as fast as a running sum over the vocabulary.
    """
    rows, vocabulary = probabilities.shape
    blocks = pad(probabilities, (0, -vocabulary % _BLOCK)).view(rows, -1, _BLOCK)
    sums = blocks.sum(-1)
    block, rest = _place(sums, shares)
    within = blocks[torch.arange(rows, device=block.device)[:, None], block]
    place, _ = _place(within.flatten(0, 1), rest.flatten()[:, None])
    return block * _BLOCK + place.view_as(block)


def _place(weights: torch.Tensor, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where in each row its weights sum up to a share of their sum, and the share of that weight that is below."""
    reached = weights.cumsum(-1, dtype=torch.float64)
    wanted = shares.clamp(max=_BELOW_ONE) * reached[:, -1:]
    place = torch.searchsorted(reached, wanted, right=True)
    own = weights.gather(-1, place).double()
    return place, ((wanted - (reached.gather(-1, place) - own)) / own).clamp(min=0.0)


def _likeliest(probabilities: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Only this many of the likeliest tokens of each row, with probabilities that sum up to 1; of equal ones, the first."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    ordered[torch.arange(ordered.shape[-1], device=ordered.device) >= counts[:, None]] = 0
    return torch.zeros_like(probabilities).scatter_(-1, order, ordered / ordered.sum(-1, keepdim=True))


def _nucleus(probabilities: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Only the likeliest tokens whose probabilities sum up to the share; the one that reaches it is kept."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    ordered[before >= shares[:, None]] = 0
    return torch.zeros_like(probabilities).scatter_(-1, order, ordered)


def _with_logprobs(
    logits: torch.Tensor, tokens: Sequence[int], samplers: Sequence[Sampler], rows: Sequence[int]
) -> list[Choice]:
    logprobs = logits.log_softmax(-1)  # logsumexp divides a single row among threads, and its sum rounds otherwise
    of_chosen = logprobs[list(rows), list(tokens)].tolist()
    tops, ids = (found.tolist() for found in logprobs.topk(min(TOP_LOGPROBS, logits.shape[-1]), -1))
    return [
        Choice(token, logprob, tuple(zip(ids[row], tops[row], strict=True)))
        if sampler.wants_logprobs
        else Choice(token)
        for token, logprob, sampler, row in zip(tokens, of_chosen, samplers, rows, strict=True)
    ]
