"""Keys and values of the sequences that the hf engine is writing: a row of its own for each, written in place.

transformers' own dynamic cache is copied at every step, and its static one is computed over its whole length at every step. This
one gives attention a view that is as long as the longest row, so that a step costs what it has to. What sequences begin with and
share is not in their rows: it stays in its segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache

from rmr1.prefix.attention import as_attended
from rmr1.prefix.segments import Segment

_GRAIN = 64
"""Lengths are rounded up to this: what attention sees, and what is allocated."""
_GROWTH = 1.5


class RowCache(Cache):
    """What transformers writes to and reads from.

    Args:
        rows: Sequences that fit in.
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
        """The next forward pass writes one token of each of the first rows.

        Args:
            places: Where in its row each token goes.
            longest: The last of these places.

        Returns:
            The length of what attention will see of the rows: past the last place, rounded up.
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
