"""The embedded engine: llama.cpp in this process, on any CPU, through ``xllamacpp``.

All prompts of a run begin with the same instructions, often most of their tokens, and each slot has a cache of its own. So the
instructions are computed once, saved, and copied: to every slot at the start, and with a single slot before every prompt. The
copy takes some 10 ms where computing them takes seconds on a small CPU. And because a prompt always meets the same state, and a
completion always a prompt that was computed in the same way, its log-probabilities are the same in every run. ``reuse: longest``
gives that up: then a slot keeps whatever the next prompt has in common with the one before.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rmr1.config import EngineConfig
from rmr1.engines.replies import dispatch
from rmr1.errors import EngineError, MissingExtraError, ModelNotFoundError, did_you_mean
from rmr1.models import cached_file, find_model, load_catalogue
from rmr1.models.files import file_fingerprint
from rmr1.records import UNKNOWN_USAGE, FinishReason, Generation, GenerationRequest, TokenLogprob, Usage

try:
    import xllamacpp
except ImportError as error:
    raise MissingExtraError("the llamacpp engine", "llamacpp") from error

_DEFAULT_CONTEXT = 8192
_TOP_LOGPROBS = 20
_PROBE = [{"role": "user", "content": "x"}]
_STATE = "instructions.bin"
_SLOT_TIMEOUT_S = 600
Chunk = Mapping[str, Any]
Messages = list[dict[str, str]]


def load(model: str, config: EngineConfig, *, concurrency: int) -> LlamaCppEngine:
    """``llamacpp/MODEL``; how many requests are under way is set by ``config.slots``."""
    return LlamaCppEngine.from_name(model, config)


class LlamaCppEngine:
    """Writes with a GGUF model.

    With one slot, a completion depends on its request alone and not on what came before it, so that an interrupted run ends
    like an undisturbed one. With more slots, or where all that prompts share is reused, rounding may differ from run to run.

    Args:
        path: The GGUF file.
        config: ``threads``, ``slots``, ``context``, ``reuse``, ``gpu_layers`` and ``think`` matter here.
        name: How the user named the model.

    Raises:
        EngineError: The file is no model that llama.cpp can load.
    """

    embedded = True
    computes_in_caller = False
    writes_logprobs = True
    obeys_grammars = True

    def __init__(self, path: Path, config: EngineConfig, name: str | None = None) -> None:
        self.name = f"llamacpp/{name or path}"
        self.path = path
        self._context = config.context or _DEFAULT_CONTEXT
        self._slots = config.slots or 1
        self._reuse = config.reuse
        self._server = LlamaCppServer(path, self._slots, self._context, config)
        self.think_open = config.think == "open" or (config.think == "auto" and self._server.template_opens_think())
        self._threads = ThreadPoolExecutor(self._slots, thread_name_prefix="llamacpp")

    @classmethod
    def from_name(cls, name: str, config: EngineConfig) -> LlamaCppEngine:
        """Load a catalogue name or a path.

        Raises:
            ModelNotFoundError: It is neither, or the model is not in the cache yet.
        """
        path = Path(name).expanduser()
        entry = find_model(name)
        if entry is not None and not path.is_file():
            cached = cached_file(entry)
            if cached is None:
                raise ModelNotFoundError(
                    f'{entry.name} is not on this machine; fetch it with "rmr1 pull {entry.name}"'
                    if entry.file
                    else f"{entry.name} has no GGUF file; serve {entry.hub.repository} and use --model openai/... --base-url ..."
                )
            path = cached
        if not path.is_file():
            near = did_you_mean(name, load_catalogue())
            raise ModelNotFoundError(f"{name}: no such GGUF file, and no such name in the catalogue{near}")
        return cls(path, config, name)

    def identity(self) -> Mapping[str, object]:
        """The file by its size and samples of it, and the settings that change completions."""
        return {
            "model_fingerprint": file_fingerprint(self.path),
            "context": self._context,
            "reuse": self._reuse,
            "think_open": self.think_open,
        }

    def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Write for all requests, as many at a time as there are slots."""
        return dispatch(requests, self._complete, self._slots)

    async def aclose(self) -> None:
        """Cancel what is under way and unload the model."""
        await asyncio.to_thread(self._threads.shutdown)
        self._server.close()

    async def _complete(self, request: GenerationRequest) -> Generation:
        completion = _Completion(request, self.think_open)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, completion.run, self._server)
        finally:
            completion.cancelled.set()


class _Completion:
    """One request on its way through llama.cpp, in a thread of its own; it stops at the next token when ``cancelled`` is set."""

    def __init__(self, request: GenerationRequest, think_open: bool) -> None:
        self.cancelled = threading.Event()
        self._request = request
        self._think_open = think_open
        self._pieces: list[str] = []
        self._tokens: list[TokenLogprob] = []
        self._finish: FinishReason | None = None
        self._usage = UNKNOWN_USAGE
        self._error: str | None = None

    def run(self, server: LlamaCppServer) -> Generation:
        if not self.cancelled.is_set():
            arguments = _arguments(self._request)
            prepared = server.prepare(arguments["messages"])
            server.complete(arguments | prepared.arguments, self._receive)
            cached = self._usage.cached_tokens - prepared.computed_tokens
            self._usage = replace(self._usage, cached_tokens=cached)
        error = self._error or (None if self._finish else "llama.cpp ended without a reason")
        return Generation(
            request_id=self._request.id,
            text="".join(self._pieces),
            finish_reason="error" if error else self._finish or "error",
            usage=self._usage,
            think_open=self._think_open,
            tokens=tuple(self._tokens) or None,
            error=error,
        )

    def _receive(self, chunk: Mapping[str, Any]) -> bool:
        if "error" in chunk:
            self._error = str(chunk["error"].get("message", chunk["error"]))
            return True
        for choice in chunk.get("choices", ()):
            self._pieces.append(choice["delta"].get("content") or "")
            self._tokens.extend(_token(token) for token in (choice.get("logprobs") or {}).get("content", ()))
            if choice.get("finish_reason"):
                self._finish = "length" if choice["finish_reason"] == "length" else "stop"
        if "usage" in chunk:
            self._usage = _usage(chunk["usage"])
        return self.cancelled.is_set()


def _arguments(request: GenerationRequest) -> dict[str, Any]:
    sampling = request.sampling
    arguments: dict[str, Any] = {
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "max_tokens": sampling.max_tokens,
    }
    if sampling.seed is not None:
        arguments["seed"] = sampling.seed
    if request.grammar is not None:
        arguments["grammar"] = request.grammar
    if request.logprobs:
        arguments |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
    return arguments


def _token(token: Mapping[str, Any]) -> TokenLogprob:
    return TokenLogprob(
        token["token"], token["logprob"], tuple((other["token"], other["logprob"]) for other in token["top_logprobs"])
    )


def _usage(usage: Mapping[str, Any]) -> Usage:
    return Usage(usage["prompt_tokens"], usage["completion_tokens"], _cached_tokens(usage))


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
            self._server = _load_model(path, slots, context, config.threads, config.gpu_layers, self._states.name)
        except EngineError:
            self._states.cleanup()
            raise
        self._lock = threading.Lock()
        self._instructions: Messages | None = None
        self._prompt: Messages | None = None

    def complete(self, arguments: Mapping[str, Any], receive: Callable[[Chunk], bool]) -> None:
        """Write one completion; blocks. ``receive`` gets every chunk and stops the completion by returning True."""
        options = {"stream": True, "stream_options": {"include_usage": True}}
        self._server.handle_chat_completions({**arguments, **options}, receive)

    def prepare(self, messages: Messages) -> Prepared:
        """Bring a slot to the state in which this prompt's completion starts."""
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
            return Prepared({"id_slot": 0}, usage["prompt_tokens"] - _cached_tokens(usage) if usage else 0)

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


def _cached_tokens(usage: Mapping[str, Any]) -> int:
    """How many tokens of a prompt were taken from the cache."""
    return int((usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0))


def _processors() -> int:
    # Threads beyond the processors that this process may use would wait for each other in busy loops.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _load_model(path: Path, slots: int, context: int, threads: int | None, gpu_layers: int, states: str) -> Any:
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
