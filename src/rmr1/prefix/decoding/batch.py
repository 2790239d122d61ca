"""Continuous batching: prompts are prefilled as they arrive, and each decode step gives every sequence a token.

A sequence that ends makes room for the next at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import accumulate, chain, groupby
from operator import attrgetter
from typing import Any

import torch

from rmr1.prefix.attention import PrefixAttention, attention_inputs, enable_prefix_attention
from rmr1.prefix.decoding.packed_linears import PackedLinears
from rmr1.prefix.decoding.prompts import PrefilledPrompt, Prompts, PromptTokens
from rmr1.prefix.decoding.sampling import choose
from rmr1.prefix.decoding.sequences import DecodingSequence, Row, RowCache
from rmr1.prefix.parts import Piece, PieceAttention, Segment, StepAttention
from rmr1.prefix.support import core_model

_ROWS = 16
"""Where weights are not packed, a decode step computes a multiple of this many rows: products with fewer round differently,
and then the step would not be batch-invariant."""

_LONG = 512
"""Prompts with this many tokens of their own stay out of the rows, which are all read to the end of the longest."""


def rows_for(count: int, slots: int) -> int:
    """How many rows a batch needs for ``count`` sequences in ``slots`` slots."""
    return min(slots, max(1, -(-count // _ROWS)) * _ROWS)


class Batch:
    """Sequences that are decoded together; those that are alike so far are computed once.

    Args:
        model: A causal language model of transformers in inference mode, whose layers all attend to everything before.
        slots: Most sequences at once.
        stops: Tokens that end a completion.
        packed: The model's packed weights, where they outlive the batch.
    """

    def __init__(self, model: Any, slots: int, stops: frozenset[int], packed: PackedLinears | None = None) -> None:
        self._model = model
        self._slots = slots
        self._stops = stops
        self._cache = RowCache(slots)
        self._rows: list[Row] = []
        self._packed = PackedLinears(model) if packed is None else packed
        # One slot is for single comparisons, for which a second copy of the weights is not worth it. In bfloat16 it is made all
        # the same: one slot would compute in another precision than several.
        self._packs = (slots > 1 or self._packed.in_bfloat16) and bool(self._packed)
        self._prompts = Prompts(alone=not self._packs and model.device.type == "cpu")
        enable_prefix_attention(core_model(model))

    @property
    def room(self) -> int:
        """How many more sequences fit in."""
        return self._slots - sum(len(row.sequences) for row in self._rows)

    @property
    def busy(self) -> bool:
        """Whether any sequence is under way."""
        return bool(self._rows)

    @torch.inference_mode()
    def work(self, arriving: Sequence[DecodingSequence]) -> Iterator[DecodingSequence | None]:
        """Prefill the prompts that arrive, then decode until at least one sequence is finished.

        Yields:
            The sequences that are finished, and None after each forward pass: a part of a prefill, or a decode step.
        """
        yield from self._enter(
            [list(alike) for _, alike in groupby(arriving, key=attrgetter("prompt", "instructions", "repeated"))]
        )
        finished = self._settle()
        while self._rows and not finished:
            self._step()
            finished = self._settle()
            yield None
        yield from finished

    def _enter(self, groups: Sequence[list[DecodingSequence]]) -> Iterator[None]:
        """Prefill the prompt of each group of sequences, and draw their first completion tokens."""
        waiting, before = iter(groups), len(self._rows)
        prompts = [PromptTokens(sequences[0].prompt, sequences[0].instructions) for sequences in groups]
        first: list[torch.Tensor] = []
        for prompt in self._prompts.read(prompts, self._compute):
            if prompt is None:
                yield None
                continue
            self._add(next(waiting), prompt)
            first.append(prompt.logits)
        if first:
            self._choose(torch.stack(first), self._rows[before:])

    def _add(self, sequences: list[DecodingSequence], prompt: PrefilledPrompt) -> None:
        first, *others = sequences
        first.cached = prompt.cached
        for other in others:
            other.cached = len(other.prompt)
        row = Row(sequences, prompt.instructions)
        if first.repeated or sum(map(len, prompt.rest)) >= _LONG:
            row.shared += prompt.rest
        else:
            self._cache.put(len(self._rows), prompt.rest)
        self._rows.append(row)

    def _compute(self, pieces: Sequence[Piece]) -> torch.Tensor:
        device = self._model.device
        tokens = list(chain.from_iterable(piece.segment.tokens for piece in pieces))
        positions = torch.cat([torch.arange(len(piece.segment)) + sum(map(len, piece.before)) for piece in pieces])
        ends = torch.tensor(list(accumulate(len(piece.segment) for piece in pieces)), device=device)
        self._cache.expect_segments([piece.segment for piece in pieces])
        return self._forward(
            torch.tensor([tokens], device=device), positions.to(device)[None], PieceAttention(pieces), ends - 1
        )[0]

    def _step(self) -> None:
        device = self._model.device
        rows = len(self._rows)
        empty = [0] * (0 if self._packs else rows_for(rows, self._slots) - rows)
        own = [row.own_length for row in self._rows] + empty
        lengths = [row.length for row in self._rows] + empty
        tokens = [row.latest for row in self._rows] + empty
        places = torch.tensor(own, device=device)
        seen = self._cache.expect_step(places, max(own))
        later = torch.arange(seen, device=device)[None] > places[:, None]
        mask = torch.zeros(later.shape, device=device).masked_fill_(later, float("-inf"))
        attention = StepAttention(mask[:, None, None], self._shared())
        latest, positions = torch.tensor(tokens, device=device)[:, None], torch.tensor(lengths, device=device)[:, None]
        logits = self._forward(latest, positions, attention, 1)[:rows, 0]
        self._choose(logits, self._rows)

    def _choose(self, logits: torch.Tensor, rows: Sequence[Row]) -> None:
        """Every sequence takes its next token from the logits of its row: ``rows x vocabulary``."""
        placed = [(place, sequence) for place, row in enumerate(rows) for sequence in row.sequences]
        samplers = [sequence.sampler for _, sequence in placed]
        choices = choose(logits, samplers, [place for place, _ in placed])
        for (_, sequence), choice in zip(placed, choices, strict=True):
            sequence.take(choice, self._stops)

    def _shared(self) -> list[tuple[Segment, slice | torch.Tensor]]:
        """The segments of all rows, each with the places of those that begin with it."""
        members: dict[Segment, list[int]] = {}
        for place, row in enumerate(self._rows):
            for segment in row.shared:
                members.setdefault(segment, []).append(place)
        return [(segment, self._places(places)) for segment, places in members.items()]

    def _places(self, rows: list[int]) -> slice | torch.Tensor:
        if len(rows) == rows[-1] - rows[0] + 1:
            return slice(rows[0], rows[-1] + 1)
        return torch.tensor(rows, device=self._model.device)

    def _forward(
        self, tokens: torch.Tensor, positions: torch.Tensor, attention: PrefixAttention, kept: int | torch.Tensor
    ) -> torch.Tensor:
        """The logits after the last ``kept`` tokens, or those at these places."""
        with self._packed.used() if self._packs else nullcontext():
            output = self._model(
                input_ids=tokens,
                position_ids=positions,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=kept,
                **attention_inputs(attention, self._model.device),
            )
        logits: torch.Tensor = output.logits
        return logits

    def _settle(self) -> list[DecodingSequence]:
        """Take out finished sequences, and divide the rows whose sequences have drawn different tokens."""
        finished = [sequence for row in self._rows for sequence in row.sequences if sequence.finish]
        for place in reversed(range(len(self._rows))):
            row = self._rows[place]
            row.sequences = [sequence for sequence in row.sequences if not sequence.finish]
            if not row.sequences:
                self._remove(place)
        for place, row in enumerate(tuple(self._rows)):
            for other in row.divide():
                self._cache.copy(place, len(self._rows), other.own_length)
                self._rows.append(other)
        return finished

    def _remove(self, place: int) -> None:
        """Free a row; the last one moves there."""
        last = self._rows.pop()
        if place < len(self._rows):
            self._cache.copy(len(self._rows), place, last.own_length)
            self._rows[place] = last
