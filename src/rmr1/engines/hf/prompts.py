"""Prompts as segments: the instructions at their beginning are computed once, and so is a prompt that follows itself.

Short prompts are computed beside each other, for a product of few rows costs nearly as much as one of many. Each is cut at the same
places whatever is beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

import torch

from rmr1.prefix.segments import Piece, Segment

_CHUNK = 1024
"""Tokens that are computed at once."""
_MIN_SHARED = 16
"""Shorter instructions are not worth a segment."""

Compute = Callable[[Sequence[Piece]], torch.Tensor]


class Asked(NamedTuple):
    """A prompt that is to be computed.

    Args:
        tokens: All of it.
        instructions: How many tokens other prompts begin with, fewer than all.
    """

    tokens: tuple[int, ...]
    instructions: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """A computed prompt.

    Args:
        tokens: All of it.
        instructions: The segments that other prompts share.
        rest: The segments after them.
        logits: Of the token that follows.
        cached: How many tokens were known before.
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


class Prompts:
    """Computes prompts, and remembers the latest one and the latest instructions.

    Args:
        alone: Whether each is computed by itself, because rows of a product feel how many they are.
    """

    def __init__(self, alone: bool = False) -> None:
        self._alone = alone
        self._latest: Prompt | None = None
        self._instructions: tuple[Segment, ...] = ()

    def read(self, asked: Sequence[Asked], compute: Compute) -> Generator[None, None, list[Prompt]]:
        """Compute prompts; pauses after each piece of work.

        Args:
            asked: The prompts; one that stands here twice is computed twice.
            compute: Computes pieces in one row; returns the logits after the last token of each. It is not kept: a reference back
                to who computes would keep gigabytes alive until Python looks for such cycles.
        """
        latest = self._latest
        if latest is not None and asked and asked[0].tokens == latest.tokens:
            again = replace(latest, cached=len(latest.tokens))
            return [again, *(yield from self.read(asked[1:], compute))]
        begun: list[tuple[Head, list[Piece]]] = []
        for prompt in asked:
            head = yield from self._head(prompt, compute)
            begun.append((head, _cut(prompt.tokens[sum(map(len, head.segments)) :], head.segments)))
        logits = yield from self._compute([piece for _, rest in begun for piece in rest], compute)
        prompts = [
            Prompt(
                prompt.tokens,
                head.segments,
                tuple(piece.segment for piece in rest),
                logits[rest[-1].segment],
                head.cached,
            )
            for prompt, (head, rest) in zip(asked, begun, strict=True)
        ]
        self._latest = prompts[-1] if prompts else latest
        return prompts

    def _head(self, asked: Asked, compute: Compute) -> Generator[None, None, Head]:
        if asked.instructions < _MIN_SHARED:
            return Head((), 0)
        tokens = asked.tokens[: asked.instructions]
        if tuple(chain.from_iterable(segment.tokens for segment in self._instructions)) == tokens:
            return Head(self._instructions, len(tokens))
        pieces = _cut(tokens, ())
        yield from self._compute(pieces, compute)
        self._instructions = tuple(piece.segment for piece in pieces)
        return Head(self._instructions, 0)

    def _compute(self, pieces: Sequence[Piece], compute: Compute) -> Generator[None, None, dict[Segment, torch.Tensor]]:
        """Compute pieces, as many at once as fit; the logits after each."""
        logits: dict[Segment, torch.Tensor] = {}
        for together in [[piece] for piece in pieces] if self._alone else _rows(pieces):
            for piece, of_piece in zip(together, compute(together), strict=True):
                logits[piece.segment] = of_piece
            yield
        return logits


def _cut(tokens: tuple[int, ...], before: tuple[Segment, ...]) -> list[Piece]:
    """Pieces of tokens that follow some segments and each other."""
    pieces: list[Piece] = []
    for begin in range(0, len(tokens), _CHUNK):
        segment = Segment(tokens[begin : begin + _CHUNK])
        pieces.append(Piece(segment, before))
        before = (*before, segment)
    return pieces


def _rows(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces in rows; one that follows another never gets into a row with it, for the other fills its row alone."""
    rows: list[list[Piece]] = []
    length = 0
    for piece in pieces:
        if not rows or length + len(piece.segment) > _CHUNK:
            rows.append([])
            length = 0
        rows[-1].append(piece)
        length += len(piece.segment)
    return rows
