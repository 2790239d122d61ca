"""The judge as an object: two responses in, a judgment out."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any

from rmr1.config import JudgeConfig, load_config
from rmr1.engines import Engine, open_model
from rmr1.judging.loops import BackgroundLoop, BlockingLoop, CallersLoop, iterate
from rmr1.judging.plan import JudgingPlan, plan_judging
from rmr1.judging.run import JudgeRun
from rmr1.records import Judgment, Label, Message, PreferencePair

Text = str | Sequence[Message]


class Judge:
    """A reasoning reward model, ready to compare responses.

    >>> judge = Judge("llamacpp/smollm2-135m-instruct", constrain=True)  # doctest: +SKIP
    >>> judge.compare("What is 2 + 2?", "4", "5").winner  # doctest: +SKIP
    'A'

    Args:
        model: ``ENGINE/MODEL``, a path, a catalogue name, or an engine that is already loaded.
        settings: Any field of ``JudgeConfig``; those of the engine as ``engine={"slots": 2}``.

    Raises:
        ConfigError: A setting is unknown or wrong.
        ModelNotFoundError: There is no such model.
        MissingExtraError: The engine's library is not installed.
    """

    def __init__(self, model: str | Engine | None = None, **settings: Any) -> None:
        if isinstance(model, str):
            settings["model"] = model
        self.config = load_config(JudgeConfig, arguments=settings, environment={})
        named = self.config.model if model is None or isinstance(model, str) else model
        loaded = open_model(named, self.config.engine, concurrency=self.config.concurrency)
        self.engine: Engine = loaded.engine
        self.plan: JudgingPlan = plan_judging(self.config, self.engine, model_template=loaded.template)
        self._blocking: BlockingLoop | None = None
        self._making = threading.Lock()

    async def acompare(self, prompt: Text, a: Text, b: Text, *, label: Label | None = None) -> Judgment:
        """Judge which of two responses to a prompt is better.

        Args:
            prompt: A question, or a conversation that ends before the responses.
            a: A response, or the turns that continue the conversation.
            b: The other one.
            label: The better side or "tie" if it is known, for ``Judgment.correct``.
        """
        pair = PreferencePair(
            "pair", _messages(prompt, "user"), _messages(a, "assistant"), _messages(b, "assistant"), label
        )
        judgments = [judgment async for judgment in self.acompare_many([pair])]
        return judgments[0]

    async def acompare_many(self, pairs: Iterable[PreferencePair]) -> AsyncGenerator[Judgment]:
        """Judge any number of pairs; each judgment comes as soon as it is complete, in any order."""
        async with aclosing(JudgeRun(self.engine, self.plan).judge(pairs)) as judgments:
            async for _, judgment in judgments:
                yield judgment

    def compare(self, prompt: Text, a: Text, b: Text, *, label: Label | None = None) -> Judgment:
        """``acompare`` for callers that are not asynchronous."""
        return self._loop().run(self.acompare(prompt, a, b, label=label))

    def compare_many(self, pairs: Iterable[PreferencePair]) -> Iterator[Judgment]:
        """``acompare_many`` for callers that are not asynchronous."""
        return iterate(self._loop(), self.acompare_many(pairs))

    def close(self) -> None:
        """Free the engine."""
        self._loop().run(self.engine.aclose())
        self._loop().close()
        self._blocking = None

    def __enter__(self) -> Judge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _loop(self) -> BlockingLoop:
        with self._making:
            if self._blocking is None:
                self._blocking = CallersLoop() if self.engine.computes_in_caller else BackgroundLoop()
            return self._blocking


def _messages(text: Text, role: str) -> tuple[Message, ...]:
    return (Message(role, text),) if isinstance(text, str) else tuple(text)
