"""vLLM in this process: large models, many sequences at once, several GPUs.

vLLM computes in processes of its own; an event loop in a thread of its own talks to them, so that it does not matter in which loop
or thread the callers are. What vLLM prints goes to a file in the temporary directory. The file is removed with the engine, unless
vLLM has failed; then the message says where it is.

Prompts are made of tokens here, as for the other local engines: no control token comes from a message, and vLLM's own chat
templating has no part in it. What is computed together changes the last bits, so that a run that is resumed may choose otherwise
between two tokens that are all but equally likely.

On a CPU prompts are not computed in chunks. vLLM takes back the random number of a request whose prompt is not complete yet, by an
offset that generators of a CPU do not have: a seeded request in chunks ends the whole engine (seen in 0.32).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal, TextIO

from rmr1.config import EngineConfig
from rmr1.engines.replies import dispatch, fault
from rmr1.errors import ConfigError, EngineError, MissingExtraError, ModelNotFoundError
from rmr1.models.files import folder_fingerprint
from rmr1.models.loading import hf_folder, quiet_transformers
from rmr1.records import Generation, GenerationRequest, Usage

os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")  # read on import; stdout is for data
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
try:
    from vllm import AsyncEngineArgs, AsyncLLMEngine, SamplingParams, TokensPrompt
    from vllm.platforms import current_platform
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
    from vllm.v1.engine.exceptions import EngineDeadError

    from rmr1.engines.chat_text import ChatText
    from rmr1.models.hardware import is_fast_in_bfloat16
    from rmr1.prefix.decoding.sampling import TOP_LOGPROBS, Choice
except ImportError as error:
    raise MissingExtraError("the vllm engine", "vllm") from error

DEFAULT_SLOTS = 256
DEFAULT_CPU_SLOTS = 64
DEFAULT_CPU_CONTEXT = 8192
DEFAULT_CPU_CACHE = 4 << 30
"""Bytes; vLLM itself would take most of the memory of the machine."""
_THREADS = "VLLM_CPU_OMP_THREADS_BIND"
_CACHE = "VLLM_CPU_KVCACHE_SPACE"
_CAUSE = re.compile(r"(?:^|[\s:\])])((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception)): (.+)")
_HOLLOW = ("EngineDeadError", "EngineCore", "Engine core", "WorkerProc initialization failed", "Worker failed")
"""Errors with these words say that another one came before."""
_LONGEST_CAUSE = 400
_GUARD = """
import os, signal, sys
if not sys.stdin.read():
    for number in sys.argv[1:]:
        try:
            os.kill(int(number), signal.SIGKILL)
        except ProcessLookupError:
            pass
"""
"""Waits for a word, or for the end of the process that would say it."""


def load(model: str, config: EngineConfig, *, concurrency: int) -> VllmEngine:
    """``vllm/MODEL``; how many requests are under way is set by ``config.slots``."""
    return VllmEngine(model, config)


class VllmEngine:
    """Writes with vLLM.

    Args:
        name: A folder, a run of ``rmr1 sft`` or ``rmr1 rl``, a catalogue name, or a repository of the hub, see ``hf_folder``.
        config: ``slots``, ``context``, ``threads``, ``think``, ``chat_template_kwargs``, ``dtype``, ``tensor_parallel``,
            ``gpu_memory_utilization`` and ``enforce_eager`` matter here.

    Raises:
        ModelNotFoundError: There is no such model.
        ConfigError: The settings do not fit, or its chat template has no such variable.
        EngineError: It has no chat template, or vLLM cannot run it; the message says where vLLM's own messages are.
    """

    embedded = True
    computes_in_caller = False
    writes_logprobs = True
    obeys_grammars = True

    def __init__(self, name: str, config: EngineConfig) -> None:
        self.name = f"vllm/{name}"
        on_cpu = bool(current_platform.is_cpu())
        self._dtype = _dtype(config, on_cpu)
        self._folder = hf_folder(name)
        tokenizer, own_context, self._stops = _read_folder(self._folder)
        self._context = min(config.context or (DEFAULT_CPU_CONTEXT if on_cpu else own_context), own_context)
        self._variables = config.chat_template_kwargs
        self._text = ChatText(tokenizer, name, self._variables)
        self.think_open = config.think == "open" or (config.think == "auto" and self._text.opens_think())
        self._slots = config.slots or (DEFAULT_CPU_SLOTS if on_cpu else DEFAULT_SLOTS)
        arguments = {
            "model": str(self._folder),
            "dtype": self._dtype,
            "max_model_len": self._context,
            "max_num_seqs": self._slots,
            "max_logprobs": TOP_LOGPROBS,
            "tensor_parallel_size": config.tensor_parallel,
            "enforce_eager": config.enforce_eager,
            "enable_prefix_caching": True,
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
            **(
                {}
                if config.gpu_memory_utilization is None
                else {"gpu_memory_utilization": config.gpu_memory_utilization}
            ),
            **(_cpu_arguments(config, self._context) if on_cpu else {}),
        }
        self._numbers = itertools.count()
        self._running = EngineThread(self.name, arguments, _threads(config) if on_cpu else {})

    def identity(self) -> Mapping[str, object]:
        """The weights by samples of their files, and the settings that change completions."""
        return {
            "model_fingerprint": folder_fingerprint(self._folder),
            "dtype": self._dtype,
            "context": self._context,
            "think_open": self.think_open,
            **({"chat_template_kwargs": self._variables} if self._variables else {}),
        }

    def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Complete all requests, ``slots`` of them at a time.

        Raises:
            EngineError: vLLM has ended.
        """
        return dispatch(requests, self._complete, self._slots)

    async def aclose(self) -> None:
        """Cancel what is under way and end vLLM's processes."""
        await asyncio.to_thread(self._running.close)

    async def _complete(self, request: GenerationRequest) -> Generation:
        try:
            prompt = self._text.prompt(request.messages)
        except ValueError as error:
            return fault(request.id, str(error))
        room = self._context - len(prompt)
        if room < 1:
            return fault(request.id, f"the prompt has {len(prompt)} tokens, the context only {self._context}")
        try:
            parameters = self._parameters(request, min(request.sampling.max_tokens, room))
            result = await self._running.complete(str(next(self._numbers)), prompt, parameters)
        except EngineDeadError as error:
            raise EngineError(f"{self.name} has ended{self._running.cause(error)}") from error
        except Exception as error:  # vLLM refuses this request, or has failed on it alone
            return fault(request.id, f"vLLM refuses it: {error.__cause__ or error}")
        return self._generation(request, result, len(prompt))

    def _parameters(self, request: GenerationRequest, max_tokens: int) -> SamplingParams:
        sampling, grammar = request.sampling, request.grammar
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k or 0,
            min_p=sampling.min_p or 0.0,
            seed=sampling.seed,
            max_tokens=max_tokens,
            stop_token_ids=sorted(self._stops),
            logprobs=TOP_LOGPROBS if request.logprobs else None,
            structured_outputs=None if grammar is None else StructuredOutputsParams(grammar=grammar),
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _generation(self, request: GenerationRequest, result: Any, prompt_tokens: int) -> Generation:
        written = result.outputs[0]
        if written.finish_reason not in ("stop", "length"):
            return fault(request.id, f"vLLM ended it as {written.finish_reason or 'unfinished'}")
        choices = _choices(written)
        spoken = choices[:-1] if choices and choices[-1].token in self._stops else choices
        tokens = self._text.decode(spoken)
        return Generation(
            request_id=request.id,
            text="".join(token.text for token in tokens),
            finish_reason=written.finish_reason,
            usage=Usage(prompt_tokens, len(choices), result.num_cached_tokens or 0),
            think_open=self.think_open,
            tokens=(tuple(tokens) or None) if request.logprobs else None,
        )


class EngineThread:
    """A vLLM engine with the event loop that talks to it, in a thread of its own.

    Args:
        name: How the user named the model.
        arguments: Of ``vllm.AsyncEngineArgs``.
        environment: Variables that vLLM's processes get.

    Raises:
        EngineError: vLLM does not start.
    """

    def __init__(self, name: str, arguments: Mapping[str, object], environment: Mapping[str, str]) -> None:
        self._engine: Any = None
        number, path = tempfile.mkstemp(prefix="rmr1-vllm-", suffix=".log")
        self._log = Path(path)
        self._kept = False
        self._closing = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._others = set(multiprocessing.active_children())
        started: Future[Any] = Future()
        self._thread = threading.Thread(target=self._run, args=(arguments, started), name="rmr1-vllm", daemon=True)
        try:
            with _noise_to(number), _environment(environment):
                self._thread.start()
                self._engine = started.result()
        except Exception as error:  # whatever vLLM and what is below it raise about a model, a setting or a machine
            raise EngineError(f"{name}: vLLM cannot run it{self.cause(error)}") from error
        except BaseException:  # Ctrl-C: vLLM's processes would first finish their start, for minutes
            for child in self._children():
                child.kill()
            raise
        finally:
            os.close(number)

    async def complete(self, name: str, prompt: Sequence[int], parameters: SamplingParams) -> Any:
        """The ``RequestOutput`` of one request; cancelling the caller ends it in vLLM too."""
        work = self._complete(name, prompt, parameters)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def cause(self, error: BaseException) -> str:
        """What vLLM's processes said before they ended, to be put behind a sentence; and where all of it is."""
        self._kept = True
        said = _cause(self._log.read_text(encoding="utf-8", errors="replace")) or " ".join(str(error).split())
        return f": {said[:_LONGEST_CAUSE]}; what vLLM said is in {self._log}"

    def close(self) -> None:
        """End vLLM's processes and the loop."""
        with self._closing:
            if self._loop.is_closed():
                return
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._engine = None  # else its finaliser would run when half of Python is gone
            self._loop.close()
            if not self._kept:
                self._log.unlink(missing_ok=True)

    def _run(self, arguments: Mapping[str, object], started: Future[Any]) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            engine = AsyncLLMEngine.from_engine_args(AsyncEngineArgs(**arguments))
        except BaseException as error:
            self._loop.close()
            started.set_exception(error)
            return
        numbers = [child.pid for child in self._children() if child.pid]
        with self._log.open("a", encoding="utf-8") as log, guarded(numbers):
            _say_to(log)  # what vLLM says in this process, from now on
            started.set_result(engine)
            self._loop.run_forever()
            engine.shutdown()
            del engine
            pending = asyncio.all_tasks(self._loop)
            for task in pending:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
            _say_to(sys.stderr)

    def _children(self) -> list[BaseProcess]:
        return [child for child in multiprocessing.active_children() if child not in self._others]

    async def _complete(self, name: str, prompt: Sequence[int], parameters: SamplingParams) -> Any:
        answers = self._engine.generate(TokensPrompt(prompt_token_ids=list(prompt)), parameters, name)
        return [answer async for answer in answers][-1]


def _dtype(config: EngineConfig, on_cpu: bool) -> Literal["float32", "bfloat16", "float16"]:
    if config.dtype == "mixed":
        raise ConfigError("engine.dtype mixed is for the hf engine; with vllm take bfloat16 or float32")
    if config.dtype == "auto":
        return "float32" if on_cpu and not is_fast_in_bfloat16() else "bfloat16"
    return config.dtype


def _read_folder(folder: Path) -> tuple[Any, int, frozenset[int]]:
    """The tokenizer of a model, how many tokens it can attend to, and the tokens that end its answers."""
    with quiet_transformers():
        from transformers import AutoConfig, AutoTokenizer, GenerationConfig

        try:
            config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # whatever the libraries raise about a damaged or foreign file
            said = " ".join(str(error).split())[:_LONGEST_CAUSE]
            raise ModelNotFoundError(
                f"{folder}: no model that transformers can read ({said}); fetch it again"
            ) from error
        generation = folder / "generation_config.json"
        ends = [config.eos_token_id if hasattr(config, "eos_token_id") else None, tokenizer.eos_token_id]
        if generation.is_file():
            ends.append(GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id)
    stops: set[int] = set()
    for ids in ends:
        stops.update([ids] if isinstance(ids, int) else ids or ())
    limit = getattr(config.get_text_config(), "max_position_embeddings", None) or sys.maxsize
    return tokenizer, limit, frozenset(stops)


def _cpu_arguments(config: EngineConfig, context: int) -> dict[str, object]:
    arguments: dict[str, object] = {"enable_chunked_prefill": False, "max_num_batched_tokens": max(context, 4096)}
    if config.gpu_memory_utilization is None and not os.environ.get(_CACHE):
        arguments["kv_cache_memory_bytes"] = DEFAULT_CPU_CACHE
    return arguments


def _threads(config: EngineConfig) -> dict[str, str]:
    """Which processors vLLM takes: all that this process may use, for left to itself it leaves one idle."""
    if os.environ.get(_THREADS) or config.tensor_parallel > 1 or not hasattr(os, "sched_getaffinity"):
        return {}
    return {_THREADS: ",".join(map(str, sorted(os.sched_getaffinity(0))[: config.threads]))}


def _choices(written: Any) -> list[Choice]:
    if written.logprobs is None:
        return [Choice(token) for token in written.token_ids]
    return [
        Choice(token, found[token].logprob, _likeliest(found))
        for token, found in zip(written.token_ids, written.logprobs, strict=True)
    ]


def _likeliest(found: Mapping[int, Any]) -> tuple[tuple[int, float], ...]:
    """Tokens with their log-probabilities, the likeliest first.

    vLLM adds the token that was drawn, at whatever rank, and fills up with tokens that a grammar forbids.
    """
    ranked = sorted(
        (one.rank, token, one.logprob)
        for token, one in found.items()
        if one.rank <= TOP_LOGPROBS and one.logprob > -math.inf
    )
    return tuple((token, logprob) for _, token, logprob in ranked)


def _cause(said: str) -> str | None:
    """The error that began it all, in what vLLM's processes said."""
    for line in said.splitlines():
        found = _CAUSE.search(line)
        if found is not None and not any(hollow in found[0] for hollow in _HOLLOW):
            return f"{found[1].rpartition('.')[2]}: {found[2].strip()}"
    return None


@contextmanager
def guarded(numbers: Sequence[int]) -> Iterator[None]:
    """End processes if this one is killed: vLLM's would go on for ever, and keep the memory of the GPU.

    Args:
        numbers: Of the processes.
    """
    if not numbers:
        yield
        return
    command = [sys.executable, "-c", _GUARD, *map(str, numbers)]
    nowhere = subprocess.DEVNULL
    guard = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True)
    try:
        yield
    finally:
        guard.communicate(b"closed")


def _say_to(stream: TextIO) -> None:
    for handler in logging.getLogger("vllm").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(stream)


@contextmanager
def _noise_to(number: int) -> Iterator[None]:
    """What this process and those that it starts print goes to an open file; the processes keep it for good."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(stream, os.dup(stream)) for stream in (1, 2)]
    for stream, _ in kept:
        os.dup2(number, stream)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, copy in kept:
            os.dup2(copy, stream)
            os.close(copy)


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """The environment with changes; vLLM makes more of its own, which other processes of ours must not inherit."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
