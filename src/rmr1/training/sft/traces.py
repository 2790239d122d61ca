"""Traces as ``rmr1 distill`` writes them, one JSON object a line::

    {"prompt": [{"role": "system", "content": "..."}, {"role": "user", "content": "..."}],
     "completion": [{"role": "assistant", "content": "<type>Chat</type> ... <answer>[[A]]</answer>"}],
     "id": "pair-17/ab", "label": "A", "group": "prompt-9", "category": "chat"}

``prompt`` and ``completion`` are TRL's conversational columns; all others may be absent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rmr1.errors import DataError
from rmr1.records import Message, Side

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
