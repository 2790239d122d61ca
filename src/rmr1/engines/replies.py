"""What comes back from engines: checked in one place, whichever engine wrote it; and the loop that engines share."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import fields, replace
from numbers import Real
from typing import get_args

from rmr1.engines.protocol import Engine
from rmr1.errors import EngineError
from rmr1.records import FinishReason, Generation, GenerationRequest, TokenLogprob, Usage
from rmr1.redaction import foreign_words

Call = Callable[[GenerationRequest], Awaitable[Generation]]
_FINISHES = get_args(FinishReason)
MOST_HELD = 64
"""This many cut answers wait for one that shows whether they start inside a thought."""


def fault(request_id: str, words: str, secrets: Iterable[str] = ()) -> Generation:
    """A request that failed: what was said about it, on one line, without secrets."""
    return Generation(request_id, "", "error", Usage(), error=foreign_words(words, secrets))


class ThinkHabit:
    """Whether the texts of a server start inside a think block that its chat template has opened, learnt from its answers.

    A text that closes a thought without opening it shows the habit. A text that was cut before that point shows nothing: it has no
    tag at all, and a verdict in it may be a passing thought. Such texts are held back until other answers show the habit, or show
    that there is none; the first 64 of them at most.
    """

    def __init__(self) -> None:
        self._opens: bool | None = None
        self._held: list[Generation] = []

    def learn(self, text: str, finish: FinishReason) -> None:
        """Look at an answer, of this process or of an earlier one."""
        before, end, _ = text.lower().partition("</think>")
        if end and "<think>" not in before:
            self._opens = True
        elif self._opens is None and finish == "stop" and text.strip():
            self._opens = False

    def settle(self, generation: Generation) -> list[Generation]:
        """The generations that can go on, with this one or with those that waited for it."""
        self.learn(generation.text, generation.finish_reason)
        if generation.finish_reason == "length" and "think>" not in generation.text.lower():
            self._held.append(generation)
            return self.rest() if self._opens is not None or len(self._held) > MOST_HELD else []
        return [*([] if self._opens is None else self.rest()), generation]

    def rest(self) -> list[Generation]:
        """The generations that waited; they start inside a thought if the others do, or, without others, if they read so."""
        held, self._held = self._held, []
        return [
            replace(one, think_open=True) if self._opens or (self._opens is None and _goes_on(one.text)) else one
            for one in held
        ]


def _goes_on(text: str) -> bool:
    """Whether a cut text names a verdict in passing: it evaluates nothing before, and goes on after it."""
    before, answer, after = text.rpartition("</answer>")
    return bool(answer) and "</eval>" not in before and bool(after.strip())


async def checked_replies(
    engine: Engine, requests: Iterable[GenerationRequest], habit: ThinkHabit | None = None
) -> AsyncGenerator[Generation]:
    """Run an engine, and check each generation before anybody counts it.

    Args:
        engine: Any engine, ours or a user's.
        requests: With ids that are unique among those under way.
        habit: What is known about think blocks from other answers. Only engines need it that ask servers, and do not know
            the chat template.

    Yields:
        The engine's generations as they come. One that could not be kept and read again, because a field is of another type, is a
        failed request instead.

    Raises:
        EngineError: The engine cannot go on, answered a request that was not made, or left one unanswered.
    """
    under_way: set[str] = set()

    def drawn() -> Iterator[GenerationRequest]:
        for request in requests:
            under_way.add(request.id)
            yield request

    settling = habit if habit is not None and not engine.embedded and not engine.think_open else None
    async with aclosing(engine.generate(drawn())) as generations:
        try:
            async for generation in generations:
                problem = _misdirected(generation, under_way)
                if problem is not None:
                    raise EngineError(f"{engine.name} {problem}; this is a fault of the engine")
                under_way.discard(generation.request_id)
                checked = _checked(engine.name, generation)
                for one in [checked] if settling is None else settling.settle(checked):
                    yield one
        except EngineError:
            for one in settling.rest() if settling else []:
                yield one
            raise
    for one in settling.rest() if settling else []:
        yield one
    if under_way:
        raise EngineError(
            f"{engine.name} ended with {len(under_way)} requests unanswered, such as {min(under_way)}; this is a fault of the "
            f"engine. What is done is kept; run the same command again to continue"
        )


def _misdirected(generation: Generation, under_way: set[str]) -> str | None:
    """What is wrong with what a generation answers: nobody knows which request it is, and the run cannot go on."""
    if not isinstance(generation, Generation):
        return f"yielded {type(generation).__name__} instead of Generation"
    if not isinstance(generation.request_id, str) or generation.request_id not in under_way:
        return f'answered the request "{generation.request_id}", which is not under way'
    return None


def _checked(name: str, generation: Generation) -> Generation:
    problem = _problem(generation)
    if problem is not None:
        return fault(generation.request_id, f"{name} {problem}; this is a fault of the engine")
    if generation.finish_reason != "error":
        return generation if generation.error is None else replace(generation, error=None)
    failed = fault(generation.request_id, generation.error or f"{name} failed and does not say why")
    return failed if generation.usage.unknown else replace(failed, usage=generation.usage)


def _problem(generation: Generation) -> str | None:
    """What is wrong with the fields of a generation: each must be what a journal can keep and a parser can read."""
    if not isinstance(generation.text, str):
        return f"answered with {type(generation.text).__name__} instead of a text"
    if generation.finish_reason not in _FINISHES:
        return f'ended with "{generation.finish_reason}", which is none of {", ".join(_FINISHES)}'
    usage = generation.usage
    if not isinstance(usage, Usage):
        return f"counted tokens as {type(usage).__name__} instead of Usage"
    for one in fields(usage):
        count = getattr(usage, one.name)
        if type(count) is not int or count < 0:
            return f"counted {one.name} as {count!r}, which is no number of tokens"
    if not isinstance(generation.think_open, bool):
        return f"set think_open to {generation.think_open!r}, which is neither True nor False"
    for word in (generation.error, generation.finish_detail):
        if word is not None and not isinstance(word, str):
            return f"said {type(word).__name__} instead of words"
    if generation.tokens is not None and not (
        isinstance(generation.tokens, tuple) and all(_is_token(token) for token in generation.tokens)
    ):
        return "gave tokens that are no tuple of TokenLogprob with finite numbers"
    return None


def _is_token(token: object) -> bool:
    if not isinstance(token, TokenLogprob) or not isinstance(token.top, tuple):
        return False
    pairs = [(token.text, token.logprob), *token.top]
    return all(
        isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) and _is_number(pair[1])
        for pair in pairs
    )


def _is_number(value: object) -> bool:
    """Whether it is a log-probability; minus infinity is one."""
    if isinstance(value, bool) or not isinstance(value, int | float | Real):
        return False
    return bool(value == -math.inf or -1e300 < value < 1e300)  # type: ignore[operator]


async def dispatch(requests: Iterable[GenerationRequest], call: Call, concurrency: int) -> AsyncGenerator[Generation]:
    """Run ``call`` on every request, at most ``concurrency`` at a time, and yield results as they finish.

    A request is drawn when a worker is free, and workers wait while results are not taken, so that memory is bounded by
    ``concurrency`` and not by the number of requests. An exception of ``call`` ends everything.
    """
    source = iter(requests)
    finished: asyncio.Queue[Generation | BaseException | None] = asyncio.Queue(maxsize=concurrency)

    async def work() -> None:
        try:
            for request in source:
                await finished.put(await call(request))
        except Exception as error:
            await finished.put(error)
        else:
            await finished.put(None)

    workers = [asyncio.create_task(work()) for _ in range(concurrency)]
    try:
        running = concurrency
        while running:
            result = await finished.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                running -= 1
            else:
                yield result
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
