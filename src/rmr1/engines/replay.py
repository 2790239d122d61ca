"""Recorded generations, byte for byte: a run's ``completions.jsonl``, or a file written by hand.

A line holds ``request`` (the request's id, ``PAIR/ORDER/VOTE``) and ``text``; ``finish_reason``, ``think_open``, ``usage`` and
``prompt_sha256`` may follow. Where the hash is there, the recording is refused for another prompt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from typing import Any

from rmr1.config import EngineConfig
from rmr1.errors import EngineError, ModelNotFoundError
from rmr1.files import expand_home, parse_json
from rmr1.records import UNKNOWN_USAGE, Generation, GenerationRequest, Message, Usage


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
        EngineError: A line is not a recording, a request is not recorded, or it was recorded for another prompt.
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
        self._offsets = self._index()

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
                    raise EngineError(f'{self.path}: nothing is recorded for the request "{request.id}"')
                recording.seek(offset)
                yield self._generation(request, parse_json(recording.readline(), finite=False))

    async def aclose(self) -> None:
        """Nothing to free."""

    def _index(self) -> dict[str, int]:
        offsets: dict[str, int] = {}
        position = 0
        with self.path.open("rb") as recording:
            for number, line in enumerate(recording, 1):
                try:
                    offsets[parse_json(line, finite=False)["request"]] = position
                except (ValueError, KeyError, TypeError) as error:
                    raise EngineError(f'{self.path}:{number}: not a recording with "request" and "text"') from error
                position += len(line)
        return offsets

    def _generation(self, request: GenerationRequest, record: Mapping[str, Any]) -> Generation:
        recorded = record.get("prompt_sha256")
        if recorded is not None and recorded != prompt_sha256(request.messages):
            raise EngineError(
                f'{self.path}: "{request.id}" was recorded for another prompt; use the data, template and fencing of that run'
            )
        return Generation(
            request_id=request.id,
            text=record["text"],
            finish_reason=record.get("finish_reason", "stop"),
            usage=Usage(**record["usage"]) if "usage" in record else UNKNOWN_USAGE,
            think_open=record.get("think_open", False),
        )
