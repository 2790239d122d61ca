"""Event loops for callers that are not asynchronous; they work everywhere, also inside a notebook's running loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


class BlockingLoop(Protocol):
    """Runs coroutines for callers that wait for them."""

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end and return its result; Ctrl-C cancels it."""
        ...

    def close(self) -> None:
        """Free the loop; nothing can be run afterwards."""


class CallersLoop:
    """An event loop that runs in whatever thread calls it, one caller at a time: for engines that compute in this process.

    A loop in a thread of its own would make them slow: OpenMP keeps a team of workers for every thread that computes, and more
    workers than processors sleep between any two operations. If a loop is already running in the caller's thread, as in
    notebooks, each call still gets a thread of its own; ``await`` the asynchronous methods there.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._turn = threading.Lock()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end and return its result; Ctrl-C cancels it."""
        with self._turn:
            return _elsewhere(self._finish, work) if _is_inside_a_loop() else self._finish(work)

    def close(self) -> None:
        """Free the loop."""
        self._loop.close()

    def _finish(self, work: Coroutine[Any, Any, Result]) -> Result:
        task = self._loop.create_task(work)
        try:
            return self._loop.run_until_complete(task)
        except BaseException:
            if not task.done():
                task.cancel()
                self._loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            raise


class BackgroundLoop:
    """An event loop in a thread of its own, shared by all callers: for engines that wait for servers."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rmr1-judge", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end and return its result; Ctrl-C cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end for a caller in another loop; cancelling the caller cancels it."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def close(self) -> None:
        """Stop the thread."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def run_blocking(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end for a caller that is not asynchronous; inside a running loop, in a thread of its own."""
    return _elsewhere(asyncio.run, work) if _is_inside_a_loop() else asyncio.run(work)


def iterate(loop: BlockingLoop, results: AsyncGenerator[Result]) -> Iterator[Result]:
    """Take an asynchronous iterator's results one by one; leaving early closes it."""
    try:
        while True:
            try:
                yield loop.run(_next(results))
            except StopAsyncIteration:
                return
    finally:
        loop.run(results.aclose())


async def iterate_in(loop: BackgroundLoop, results: AsyncGenerator[Result]) -> AsyncGenerator[Result]:
    """Take an asynchronous iterator's results in any loop, while it runs in its own; leaving early closes it."""
    try:
        while True:
            try:
                yield await loop.wait(_next(results))
            except StopAsyncIteration:
                return
    finally:
        await loop.wait(results.aclose())


async def _next(results: AsyncGenerator[Result]) -> Result:
    return await anext(results)


def _is_inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _elsewhere(finish: Callable[[Coroutine[Any, Any, Result]], Result], work: Coroutine[Any, Any, Result]) -> Result:
    """Finish the work in a thread, for there can be but one running loop in each."""
    with ThreadPoolExecutor(1, "rmr1-judge") as threads:
        return threads.submit(finish, work).result()
