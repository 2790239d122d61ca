"""Traces, from the file that ``rmr1 distill`` writes to the tokens that a model reads and learns.

A file has one JSON object a line::

    {"prompt": [{"role": "system", "content": "..."}, {"role": "user", "content": "..."}],
     "completion": [{"role": "assistant", "content": "<type>Chat</type> ... <answer>[[A]]</answer>"}],
     "id": "pair-17/ab", "label": "A", "group": "prompt-9", "category": "chat"}

``prompt`` and ``completion`` are TRL's conversational columns; all others may be absent.

The prompt's tokens are exactly those that an engine sends at inference, the opening of the judge's turn included. The supervised
tokens are exactly those of the trace, joined to a thought that the chat template has opened, and the one that ends the turn. Prompt
and trace are tokenised apart, as a judge meets them: no token spans the boundary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rmr1.errors import DataError
from rmr1.records import Generation, Message, Side
from rmr1.sides import OTHER_SIDE
from rmr1.training.chat_tokens import end_of_turn, joined, prompt_tokens
from rmr1.verdict import parse_verdict

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from rmr1.engines.chat_text import ChatText

IGNORED = -100
"""The label of a token that the loss is not on."""
_SHARES = 1 << 32


class _Turn(BaseModel):
    role: str
    content: str


class _Reply(BaseModel):
    role: Literal["assistant"]
    content: Annotated[str, Field(min_length=1)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore")

    prompt: Annotated[list[_Turn], Field(min_length=1)]
    completion: Annotated[list[_Reply], Field(min_length=1, max_length=1)]
    id: str = ""
    label: Side | None = None
    group: str | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """A prompt, and the completion to learn. ``label`` is the better shown side where it is known."""

    id: str
    prompt: tuple[Message, ...]
    completion: str
    label: Side | None
    group: str


def read_traces(path: Path) -> list[Trace]:
    """Read a file of traces.

    Raises:
        DataError: There is no such file, no trace in it, or a line is none; the message names the line.
    """
    try:
        traces = list(_traces(path))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if not traces:
        raise DataError(f"{path}: holds no traces")
    return traces


def _traces(path: Path) -> Iterator[Trace]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = _Row.model_validate_json(line)
            except ValidationError as error:
                problem = error.errors()[0]
                where = ".".join(str(part) for part in problem["loc"])
                raise DataError(
                    f"{path}:{number}: {where + ': ' if where else ''}{problem['msg']}; expected a trace of rmr1 distill"
                ) from error
            name = row.id or f"line-{number}"
            yield Trace(
                id=name,
                prompt=tuple(Message(turn.role, turn.content) for turn in row.prompt),
                completion=row.completion[0].content,
                label=row.label,
                group=row.group or name.rpartition("/")[0] or name,
            )


def split_held_out(traces: list[Trace], share: float, seed: int) -> tuple[list[Trace], list[Trace]]:
    """Part traces into those to train on and those held out, by a hash of their group, so that no prompt is in both."""
    if share == 0:
        return traces, []
    training: list[Trace] = []
    held: list[Trace] = []
    for trace in traces:
        (held if _draw(trace.group, seed) < share else training).append(trace)
    return training, held


def _draw(group: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}\0held-out\0{group}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / _SHARES


@dataclass(frozen=True, slots=True)
class VerdictToken:
    """Where a trace says its verdict: index among the example's tokens, the token of the right letter, and the other one.

    The right letter is the one that the trace says: with a label, ``tokenise`` has checked it; without, it is taken to be right.
    """

    index: int
    gold: int
    other: int


@dataclass(frozen=True, slots=True)
class Example:
    """One trace as tokens; the first ``prompt_length`` are the prompt."""

    id: str
    tokens: tuple[int, ...]
    prompt_length: int
    verdict: VerdictToken | None = None

    @property
    def labels(self) -> list[int]:
        """The tokens to learn, ``IGNORED`` elsewhere."""
        return [IGNORED] * self.prompt_length + list(self.tokens[self.prompt_length :])


@dataclass(frozen=True, slots=True)
class Tokenised:
    """The examples that fit, and the ids of those that were dropped because they are too long."""

    examples: list[Example]
    too_long: list[str]

    @property
    def supervised(self) -> int:
        """Tokens that the loss is on."""
        return sum(len(example.tokens) - example.prompt_length for example in self.examples)

    @property
    def tokens(self) -> int:
        """All tokens."""
        return sum(len(example.tokens) for example in self.examples)


def tokenise(
    traces: Sequence[Trace],
    tokenizer: PreTrainedTokenizerBase,
    text: ChatText,
    max_length: int,
    *,
    verdicts: bool = False,
) -> Tokenised:
    """Make tokens of traces; an example longer than ``max_length`` is dropped, never cut.

    Args:
        traces: What to learn.
        tokenizer: The model's, with its chat template.
        text: The same, between messages and tokens.
        max_length: Tokens of prompt and trace together.
        verdicts: Locate the verdict of each trace.

    Raises:
        DataError: The chat template refuses a prompt, such as one with a system message; or a judge that wrote a trace under
            this template would not be read as the trace's label.
    """
    end = end_of_turn(tokenizer)
    opening = text.opening()
    examples: list[Example] = []
    too_long: list[str] = []
    for trace in traces:
        spoken = _spoken(trace, opening)
        prompt = prompt_tokens(trace.prompt, text, f"trace {trace.id}")
        completion = text.completion(spoken.text)
        tokens = (*prompt, *completion, end)
        if len(tokens) > max_length:
            too_long.append(trace.id)
            continue
        verdict = _locate(trace, spoken, completion, len(prompt), text) if verdicts else None
        examples.append(Example(trace.id, tokens, len(prompt), verdict))
    return Tokenised(examples, too_long)


def _spoken(trace: Trace, opening: str) -> Generation:
    """A trace as the judge is to write it under this chat template, checked to be read then as what it says."""
    spoken = Generation(trace.id, joined(trace.completion, opening), think_open=bool(opening))
    read = parse_verdict(spoken)
    wanted = trace.label or parse_verdict(Generation(trace.id, trace.completion)).side
    if read.side != wanted:
        verdict = read.side or f"no verdict ({read.invalid})"
        unclosed = ", because its thought is never closed" if "unclosed_think" in read.problems else ""
        raise DataError(
            f"trace {trace.id}: its label is {wanted}, but a judge that writes it is read as {verdict}{unclosed}; "
            f"correct it or leave it out"
        )
    return spoken


def _locate(
    trace: Trace, spoken: Generation, completion: list[int], offset: int, encoder: ChatText
) -> VerdictToken | None:
    verdict = parse_verdict(spoken)
    if verdict.side is None or verdict.position is None:
        return None
    text, place = spoken.text, verdict.position
    other = encoder.completion(f"{text[:place]}{OTHER_SIDE[verdict.side]}{text[place + 1 :]}")
    differing = [index for index, pair in enumerate(zip(completion, other, strict=False)) if pair[0] != pair[1]]
    if len(other) != len(completion) or len(differing) != 1:
        return None  # the letters are parts of tokens that are cut differently
    index = differing[0]
    return VerdictToken(offset + index, completion[index], other[index])
