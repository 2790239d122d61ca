"""The embedded engine: llama.cpp in this process, on any CPU, through ``xllamacpp``.

All prompts of a run begin with the same instructions, often most of their tokens, and each slot has a cache of its own. So the
instructions are computed once, saved, and copied: to every slot at the start, and with a single slot before every prompt. The
copy takes some 10 ms where computing them takes seconds on a small CPU. And because a prompt always meets the same state, and a
completion always a prompt that was computed in the same way, its log-probabilities are the same in every run. ``reuse: longest``
gives that up: then a slot keeps whatever the next prompt has in common with the one before.

Completions are written by calls in this process. What llama.cpp offers only through its server (templates, tokens, saved states)
goes through a socket in a folder of this user, with a key of this process: no port is open, and nobody else can ask or listen.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rmr1.config import EngineConfig
from rmr1.engines.chat_text import check_variables, thinks_by_default
from rmr1.engines.control_tokens import ControlTokenError, ControlTokens, PromptEncoder
from rmr1.engines.grammar_ending import FORCED, GrammarEndings, WatchedCompletion, letter_grammar
from rmr1.engines.replies import dispatch
from rmr1.errors import ConfigError, EngineError, MissingExtraError, ModelNotFoundError, did_you_mean
from rmr1.files import expand_home, parse_json
from rmr1.models import cached_file, find_model, load_catalogue
from rmr1.models.files import file_fingerprint
from rmr1.models.gguf_vocabulary import special_tokens
from rmr1.records import UNKNOWN_USAGE, FinishReason, Generation, GenerationRequest, Message, TokenLogprob, Usage

_SPINS = "GOMP_SPINCOUNT"
_spins = os.environ.get(_SPINS)
try:
    # Threads of OpenMP wait for each other in busy loops, about a millisecond long, at every operation. Where another process
    # needs a core, that slows writing down ten times and more; short loops do not. OpenMP reads the setting as it is loaded.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault(_SPINS, "1000")
    import xllamacpp
except ImportError as error:
    raise MissingExtraError("the llamacpp engine", "llamacpp") from error
finally:
    if _spins is None:
        os.environ.pop(_SPINS, None)

_DEFAULT_CONTEXT = 8192
_TOP_LOGPROBS = 20
_LETTER_LOGPROBS = 500  # of one token: an unsure model may have many above the other letter
_PROBE = Message("user", "x")
_STATE = "instructions.bin"
_SOCKET = "llama.sock"
_LONGEST_SOCKET = 100
"""A socket's path has room for 104 bytes on some systems."""
_SLOT_TIMEOUT_S = 600
Chunk = Mapping[str, Any]


def load(model: str, config: EngineConfig, *, concurrency: int) -> LlamaCppEngine:
    """``llamacpp/MODEL``; how many requests are under way is set by ``config.slots``."""
    return LlamaCppEngine.from_name(model, config)


class LlamaCppEngine:
    """Writes with a GGUF model.

    With one slot, a completion depends on its request alone and not on what came before it, so that an interrupted run ends
    like an undisturbed one. With more slots, or where all that prompts share is reused, rounding may differ from run to run.

    Args:
        path: The GGUF file.
        config: ``threads``, ``slots``, ``context``, ``reuse``, ``gpu_layers``, ``chat_template_kwargs`` and ``think`` matter
            here.
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
        self._variables = config.chat_template_kwargs
        self._server = LlamaCppServer(path, self._slots, self._context, config)
        self.think_open = config.think == "open" or (config.think == "auto" and self._server.template_opens_think())
        self._threads = ThreadPoolExecutor(self._slots, thread_name_prefix="llamacpp")

    @classmethod
    def from_name(cls, name: str, config: EngineConfig) -> LlamaCppEngine:
        """Load a catalogue name or a path.

        Raises:
            ModelNotFoundError: It is neither, or the model is not in the cache yet.
        """
        path = expand_home(name)
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
            **({"chat_template_kwargs": self._variables} if self._variables else {}),
        }

    def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Write for all requests, as many at a time as there are slots."""
        return dispatch(requests, self._complete, self._slots)

    def least_tokens(self, grammar: str) -> int:
        """Tokens of the shortest text of a grammar, with the one that ends the turn.

        Raises:
            ConfigError: The grammar cannot be read.
        """
        return self._server.endings(grammar).tokens(0)

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
        self._watched: WatchedCompletion | None = None
        self._forced = False
        self._count = self._cached = 0

    def run(self, server: LlamaCppServer) -> Generation:
        if not self.cancelled.is_set():
            try:
                self._write(server)
            except (_RefusedError, ConfigError) as refusal:
                return Generation(self._request.id, "", "error", think_open=self._think_open, error=str(refusal))
        error = self._error or (None if self._finish else "llama.cpp ended without a reason")
        return Generation(
            request_id=self._request.id,
            text="".join(self._pieces),
            finish_reason="error" if error else self._finish or "error",
            usage=self._usage,
            think_open=self._think_open,
            tokens=tuple(self._tokens) or None,
            error=error,
            finish_detail=FORCED if self._forced and not error else None,
        )

    def _write(self, server: LlamaCppServer) -> None:
        request = self._request
        if request.grammar is not None:
            room = server.context - len(server.tokens(request.messages))
            limit = min(request.sampling.max_tokens, max(room, 1))
            self._watched = WatchedCompletion(server.endings(request.grammar), limit)
        prepared = server.prepare(request.messages)
        server.complete(_arguments(request) | prepared.arguments, self._receive)
        if self._forced and not self.cancelled.is_set() and not self._error:
            self._end(server, prepared)
        self._usage = replace(self._usage, cached_tokens=self._usage.cached_tokens - prepared.computed_tokens)

    def _end(self, server: LlamaCppServer, prepared: Prepared) -> None:
        """Write the shortest ending: its fixed text is given, and the model is asked for the rest, letter by letter."""
        assert self._watched is not None
        prompt: list[int] = prepared.arguments["prompt"]
        written = Usage(len(prompt), self._count, self._cached)
        for part in self._watched.ending:
            if not part.letters:
                self._pieces.append(part.text)
                self._tokens += [TokenLogprob(part.text, 0.0)] if self._request.logprobs else []
                written += Usage(completion_tokens=len(server.completion_tokens(part.text)))
                continue
            asked = _arguments(self._request, _LETTER_LOGPROBS) | prepared.arguments
            so_far = prompt + server.completion_tokens("".join(self._pieces))
            server.complete(asked | {"prompt": so_far, "max_tokens": 1, "grammar": letter_grammar(part)}, self._take)
            written += Usage(completion_tokens=1)
        self._finish, self._usage = self._finish and "stop", written

    def _receive(self, chunk: Mapping[str, Any]) -> bool:
        """Take a part of the completion, unless the grammar could not end within the limit after it."""
        if "timings" in chunk:
            self._count, self._cached = (int(chunk["timings"][name]) for name in ("predicted_n", "cache_n"))
        if self._forced:
            return True
        watched = self._watched
        if watched is not None and not watched.complete:
            text = "".join(choice["text"] for choice in chunk.get("choices", ()))
            ended = any(choice.get("finish_reason") == "length" for choice in chunk.get("choices", ()))
            if ended or not watched.goes_on(text, self._count):
                self._forced, self._finish = True, "stop"
                return True
        return self._take(chunk)

    def _take(self, chunk: Mapping[str, Any]) -> bool:
        if "error" in chunk:
            self._error = str(chunk["error"].get("message", chunk["error"]))
            return True
        for choice in chunk.get("choices", ()):
            if choice["text"]:  # not for the token that ends a turn, which is no part of the text
                self._pieces.append(choice["text"])
                self._tokens.extend(_token(token) for token in (choice.get("logprobs") or {}).get("content", ()))
            if choice.get("finish_reason"):
                self._finish = "length" if choice["finish_reason"] == "length" else "stop"
        if "usage" in chunk:
            self._usage = _usage(chunk["usage"])
        return self.cancelled.is_set()


def _arguments(request: GenerationRequest, top: int = _TOP_LOGPROBS) -> dict[str, Any]:
    sampling = request.sampling
    arguments: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or 0,
        "min_p": sampling.min_p or 0.0,
        "max_tokens": sampling.max_tokens,
    }
    if sampling.seed is not None:
        arguments["seed"] = sampling.seed
    if request.grammar is not None:
        arguments |= {"grammar": request.grammar, "timings_per_token": True}
    if request.logprobs:
        arguments["logprobs"] = top
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


class _RefusedError(EngineError):
    """llama.cpp refuses one request."""


class LlamaCppServer:
    """One model with its slots.

    Args:
        path: The GGUF file.
        slots: Sequences that are decoded together.
        context: Tokens of each slot.
        config: ``threads``, ``gpu_layers``, ``reuse`` and ``chat_template_kwargs``.

    Raises:
        EngineError: llama.cpp cannot load the file.
        ConfigError: Its chat template has no such variable.
    """

    def __init__(self, path: Path, slots: int, context: int, config: EngineConfig) -> None:
        self.context = context
        self._slots = slots
        self._repeats = slots == 1 and config.reuse == "instructions"
        self._variables = config.chat_template_kwargs
        self._states = _private_folder()
        self._key = secrets.token_urlsafe(32)
        try:
            self._server = _load_model(path, slots, context, config, self._states.name, self._key)
            self._encoder = self._prompt_encoder(path)
        except (EngineError, ConfigError):
            self._states.cleanup()
            raise
        self._lock = threading.Lock()
        self._grammars: dict[str, GrammarEndings] = {}
        self._instructions: tuple[Message, ...] | None = None
        self._prompt: list[int] | None = None

    def complete(self, arguments: Mapping[str, Any], receive: Callable[[Chunk], bool]) -> None:
        """Write one completion; blocks. ``receive`` gets every chunk and stops the completion by returning True."""
        options = {"stream": True, "stream_options": {"include_usage": True}}
        self._server.handle_completions({**arguments, **options}, receive)

    def prepare(self, messages: tuple[Message, ...]) -> Prepared:
        """Bring a slot to the state in which this prompt's completion starts.

        Raises:
            EngineError: The chat template refuses the prompt.
        """
        prompt = self.tokens(messages)
        instructions = messages[:1] if len(messages) > 1 else ()
        with self._lock:
            if instructions != self._instructions:
                self._compute_instructions(instructions)
            if not self._repeats:
                return Prepared({"prompt": prompt})
            arguments = {"prompt": prompt, "id_slot": 0}
            if prompt == self._prompt:
                return Prepared(arguments)
            self._restore(0)
            self._prompt = prompt
            usage = self._compute(prompt)
            return Prepared(arguments, usage["prompt_tokens"] - _cached_tokens(usage) if usage else 0)

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a prompt; none of its control tokens comes from a message.

        Raises:
            EngineError: The chat template refuses the prompt.
        """
        try:
            return self._encoder.prompt(messages)
        except ControlTokenError as error:
            raise _RefusedError(str(error)) from error

    def completion_tokens(self, text: str) -> list[int]:
        """The tokens of what a judge writes."""
        return self._encoder.completion(text)

    def endings(self, grammar: str) -> GrammarEndings:
        """The endings of a grammar.

        Raises:
            ConfigError: The grammar cannot be read.
        """
        with self._lock:
            if grammar not in self._grammars:
                self._grammars[grammar] = GrammarEndings(grammar, lambda text: len(self.completion_tokens(text)))
            return self._grammars[grammar]

    def template_opens_think(self) -> bool:
        """Whether the model's chat template opens a think block before the first token of an answer."""
        return self._render([_PROBE]).rstrip().endswith("<think>")

    def close(self) -> None:
        """Unload the model. Nothing may be under way: llama.cpp does not survive it."""
        self._server = None
        self._states.cleanup()

    def _prompt_encoder(self, path: Path) -> PromptEncoder:
        template = str(self._ask("GET", "/props").get("chat_template") or "")
        check_variables(self._variables, template, path.name)
        thinks = thinks_by_default(template)
        if thinks is not None:
            self._variables = {"enable_thinking": thinks, **self._variables}
        usual, plain = (self._tokenize(_PROBE.content, True, add_special=add) for add in (True, False))
        control = ControlTokens.of(special_tokens(path), template)
        return PromptEncoder(self._render, self._tokenize, control, usual[: len(usual) - len(plain)])

    def _render(self, messages: Sequence[Message]) -> str:
        rows = [{"role": message.role, "content": message.content} for message in messages]
        content = {"messages": rows, **({"chat_template_kwargs": self._variables} if self._variables else {})}
        return str(self._ask("POST", "/apply-template", content)["prompt"])

    def _tokenize(self, text: str, control: bool, *, add_special: bool = False) -> list[int]:
        content = {"content": text, "parse_special": control, "add_special": add_special}
        return [int(token) for token in self._ask("POST", "/tokenize", content)["tokens"]]

    def _compute_instructions(self, instructions: tuple[Message, ...]) -> None:
        self._compute(self.tokens([*instructions, _PROBE]))
        self._ask("POST", "/slots/0?action=save", {"filename": _STATE})
        for slot in range(1, self._slots):
            self._restore(slot)
        self._instructions, self._prompt = instructions, None

    def _compute(self, prompt: list[int]) -> Mapping[str, Any] | None:
        answer = self._server.handle_completions({"prompt": prompt, "max_tokens": 1, "id_slot": 0})
        # A prompt that is too long fails here first; the request itself will say so.
        return answer.get("usage") if isinstance(answer, dict) else None

    def _restore(self, slot: int) -> None:
        self._ask("POST", f"/slots/{slot}?action=restore", {"filename": _STATE})

    def _ask(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        connection = _connect(self._server.listening_address)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        try:
            connection.request(method, path, json.dumps(content) if content is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise _RefusedError(f"llama.cpp refuses {path}: {text}")
        return parse_json(text, finite=False)


class _SocketConnection(http.client.HTTPConnection):
    """HTTP through a socket in the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SLOT_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connect(address: str) -> http.client.HTTPConnection:
    scheme, _, place = address.partition("://")
    return _SocketConnection(place) if scheme == "unix" else http.client.HTTPConnection(place, timeout=_SLOT_TIMEOUT_S)


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that only this user can enter, with a path that is short enough for a socket."""
    folder = tempfile.TemporaryDirectory(prefix="rmr1-llamacpp-")
    if len(os.fsencode(folder.name)) + len(_SOCKET) < _LONGEST_SOCKET:
        return folder
    folder.cleanup()
    return tempfile.TemporaryDirectory(prefix="rmr1-llamacpp-", dir="/tmp")


def _cached_tokens(usage: Mapping[str, Any]) -> int:
    """How many tokens of a prompt were taken from the cache."""
    return int((usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0))


def _processors() -> int:
    # Threads beyond the processors that this process may use would wait for each other in busy loops.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _load_model(path: Path, slots: int, context: int, config: EngineConfig, folder: str, key: str) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.verbosity = -1
    parameters.n_parallel = slots
    parameters.n_ctx = context * slots
    parameters.n_gpu_layers = config.gpu_layers
    parameters.slot_save_path = f"{folder}{os.sep}"
    parameters.ui = False
    # Where there are no sockets in the file system (Windows), the port on loopback is kept by the key alone.
    parameters.hostnames = [f"{folder}{os.sep}{_SOCKET}"] if hasattr(socket, "AF_UNIX") else ["127.0.0.1"]
    parameters.api_keys = [key]
    parameters.cors_origins = ""
    parameters.cors_origins_explicit = True
    parameters.cors_credentials = False
    threads = config.threads or _processors()
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
