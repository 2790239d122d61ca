"""Recorded generations, byte for byte: a run's ``completions.jsonl``, or a file written by hand.

A line holds ``request`` (the request's id, ``PAIR/ORDER/VOTE``) and ``text``; ``finish_reason``, ``think_open``, ``usage`` and
``prompt_sha256`` may follow. Where the hash is there, the recording is refused for another prompt. Each line is looked at before
anything is answered; those of a run have to be as the run wrote them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, ValidationError

from rmr1.config import EngineConfig
from rmr1.errors import EngineError, ModelNotFoundError
from rmr1.files import expand_home, parse_json
from rmr1.records import UNKNOWN_USAGE, FinishReason, Generation, GenerationRequest, Message, Usage
from rmr1.runs import MANIFEST, is_sealed, read_journal


def prompt_sha256(messages: Iterable[Message]) -> str:
    """Hash of the messages of a prompt."""
    text = json.dumps([[message.role, message.content] for message in messages])
    return hashlib.sha256(text.encode()).hexdigest()


def load(model: str, config: EngineConfig, *, concurrency: int) -> ReplayEngine:
    """``replay/FILE`` or ``replay/RUN``; no setting matters."""
    return ReplayEngine(expand_home(model))


class ReplayEngine:
    """Answers each request with the text that was recorded under its id, in the order of the requests.

    Raises:
        ModelNotFoundError: There is no such file.
        EngineError: A line is not a recording, a request is recorded twice or not at all, or it was recorded for another prompt.
        JournalError: A line of a run's journal was changed.
    """

    embedded = True
    computes_in_caller = False
    think_open = False  # each recording says it for itself
    writes_logprobs = False
    obeys_grammars = True  # what was recorded under a grammar obeyed it

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            path = path / "completions.jsonl"
        if not path.is_file():
            raise ModelNotFoundError(
                f"{path}: no such recording; replay/ takes a completions.jsonl or the directory of a run"
            )
        self.name = f"replay/{path}"
        self.path = path
        self._offsets: dict[str, int] = {}
        for number, (place, record) in enumerate(self._lines(), 1):
            try:
                name = _Recording.model_validate(record).request
            except ValidationError as error:
                raise self._refusal(number, _first_problem(error)) from error
            if name in self._offsets:
                raise self._refusal(number, f'the request "{name}" is recorded in an earlier line already')
            self._offsets[name] = place

    def identity(self) -> Mapping[str, object]:
        """The hash of the recording."""
        with self.path.open("rb") as recording:
            return {"recording_sha256": hashlib.file_digest(recording, "sha256").hexdigest()}

    async def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Yield the recorded generation of each request."""
        with self.path.open("rb") as recording:
            for request in requests:
                offset = self._offsets.get(request.id)
                if offset is None:
                    raise EngineError(
                        f"{self.path}: nothing is recorded for {_called(request)}; replay it with the data, limit and settings of "
                        f"its run"
                    )
                recording.seek(offset)
                yield self._generation(request, recording.readline())

    async def aclose(self) -> None:
        """Nothing to free."""

    def _lines(self) -> Iterator[tuple[int, object]]:
        """The place and the content of each line."""
        with self.path.open("rb") as recording:
            of_a_run = is_sealed(recording.readline()) and (self.path.parent / MANIFEST).is_file()
        if of_a_run:
            yield from ((line.place, line.record) for line in read_journal(self.path.parent, self.path.name))
            return
        place = 0
        with self.path.open("rb") as recording:
            for number, line in enumerate(recording, 1):
                try:
                    yield place, parse_json(line, finite=False)
                except ValueError as error:
                    raise self._refusal(number, str(error)) from error
                place += len(line)

    def _refusal(self, number: int, problem: str) -> EngineError:
        return EngineError(
            f'{self.path}:{number}: not a recording with "request" and "text": {problem}; correct the line'
        )

    def _generation(self, request: GenerationRequest, line: bytes) -> Generation:
        try:
            recorded = _Recording.model_validate(parse_json(line, finite=False))
        except ValueError as error:
            raise EngineError(f"{self.path}: changed while it was replayed ({error})") from error
        if recorded.prompt_sha256 is not None and recorded.prompt_sha256 != prompt_sha256(request.messages):
            raise EngineError(
                f"{self.path}: {_called(request)} was recorded for another prompt; use the data, template and fencing of that run"
            )
        usage = recorded.usage
        return Generation(
            request_id=request.id,
            text=recorded.text,
            finish_reason=recorded.finish_reason,
            usage=UNKNOWN_USAGE if usage is None else Usage(**usage.model_dump()),
            think_open=recorded.think_open,
        )


_Count = Annotated[int, Field(ge=0, lt=2**53)]
_Text = InstanceOf[str]
"""A ``str`` of pydantic has no lone surrogates; models do write them."""


class _RecordedUsage(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0
    cached_tokens: _Count = 0
    unknown: _Count = 0


class _Recording(BaseModel):
    """A line; what else a run's journal holds of a completion plays no part."""

    model_config = ConfigDict(strict=True, extra="ignore")

    request: Annotated[_Text, Field(min_length=1)]
    text: _Text
    finish_reason: FinishReason = "stop"
    think_open: bool = False
    usage: Annotated[_RecordedUsage, Field(strict=False)] | None = None
    prompt_sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] | None = None


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    place = ".".join(map(str, problem["loc"]))
    return f"{place}: {problem['msg']}" if place else problem["msg"]


def _called(request: GenerationRequest) -> str:
    """A request in the words of its comparison."""
    one = request.comparison
    return (
        f'the request "{request.id}"'
        if one is None
        else f'the pair "{one.pair_id}" in order {one.order}, vote {one.vote}'
    )
