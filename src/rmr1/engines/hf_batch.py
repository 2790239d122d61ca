"""The sequences that the hf engine is writing: prompts computed one by one, tokens written for all at once.

A prompt is computed alone: on a CPU that is as fast as many together, nothing is padded, and its state depends on nothing else. The
instructions at its beginning are computed once and copied; so is the whole prompt where the next one is the same, as with votes.
A sequence that ends makes room for the next at once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch

from rmr1.engines.hf_cache import RowCache, Snapshot
from rmr1.engines.hf_sampling import Choice, Chooser, choose
from rmr1.records import FinishReason, GenerationRequest

_CHUNK = 1024
"""Tokens of a prompt that are computed at once; between chunks the work can be cancelled."""
_MIN_SHARED = 16
"""Shorter instructions are not worth a copy."""
_ROWS = 16
"""A step computes a multiple of so many rows: matrix products with fewer round differently, and then neighbours would matter."""


class Cancelled(Exception):  # noqa: N818 - the end of the work, not an error of it
    """The one who asked has gone."""


@dataclass(slots=True)
class Writing:
    """A sequence under way.

    Args:
        request: What is written.
        prompt: Its tokens.
        instructions: How many of them other prompts share.
        limit: Most tokens to write.
    """

    request: GenerationRequest
    prompt: tuple[int, ...]
    instructions: int
    limit: int
    chooser: Chooser = field(init=False)
    choices: list[Choice] = field(default_factory=list)
    cached: int = 0
    finish: FinishReason | None = None

    def __post_init__(self) -> None:
        self.chooser = Chooser(self.request.sampling, self.request.logprobs)

    @property
    def length(self) -> int:
        """Tokens whose keys and values are in the cache before the latest one is computed."""
        return len(self.prompt) + len(self.choices) - 1

    def take(self, choice: Choice, stops: frozenset[int]) -> None:
        """Add a token, and see whether it is the last."""
        self.choices.append(choice)
        if choice.token in stops:
            self.finish = "stop"
        elif len(self.choices) >= self.limit:
            self.finish = "length"


class Batch:
    """Sequences that are written together.

    Args:
        model: A causal language model of transformers in inference mode, whose layers all attend to everything before.
        rows: How many at most.
        stops: Tokens that end an answer.
    """

    def __init__(self, model: Any, rows: int, stops: frozenset[int]) -> None:
        self._model = model
        self._rows = rows
        self._stops = stops
        self._cache = RowCache(rows)
        self._under_way: list[Writing] = []
        self._instructions: Snapshot | None = None
        self._prompt: tuple[Snapshot, torch.Tensor] | None = None

    @property
    def room(self) -> int:
        """How many more sequences fit in."""
        return self._rows - len(self._under_way)

    @property
    def busy(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._under_way)

    @torch.inference_mode()
    def work(self, arriving: Sequence[Writing], cancelled: threading.Event) -> list[Writing]:
        """Take in what arrives, then write until at least one sequence is finished; return those that are.

        Raises:
            Cancelled: The event is set.
        """
        finished: list[Writing] = []
        for writing in arriving:
            logits = self._compute_prompt(writing, len(self._under_way), cancelled)
            writing.take(choose(logits, [writing.chooser])[0], self._stops)
            (finished if writing.finish else self._under_way).append(writing)
        while self._under_way and not finished:
            if cancelled.is_set():
                raise Cancelled
            self._step()
            finished = self._leave()
        return finished

    def _compute_prompt(self, writing: Writing, row: int, cancelled: threading.Event) -> torch.Tensor:
        prompt = writing.prompt
        if self._prompt is not None and self._prompt[0].tokens == prompt:
            self._cache.restore(row, self._prompt[0])
            writing.cached = len(prompt)
            return self._prompt[1]
        shared = writing.instructions if writing.instructions >= _MIN_SHARED else 0
        start = 0
        if self._instructions is not None and shared and self._instructions.tokens == prompt[:shared]:
            self._cache.restore(row, self._instructions)
            start = writing.cached = shared
        logits = None
        for begin, end in _chunks(start, shared, len(prompt)):
            if cancelled.is_set():
                raise Cancelled
            logits = self._forward_prompt(row, prompt, begin, end)
            if end == shared:
                self._instructions = self._cache.snapshot(row, prompt[:shared])
        assert logits is not None  # the instructions never cover a whole prompt
        self._prompt = (self._cache.snapshot(row, prompt), logits)
        return logits

    def _forward_prompt(self, row: int, prompt: tuple[int, ...], begin: int, end: int) -> torch.Tensor:
        device = self._model.device
        positions = torch.arange(begin, end, device=device)
        sees = torch.arange(end, device=device)[None] <= positions[:, None]
        self._cache.expect_prompt(row, begin, end - begin)
        return self._forward(torch.tensor([prompt[begin:end]], device=device), positions[None], sees[None, None])

    def _step(self) -> None:
        device = self._model.device
        rows = len(self._under_way)
        empty = [0] * (min(-(-rows // _ROWS) * _ROWS, self._rows) - rows)
        lengths = [writing.length for writing in self._under_way] + empty
        tokens = [writing.choices[-1].token for writing in self._under_way] + empty
        positions, latest = torch.tensor(lengths, device=device), torch.tensor(tokens, device=device)[:, None]
        seen = self._cache.expect_step(positions, max(lengths))
        sees = torch.arange(seen, device=device)[None] <= positions[:, None]
        logits = self._forward(latest, positions[:, None], sees[:, None, None])[:rows]
        choices = choose(logits, [writing.chooser for writing in self._under_way])
        for writing, choice in zip(self._under_way, choices, strict=True):
            writing.take(choice, self._stops)

    def _forward(self, tokens: torch.Tensor, positions: torch.Tensor, sees: torch.Tensor) -> torch.Tensor:
        dtype = self._model.dtype
        mask = torch.zeros(sees.shape, dtype=dtype, device=sees.device).masked_fill_(~sees, torch.finfo(dtype).min)
        output = self._model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _leave(self) -> list[Writing]:
        """Take finished sequences out; the last ones move to their rows."""
        finished = []
        for row in reversed(range(len(self._under_way))):
            if self._under_way[row].finish is None:
                continue
            finished.append(self._under_way[row])
            last = self._under_way.pop()
            if row < len(self._under_way):
                self._cache.move(len(self._under_way), row, last.length)
                self._under_way[row] = last
        return finished[::-1]


def _chunks(start: int, shared: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a prompt where the instructions end, whether they are computed or copied, so that the rest is always computed alike."""
    cuts = [start, *([shared] if start < shared else []), end]
    for begin, stop in pairwise(cuts):
        for position in range(begin, stop, _CHUNK):
            yield position, min(position + _CHUNK, stop)
