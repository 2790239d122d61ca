"""Prefill: prompts become segments. Instructions that prompts share are computed once, and so is a prompt that is repeated.

Short prompts are computed in one forward pass: each pass has a cost of its own, and products with few rows are slow. Each
prompt is cut into the same chunks whatever is computed with it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

import torch

from rmr1.prefix.parts import Piece, Segment

_CHUNK = 1024
"""Most tokens of a forward pass."""
_MIN_SHARED = 16
"""Shorter instructions are not worth a segment."""

Compute = Callable[[Sequence[Piece]], torch.Tensor]


class PromptTokens(NamedTuple):
    """A prompt before its prefill.

    Args:
        tokens: All of it.
        instructions: How many tokens other prompts begin with, fewer than all.
    """

    tokens: tuple[int, ...]
    instructions: int


@dataclass(frozen=True, slots=True)
class PrefilledPrompt:
    """A prompt after its prefill.

    Args:
        tokens: All of it.
        instructions: The segments that other prompts share.
        rest: The segments after them.
        logits: Of the first completion token.
        cached: How many tokens were not computed, because their keys and values were known.
    """

    tokens: tuple[int, ...]
    instructions: tuple[Segment, ...]
    rest: tuple[Segment, ...]
    logits: torch.Tensor
    cached: int


class Head(NamedTuple):
    """The segments of a prompt's instructions, and how many of their tokens were known before."""

    segments: tuple[Segment, ...]
    cached: int


class Begun(NamedTuple):
    """A prompt whose instructions are computed, and the rest of it: of several pieces only where a row would not hold it."""

    prompt: PromptTokens
    head: Head
    rest: list[Piece]


class Prompts:
    """Prefills prompts, and remembers the latest one and the latest instructions.

    Args:
        alone: Whether each prompt is computed by itself, because products are not batch-invariant here.
    """

    def __init__(self, alone: bool = False) -> None:
        self._alone = alone
        self._latest: PrefilledPrompt | None = None
        self._instructions: tuple[Segment, ...] = ()

    def read(self, prompts: Iterable[PromptTokens], compute: Compute) -> Iterator[PrefilledPrompt | None]:
        """Prefill prompts.

        Args:
            prompts: The prompts.
            compute: Computes pieces in one row and returns the logits after the last token of each. It is not kept: a reference
                back to the batch would keep gigabytes alive until Python collects such cycles.

        Yields:
            Each prompt in turn, and None after each forward pass.
        """
        begun: list[Begun] = []
        for prompt in prompts:
            latest = self._latest
            if latest is not None and latest.tokens == prompt.tokens and not begun:
                yield replace(latest, cached=len(latest.tokens))
                continue
            head = yield from self._head(prompt, compute)
            rest = _cut(prompt.tokens[sum(map(len, head.segments)) :], head.segments)
            if begun and (self._alone or sum(_length(other.rest) for other in begun) + _length(rest) > _CHUNK):
                yield from self._finish(begun, compute)
                begun = []
            begun.append(Begun(prompt, head, rest))
        if begun:
            yield from self._finish(begun, compute)

    def _head(self, prompt: PromptTokens, compute: Compute) -> Generator[None, None, Head]:
        if prompt.instructions < _MIN_SHARED:
            return Head((), 0)
        tokens = prompt.tokens[: prompt.instructions]
        if tuple(chain.from_iterable(segment.tokens for segment in self._instructions)) == tokens:
            return Head(self._instructions, len(tokens))
        pieces = _cut(tokens, ())
        for piece in pieces:
            compute([piece])
            yield
        self._instructions = tuple(piece.segment for piece in pieces)
        return Head(self._instructions, 0)

    def _finish(self, begun: Sequence[Begun], compute: Compute) -> Iterator[PrefilledPrompt | None]:
        """Compute what is left: of several prompts in one row, of a single one piece by piece."""
        rows = [[piece] for piece in begun[0].rest] if len(begun) == 1 else [[of.rest[0] for of in begun]]
        for row in rows:
            logits = compute(row)
            yield None
        for (prompt, head, rest), of_next in zip(begun, logits, strict=True):
            segments = tuple(piece.segment for piece in rest)
            self._latest = PrefilledPrompt(prompt.tokens, head.segments, segments, of_next, head.cached)
            yield self._latest


def _cut(tokens: tuple[int, ...], before: tuple[Segment, ...]) -> list[Piece]:
    """Pieces of tokens that follow some segments and each other."""
    pieces: list[Piece] = []
    for begin in range(0, len(tokens), _CHUNK):
        segment = Segment(tokens[begin : begin + _CHUNK])
        pieces.append(Piece(segment, before))
        before = (*before, segment)
    return pieces


def _length(pieces: Sequence[Piece]) -> int:
    return sum(len(piece.segment) for piece in pieces)
