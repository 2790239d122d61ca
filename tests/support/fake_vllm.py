"""A stand-in for the package vllm: what our engine uses of it, with an engine that writes by a rule."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

Rule = Callable[[list[int], Any], Any]


class FakeEngineDeadError(Exception):
    """Named as in vLLM."""


class FakeEngine:
    """An engine that keeps what it is asked, and answers by ``rule`` with a ``RequestOutput``, or with an error to raise."""

    def __init__(self, world: FakeVllm, arguments: dict[str, Any]) -> None:
        self.world = world
        self.arguments = arguments
        self.asked: list[SimpleNamespace] = []
        self.closed = False

    async def generate(self, prompt: Any, parameters: Any, name: str) -> Any:
        self.asked.append(SimpleNamespace(prompt=prompt["prompt_token_ids"], parameters=parameters))
        if self.world.waits:
            self.world.begun.release()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.world.cancelled.release()
                raise
        answer = self.world.rule(prompt["prompt_token_ids"], parameters)
        if isinstance(answer, Exception):
            raise answer
        yield answer

    def shutdown(self) -> None:
        self.closed = True


class FakeVllm:
    """The package. ``noise`` is printed as it starts, and ``failure`` ends the start; if it ``waits``, no request is answered."""

    def __init__(self) -> None:
        self.engines: list[FakeEngine] = []
        self.rule: Rule = lambda prompt, parameters: answered([])
        self.waits = False
        self.begun, self.cancelled = threading.Semaphore(0), threading.Semaphore(0)
        self.on_cpu = True
        self.noise = ""
        self.failure: BaseException | None = None
        self.has_children = False
        self.child: Any = None
        self.environment: dict[str, str] = {}

    def start(self, arguments: Any) -> FakeEngine:
        os.write(1, self.noise.encode())
        os.write(2, self.noise.encode())
        self.environment = dict(os.environ)
        os.environ["LD_PRELOAD_OF_VLLM"] = "set as vLLM starts"
        if self.has_children:
            self.child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,), daemon=True)
            self.child.start()
        if self.failure is not None:
            raise self.failure
        self.engines.append(FakeEngine(self, vars(arguments)))
        return self.engines[-1]

    def modules(self) -> dict[str, ModuleType]:
        """What ``import vllm`` and its parts find."""
        parts = {
            "vllm": {
                "AsyncEngineArgs": SimpleNamespace,
                "AsyncLLMEngine": SimpleNamespace(from_engine_args=self.start),
                "SamplingParams": SimpleNamespace,
                "TokensPrompt": dict,
            },
            "vllm.platforms": {"current_platform": SimpleNamespace(is_cpu=lambda: self.on_cpu)},
            "vllm.sampling_params": {
                "RequestOutputKind": SimpleNamespace(FINAL_ONLY="final only"),
                "StructuredOutputsParams": SimpleNamespace,
            },
            "vllm.v1": {},
            "vllm.v1.engine": {},
            "vllm.v1.engine.exceptions": {"EngineDeadError": FakeEngineDeadError},
        }
        made = {}
        for name, members in parts.items():
            made[name] = ModuleType(name)
            vars(made[name]).update(members, __path__=[])
        return made

    def install(self, monkeypatch: Any) -> None:
        """Let our engine find this package, for one test."""
        for name, module in self.modules().items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.delitem(sys.modules, "rmr1.engines.vllm", raising=False)


def answered(tokens: list[int], finish: str | None = "stop", logprobs: Any = None, cached: int | None = 0) -> Any:
    """A ``RequestOutput`` of vLLM."""
    written = SimpleNamespace(token_ids=tokens, finish_reason=finish, logprobs=logprobs)
    return SimpleNamespace(outputs=[written], num_cached_tokens=cached)


def logprob(rank: int, value: float) -> Any:
    """A ``Logprob`` of vLLM."""
    return SimpleNamespace(rank=rank, logprob=value)
