"""What the hf engine is writing: sequences, and rows of sequences that are alike so far.

A trained judge is rarely in doubt, so several samples of one prompt mostly begin alike. As long as they do, they are one row, which
is computed once; each of them still draws its tokens from a generator of its own, and the first that draws another token than
the rest leaves for a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rmr1.prefix.decoding.sampling import Choice, Sampler
from rmr1.prefix.segments import Segment
from rmr1.records import FinishReason, GenerationRequest


@dataclass(slots=True)
class DecodingSequence:
    """A sequence under way.

    Args:
        request: What is written.
        prompt: Its tokens.
        instructions: How many of them other prompts share.
        limit: Most tokens to write.
        repeated: Whether other sequences have the same prompt and attend to it together.
    """

    request: GenerationRequest
    prompt: tuple[int, ...]
    instructions: int
    limit: int
    repeated: bool = False
    sampler: Sampler = field(init=False)
    choices: list[Choice] = field(default_factory=list)
    cached: int = 0
    finish: FinishReason | None = None

    def __post_init__(self) -> None:
        self.sampler = Sampler(self.request.sampling, self.request.logprobs)

    def take(self, choice: Choice, stops: frozenset[int]) -> None:
        """Add a token, and see whether it is the last."""
        self.choices.append(choice)
        if choice.token in stops:
            self.finish = "stop"
        elif len(self.choices) >= self.limit:
            self.finish = "length"


@dataclass(slots=True)
class Row:
    """Sequences with one prompt that have the same tokens so far.

    Args:
        writings: These sequences, at least one.
        shared: Segments at their beginning that are not copied into the row.
    """

    writings: list[DecodingSequence]
    shared: tuple[Segment, ...]

    @property
    def latest(self) -> int:
        """The token that is to be computed next."""
        return self.writings[0].choices[-1].token

    @property
    def length(self) -> int:
        """Tokens whose keys and values are there before the latest one is computed."""
        return len(self.writings[0].prompt) + len(self.writings[0].choices) - 1

    @property
    def own_length(self) -> int:
        """How many of these are in the row."""
        return self.length - sum(map(len, self.shared))

    def divide(self) -> Iterator[Row]:
        """Keep the sequences that took the token of the first one; the others are rows of their own."""
        by_token: dict[int, list[DecodingSequence]] = {}
        for writing in self.writings:
            by_token.setdefault(writing.choices[-1].token, []).append(writing)
        self.writings, *others = by_token.values()
        for writings in others:
            yield Row(writings, self.shared)
