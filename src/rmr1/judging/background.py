"""An event loop in a thread of its own, so that blocking calls work everywhere, also inside a notebook's running loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, TypeVar

Result = TypeVar("Result")


class BackgroundLoop:
    """Runs coroutines for callers that are not asynchronous."""

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

    def iterate(self, results: AsyncGenerator[Result]) -> Iterator[Result]:
        """Take an asynchronous iterator's results one by one; leaving early closes it."""
        try:
            while True:
                try:
                    yield self.run(_next(results))
                except StopAsyncIteration:
                    return
        finally:
            self.run(results.aclose())

    def close(self) -> None:
        """Stop the thread."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _next(results: AsyncGenerator[Result]) -> Result:
    return await anext(results)
