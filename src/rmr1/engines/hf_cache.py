"""Keys and values of the sequences that the hf engine is writing: one row each, written in place.

transformers' own dynamic cache is copied at every step, and its static one is computed over its whole length at every step. This
one gives attention a view that is as long as the longest sequence, so that a step costs what it has to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache

_GRAIN = 256
"""Lengths are rounded up to this. Sums over a longer view of zeros then round alike (measured, see docs/decisions/0008)."""
_GROWTH = 1.5


@dataclass(frozen=True, slots=True)
class _Prompt:
    row: int
    start: int


@dataclass(frozen=True, slots=True)
class _Step:
    rows: torch.Tensor
    positions: torch.Tensor
    length: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after some tokens, to be put into a row instead of computing it again."""

    tokens: tuple[int, ...]
    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]


class RowCache(Cache):
    """What transformers writes to and reads from, row by row.

    Args:
        rows: Sequences that fit in.
    """

    def __init__(self, rows: int) -> None:
        super().__init__(layers=[])
        self._rows = rows
        self._capacity = 0
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []
        self._place: _Prompt | _Step = _Prompt(0, 0)

    def expect_prompt(self, row: int, start: int, length: int) -> None:
        """The next forward pass writes ``length`` tokens of one row, from position ``start`` on."""
        self._reserve(start + length)
        self._place = _Prompt(row, start)

    def expect_step(self, positions: torch.Tensor, longest: int) -> int:
        """The next forward pass writes one token of each of the first rows, at ``positions``.

        Returns:
            The length of what attention will see: past the last position, rounded up.
        """
        length = -(-(longest + 1) // _GRAIN) * _GRAIN
        self._reserve(length)
        self._place = _Step(torch.arange(len(positions), device=positions.device), positions, length)
        return length

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by each attention layer: store what is new, return everything up to it."""
        if layer_idx == len(self._keys):
            self._keys.append(self._empty(key_states))
            self._values.append(self._empty(value_states))
        return self._store(self._keys[layer_idx], key_states), self._store(self._values[layer_idx], value_states)

    def snapshot(self, row: int, tokens: tuple[int, ...]) -> Snapshot:
        """Copy the beginning of a row, which holds ``tokens``."""
        length = len(tokens)
        return Snapshot(
            tokens,
            tuple(keys[row, :, :length].clone() for keys in self._keys),
            tuple(values[row, :, :length].clone() for values in self._values),
        )

    def restore(self, row: int, state: Snapshot) -> None:
        """Put a copied beginning into a row."""
        length = len(state.tokens)
        self._reserve(length)
        for buffers, kept in ((self._keys, state.keys), (self._values, state.values)):
            for buffer, part in zip(buffers, kept, strict=True):
                buffer[row, :, :length] = part

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` positions of a row to another."""
        for buffers in (self._keys, self._values):
            for buffer in buffers:
                buffer[target, :, :length] = buffer[source, :, :length]

    def _store(self, buffer: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        place = self._place
        if isinstance(place, _Prompt):
            end = place.start + states.shape[2]
            buffer[place.row, :, place.start : end] = states[0]
            return buffer[place.row : place.row + 1, :, :end]
        buffer[place.rows, :, place.positions] = states[:, :, 0]
        return buffer[: len(place.rows), :, : place.length]

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
