"""llama.cpp's server inside this process: loading, completing, and keeping the instructions computed.

Every prompt of a run begins with the same instructions, often most of its tokens, and each slot has a cache of its own. So the
instructions are computed once, saved, and copied: to every slot at the start, and with a single slot before every prompt. The
copy takes some 10 ms where computing them takes seconds on a small CPU; and because a prompt always meets the same state, and a
completion always the whole prompt computed in the same way, its log-probabilities are the same in every run. That is given up where
``reuse`` is ``longest``: then a slot keeps whatever the next prompt has in common with the one before.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rmr1.config import EngineConfig
from rmr1.errors import EngineError, MissingExtraError

try:
    import xllamacpp
except ImportError as error:
    raise MissingExtraError("the llamacpp engine", "llamacpp") from error

_PROBE = [{"role": "user", "content": "x"}]
_STATE = "instructions.bin"
_SLOT_TIMEOUT_S = 600
Chunk = Mapping[str, Any]
Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prompt that waits in its slot: what to send with its request, and how many of its tokens had to be computed."""

    arguments: dict[str, Any] = field(default_factory=dict)
    computed_tokens: int = 0


class LlamaCppServer:
    """One model with its slots.

    Args:
        path: The GGUF file.
        slots: Sequences that are decoded together.
        context: Tokens of each slot.
        config: ``threads``, ``gpu_layers`` and ``reuse``.

    Raises:
        EngineError: llama.cpp cannot load the file.
    """

    def __init__(self, path: Path, slots: int, context: int, config: EngineConfig) -> None:
        self._slots = slots
        self._repeats = slots == 1 and config.reuse == "instructions"
        self._states = tempfile.TemporaryDirectory(prefix="rmr1-llamacpp-")
        try:
            self._server = _load(path, slots, context, config.threads, config.gpu_layers, self._states.name)
        except EngineError:
            self._states.cleanup()
            raise
        self._lock = threading.Lock()
        self._instructions: Messages | None = None
        self._prompt: Messages | None = None

    def complete(self, arguments: Mapping[str, Any], receive: Callable[[Chunk], bool]) -> None:
        """Write one completion; blocks. ``receive`` gets every chunk and stops the writing by returning True."""
        options = {"stream": True, "stream_options": {"include_usage": True}}
        self._server.handle_chat_completions({**arguments, **options}, receive)

    def prepare(self, messages: Messages) -> Prepared:
        """Bring a slot to the state in which this prompt's completion is to be written."""
        instructions = messages[:1] if len(messages) > 1 else []
        with self._lock:
            if instructions != self._instructions:
                self._compute_instructions(instructions)
            if not self._repeats:
                return Prepared()
            if messages == self._prompt:
                return Prepared({"id_slot": 0})
            self._restore(0)
            self._prompt = messages
            usage = self._compute(messages)
            return Prepared({"id_slot": 0}, usage["prompt_tokens"] - cached_tokens(usage) if usage else 0)

    def template_opens_think(self) -> bool:
        """Whether the model's chat template opens a think block before the first token of an answer."""
        prompt: str = self._post("/apply-template", {"messages": _PROBE})["prompt"]
        return prompt.rstrip().endswith("<think>")

    def close(self) -> None:
        """Unload the model. Nothing may be under way: llama.cpp does not survive it."""
        self._server = None
        self._states.cleanup()

    def _compute_instructions(self, instructions: Messages) -> None:
        self._compute([*instructions, *_PROBE])
        self._post("/slots/0?action=save", {"filename": _STATE})
        for slot in range(1, self._slots):
            self._restore(slot)
        self._instructions, self._prompt = instructions, None

    def _compute(self, messages: Messages) -> Mapping[str, Any] | None:
        answer = self._server.handle_chat_completions({"messages": messages, "max_tokens": 1, "id_slot": 0})
        # A prompt that is too long fails here first; the request itself will say so.
        return answer.get("usage") if isinstance(answer, dict) else None

    def _restore(self, slot: int) -> None:
        self._post(f"/slots/{slot}?action=restore", {"filename": _STATE})

    def _post(self, path: str, content: Mapping[str, Any]) -> Any:
        request = urllib.request.Request(
            self._server.listening_address + path, json.dumps(content).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_SLOT_TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise EngineError(f"llama.cpp refuses {path}: {error.read().decode(errors='replace')}") from error


def cached_tokens(usage: Mapping[str, Any]) -> int:
    """How many tokens of a prompt were taken from the cache."""
    return int((usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0))


def _processors() -> int:
    # Threads beyond the processors that this process may use would wait for each other in busy loops.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _load(path: Path, slots: int, context: int, threads: int | None, gpu_layers: int, states: str) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.verbosity = -1
    parameters.n_parallel = slots
    parameters.n_ctx = context * slots
    parameters.n_gpu_layers = gpu_layers
    parameters.slot_save_path = f"{states}{os.sep}"
    parameters.ui = False
    threads = threads or _processors()
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    # The parser of this project reads think blocks itself; the server must not cut them out.
    parameters.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise EngineError(
            f"llama.cpp cannot load {path}; is it a whole GGUF file, and is there memory for it?"
        ) from error
