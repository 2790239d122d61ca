"""Many requests at once, few at a time: the loop that engines share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

from rmr1.records import Generation, GenerationRequest

Call = Callable[[GenerationRequest], Awaitable[Generation]]


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
