"""The judge as an object: two responses in, a judgment out."""

from __future__ import annotations

import threading
import warnings
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any

from rmr1.arguments import checked_pairs, expect, expect_label
from rmr1.config import JudgeConfig, load_config
from rmr1.data.messages import message_keys, read_message
from rmr1.engines import Engine, open_model
from rmr1.errors import BudgetError, DataError, InputError
from rmr1.judging.budget import Budget, prices_of_judge
from rmr1.judging.loops import BackgroundLoop, BlockingLoop, CallersLoop, iterate, iterate_in
from rmr1.judging.plan import JudgingPlan, plan_judging, template_advice
from rmr1.judging.run import JudgeRun
from rmr1.records import Judgment, Label, Message, PreferencePair

Text = str | Message | Mapping[str, object] | Sequence[Message | Mapping[str, object]]


class Judge:
    """A reasoning reward model, ready to compare responses.

    >>> judge = Judge("llamacpp/smollm2-135m-instruct", constrain=True)  # doctest: +SKIP
    >>> judge.compare("What is 2 + 2?", "4", "5").winner  # doctest: +SKIP
    'A'

    Args:
        model: ``ENGINE/MODEL``, a path, a catalogue name, or an engine that is already loaded.
        settings: Any field of ``JudgeConfig``; those of the engine as ``engine={"slots": 2}``.

    Attributes:
        budget: What it has spent, and may spend. Once ``max_total_tokens`` or ``max_cost`` do not cover a request, the methods
            that judge raise ``BudgetError``.

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
        if self.config.template is not None:
            for sentence in template_advice(loaded, self.config):
                warnings.warn(sentence, stacklevel=2)
        self.budget = Budget(self.config.max_total_tokens, self.config.max_cost)
        self._prices = prices_of_judge(self.config, self.engine.name)
        self._blocking: BlockingLoop | None = None
        self._closed = False
        self._making = threading.Lock()

    async def acompare(
        self, prompt: Text, a: Text, b: Text, *, label: Label | None = None, reference: str = "", rubric: str = ""
    ) -> Judgment:
        """Judge which of two responses to a prompt is better.

        Args:
            prompt: A question, or a conversation that ends before the responses.
            a: A response, or the turns that continue the conversation.
            b: The other one.
            label: The better side or "tie" if it is known, for ``Judgment.correct``.
            reference: The right answer, for templates that show ``{{reference}}``.
            rubric: By what to judge, for templates that show ``{{rubric}}``.

        Raises:
            DataError: An argument is no text, message or label, or the template shows one that is missing; the error names it.
        """
        pair = self._pair(prompt, a, b, label, {"reference": reference, "rubric": rubric})
        judgments = [judgment async for judgment in self.acompare_many([pair])]
        return judgments[0]

    async def acompare_many(self, pairs: Iterable[PreferencePair]) -> AsyncGenerator[Judgment]:
        """Judge any number of pairs; each judgment comes as soon as it is complete, in any order.

        The reference answer and the rubric that a template shows are those of each pair. An engine with connections works in a
        loop of its own, so that one judge can be used in several loops.
        """
        loop = self._loop()
        judging = self._judge(pairs)
        async with aclosing(iterate_in(loop, judging) if isinstance(loop, BackgroundLoop) else judging) as judgments:
            async for judgment in judgments:
                yield judgment

    async def _judge(self, pairs: Iterable[PreferencePair]) -> AsyncGenerator[Judgment]:
        run = JudgeRun(self.engine, self.plan, budget=self.budget, prices=self._prices)
        async with aclosing(run.judge(checked_pairs(pairs))) as judgments:
            async for _, judgment in judgments:
                yield judgment
        if run.out_of_budget is not None:
            raise BudgetError(run.out_of_budget)

    def compare(
        self, prompt: Text, a: Text, b: Text, *, label: Label | None = None, reference: str = "", rubric: str = ""
    ) -> Judgment:
        """``acompare`` for callers that are not asynchronous."""
        pair = self._pair(prompt, a, b, label, {"reference": reference, "rubric": rubric})
        return next(iter(list(self.compare_many([pair]))))

    def compare_many(self, pairs: Iterable[PreferencePair]) -> Iterator[Judgment]:
        """``acompare_many`` for callers that are not asynchronous."""
        return iterate(self._loop(), self._judge(pairs))

    def close(self) -> None:
        """Free the engine; a second call does nothing."""
        if self._closed:
            return
        loop = self._loop()
        self._closed = True
        loop.run(self.engine.aclose())
        loop.close()

    def __enter__(self) -> Judge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pair(self, prompt: Text, a: Text, b: Text, label: Label | None, notes: Mapping[str, str]) -> PreferencePair:
        expect_label("label", label)
        template = self.plan.template
        for name, text in notes.items():
            expect(name, text, str, "a text", error=DataError)
            if name in template.slots and not text.strip():
                raise DataError(
                    f"{name}: the template {template.name} shows {{{{{name}}}}}; pass {name}=..., or take another template"
                )
        turns = (_messages(prompt, "user", "prompt"), _messages(a, "assistant", "a"), _messages(b, "assistant", "b"))
        return PreferencePair("pair", *turns, label, reference=notes["reference"], rubric=notes["rubric"])

    def _loop(self) -> BlockingLoop:
        with self._making:
            if self._closed:
                raise InputError("this Judge is closed; make another one")
            if self._blocking is None:
                self._blocking = CallersLoop() if self.engine.computes_in_caller else BackgroundLoop()
            return self._blocking


def _messages(text: Text, role: str, name: str) -> tuple[Message, ...]:
    """Messages of what a Python caller has: a text, a message, or several, each as ``Message`` or as a dict."""
    if isinstance(text, str):
        return (Message(role, text),)
    items = [text] if isinstance(text, Message | Mapping) else text
    wanted = 'a text, or messages such as {"role": "user", "content": "..."}'
    if not isinstance(items, Sequence) or isinstance(items, bytes) or not items:
        found = "an empty list" if isinstance(items, Sequence) and not items else type(text).__name__
        raise DataError(f"{name}: expected {wanted}; got {found}")
    messages = []
    for number, item in enumerate(items, 1):
        if isinstance(item, Mapping) and message_keys(item):
            item = read_message(item, f"{name}, message {number}")
        if not isinstance(item, Message) or not isinstance(item.content, str) or not isinstance(item.role, str):
            raise DataError(f"{name}, message {number}: expected {wanted}; got {type(item).__name__}")
        messages.append(item)
    return tuple(messages)
