"""What comes back from engines: checked in one place, whichever engine wrote it; and the loop that engines share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import get_args

from rmr1.engines.protocol import Engine
from rmr1.errors import EngineError
from rmr1.records import FinishReason, Generation, GenerationRequest

Call = Callable[[GenerationRequest], Awaitable[Generation]]
_FINISHES = get_args(FinishReason)


async def checked_replies(engine: Engine, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
    """Run an engine, and check each generation before anybody counts it.

    Args:
        engine: Any engine, ours or a user's.
        requests: With ids that are unique among those under way.

    Yields:
        The engine's generations as they come.

    Raises:
        EngineError: The engine cannot go on, answered a request that was not made, or left one unanswered.
    """
    under_way: set[str] = set()

    def drawn() -> Iterator[GenerationRequest]:
        for request in requests:
            under_way.add(request.id)
            yield request

    async with aclosing(engine.generate(drawn())) as generations:
        async for generation in generations:
            problem = _problem(generation, under_way)
            if problem is not None:
                raise EngineError(f"{engine.name} {problem}; this is a fault of the engine")
            under_way.discard(generation.request_id)
            yield generation
    if under_way:
        raise EngineError(
            f"{engine.name} ended with {len(under_way)} requests unanswered, such as {min(under_way)}; this is a fault of the "
            f"engine. What is done is kept; run the same command again to continue"
        )


def _problem(generation: Generation, under_way: set[str]) -> str | None:
    if not isinstance(generation, Generation):
        return f"yielded {type(generation).__name__} instead of Generation"
    if generation.request_id not in under_way:
        return f'answered the request "{generation.request_id}", which is not under way'
    if not isinstance(generation.text, str):
        return f'answered "{generation.request_id}" with {type(generation.text).__name__} instead of a text'
    if generation.finish_reason not in _FINISHES:
        return f'ended "{generation.request_id}" with "{generation.finish_reason}", which is none of {", ".join(_FINISHES)}'
    return None


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
