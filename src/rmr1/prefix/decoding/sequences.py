"""Sequences being decoded, the rows that hold them, and the keys and values of the rows.

A trained judge is rarely in doubt, so several samples of one prompt mostly begin alike. As long as they do, they are one row, which
is computed once. Each of them still draws its tokens from a generator of its own, and the first that draws another token than
the rest moves to a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import Cache

from rmr1.prefix.attention import as_attended
from rmr1.prefix.decoding.grammar import TokenGrammar
from rmr1.prefix.decoding.sampling import Choice, Sampler
from rmr1.prefix.parts import Segment
from rmr1.records import FinishReason, GenerationRequest

_GRAIN = 64
"""Lengths are rounded up to this: what attention sees, and what is allocated."""
_GROWTH = 1.5


@dataclass(slots=True)
class DecodingSequence:
    """A prompt and its completion so far.

    Args:
        request: What is to be completed, and how to sample.
        prompt: The prompt's tokens.
        instructions: How many of them, from the first, other prompts share.
        limit: Most completion tokens.
        repeated: Whether other sequences have the same prompt and attend to it together.
        grammar: What the completion follows; its shortest text fits into ``limit``.

    Attributes:
        sampler: Draws the completion tokens.
        choices: The completion tokens so far.
        cached: How many prompt tokens were not computed for this sequence, because their keys and values were known.
        finish: Why the completion ended; None while it is under way.
    """

    request: GenerationRequest
    prompt: tuple[int, ...]
    instructions: int
    limit: int
    repeated: bool = False
    grammar: TokenGrammar | None = None
    sampler: Sampler = field(init=False)
    choices: list[Choice] = field(default_factory=list)
    cached: int = 0
    finish: FinishReason | None = None

    def __post_init__(self) -> None:
        place = None if self.grammar is None else self.grammar.begin(self.limit)
        self.sampler = Sampler(self.request.sampling, self.request.logprobs, place)

    def take(self, choice: Choice, stops: frozenset[int]) -> None:
        """Add a completion token, and see whether it is the last."""
        self.choices.append(choice)
        if choice.token in stops:
            self.finish = "stop"
        elif len(self.choices) >= self.limit:
            self.finish = "length"


@dataclass(slots=True)
class Row:
    """Sequences with the same prompt and the same completion tokens so far: they are computed once.

    Args:
        sequences: At least one.
        shared: Segments at their beginning that are not copied into the row.
    """

    sequences: list[DecodingSequence]
    shared: tuple[Segment, ...]

    @property
    def latest(self) -> int:
        """The latest completion token, which the next decode step takes in."""
        return self.sequences[0].choices[-1].token

    @property
    def length(self) -> int:
        """How many tokens have keys and values before the next decode step."""
        return len(self.sequences[0].prompt) + len(self.sequences[0].choices) - 1

    @property
    def own_length(self) -> int:
        """How many of these are in the row."""
        return self.length - sum(map(len, self.shared))

    def divide(self) -> Iterator[Row]:
        """Keep the sequences that drew the same token as the first one; yield the others as rows of their own."""
        by_token: dict[int, list[DecodingSequence]] = {}
        for sequence in self.sequences:
            by_token.setdefault(sequence.choices[-1].token, []).append(sequence)
        self.sequences, *others = by_token.values()
        for sequences in others:
            yield Row(sequences, self.shared)


class RowCache(Cache):
    """Keys and values of the rows, as a cache of transformers: each row is written in place.

    The dynamic cache of transformers is copied at every step, and its static one is read over its whole length at every step.
    This one gives attention a view as long as the longest row. What sequences share at their beginning is not in their rows: it
    stays in its segments.

    Args:
        rows: How many rows fit in.
    """

    def __init__(self, rows: int) -> None:
        super().__init__(layers=[])
        self._rows = rows
        self._capacity = 0
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []
        self._segments: Sequence[Segment] = ()
        self._step: tuple[torch.Tensor, torch.Tensor, int] | None = None

    def expect_segments(self, segments: Sequence[Segment]) -> None:
        """The next forward pass computes these segments, in one row, and nothing else."""
        self._segments, self._step = segments, None

    def expect_step(self, places: torch.Tensor, longest: int) -> int:
        """The next forward pass is a decode step: one token of each of the first rows.

        Args:
            places: Where in its row each token goes.
            longest: The last of these places.

        Returns:
            How much of the rows attention will see: past the last place, rounded up.
        """
        length = -(-(longest + 1) // _GRAIN) * _GRAIN
        self._reserve(length)
        self._segments, self._step = (), (torch.arange(len(places), device=places.device), places, length)
        return length

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by each attention layer: keep what is new; return the segments' own states, or what the rows hold."""
        key_states, value_states = as_attended(key_states, value_states)
        if self._step is None:
            self._keep(key_states[0], value_states[0])
            return key_states, value_states
        if layer_idx == len(self._keys):
            self._keys.append(self._empty(key_states))
            self._values.append(self._empty(value_states))
        return self._store(self._keys[layer_idx], key_states), self._store(self._values[layer_idx], value_states)

    def put(self, row: int, segments: Sequence[Segment]) -> None:
        """Copy segments, one after the other, to the beginning of a row."""
        if not self._keys:
            self._keys = [self._empty(states[None]) for states in segments[0].keys]
            self._values = [self._empty(states[None]) for states in segments[0].values]
        self._reserve(sum(map(len, segments)))
        start = 0
        for segment in segments:
            end = start + len(segment)
            for buffers, kept in ((self._keys, segment.keys), (self._values, segment.values)):
                for buffer, states in zip(buffers, kept, strict=True):
                    buffer[row, :, start:end] = states
            start = end

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` places of a row to another."""
        for buffers in (self._keys, self._values):
            for buffer in buffers:
                buffer[target, :, :length] = buffer[source, :, :length]

    def _keep(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        lengths = [len(segment) for segment in self._segments]
        parts = zip(self._segments, torch.split(keys, lengths, 1), torch.split(values, lengths, 1), strict=True)
        for segment, own_keys, own_values in parts:
            # Copies: a view would keep alive what it is a view of, the queries or other segments for instance.
            segment.keys.append(own_keys.clone(memory_format=torch.contiguous_format))
            segment.values.append(own_values.clone(memory_format=torch.contiguous_format))

    def _store(self, buffer: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        assert self._step is not None
        rows, places, length = self._step
        buffer[rows, :, places] = states[:, :, 0]
        return buffer[: len(rows), :, :length]

    def _empty(self, states: torch.Tensor) -> torch.Tensor:
        # Zeros, because what is masked is still multiplied: it must be a number.
        return states.new_zeros(self._rows, states.shape[1], self._capacity, states.shape[3])

    def _reserve(self, length: int) -> None:
        if length <= self._capacity:
            return
        before, wanted = self._capacity, max(length, int(self._capacity * _GROWTH))
        self._capacity = -(-wanted // _GRAIN) * _GRAIN
        for buffers in (self._keys, self._values):
            for number, old in enumerate(buffers):
                buffers[number] = self._empty(old)
                buffers[number][:, :, :before] = old
