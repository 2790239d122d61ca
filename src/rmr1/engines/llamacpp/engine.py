"""The embedded engine: llama.cpp in this process, on any CPU, through ``xllamacpp``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rmr1.config import EngineConfig
from rmr1.engines.dispatch import dispatch
from rmr1.engines.llamacpp.server import LlamaCppServer, cached_tokens
from rmr1.errors import ModelNotFoundError
from rmr1.models import cached_file, find_model
from rmr1.models.fingerprint import file_fingerprint
from rmr1.records import FinishReason, Generation, GenerationRequest, TokenLogprob, Usage

_DEFAULT_CONTEXT = 8192
_TOP_LOGPROBS = 20


class LlamaCppEngine:
    """Writes with a GGUF model.

    With one slot, what is written depends on the request alone and not on what came before it, so that an interrupted run
    ends like an undisturbed one. With more slots, or where all that prompts share is reused, rounding may differ from run to run.

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
            raise ModelNotFoundError(f"{name}: no such GGUF file, and no such name in the catalogue")
        return cls(path, config, name)

    def identity(self) -> Mapping[str, Any]:
        """The file by its size and samples of it, and the settings that change what is written."""
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
        """Stop what is being written and unload the model."""
        await asyncio.to_thread(self._threads.shutdown)
        self._server.close()

    async def _complete(self, request: GenerationRequest) -> Generation:
        writing = _Writing(request, self.think_open)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, writing.run, self._server)
        finally:
            writing.cancelled.set()


class _Writing:
    """One request on its way through llama.cpp, in a thread of its own; it stops at the next token when ``cancelled`` is set."""

    def __init__(self, request: GenerationRequest, think_open: bool) -> None:
        self.cancelled = threading.Event()
        self._request = request
        self._think_open = think_open
        self._pieces: list[str] = []
        self._tokens: list[TokenLogprob] = []
        self._finish: FinishReason | None = None
        self._usage = Usage()
        self._error: str | None = None

    def run(self, server: LlamaCppServer) -> Generation:
        if not self.cancelled.is_set():
            arguments = _arguments(self._request)
            prepared = server.prepare(arguments["messages"])
            server.complete(arguments | prepared.arguments, self._receive)
            self._usage = Usage(
                self._usage.prompt_tokens,
                self._usage.completion_tokens,
                self._usage.cached_tokens - prepared.computed_tokens,
            )
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
    return Usage(usage["prompt_tokens"], usage["completion_tokens"], cached_tokens(usage))
