"""Ctrl-C and SIGTERM end a training after the step under way, with a checkpoint; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def gentle_interruption(on_first: Callable[[], None]) -> Iterator[None]:
    """Call ``on_first`` on the first signal; what stood before is in force again from then on, and at the end.

    Handlers can only be set in the main thread; in others nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {kind: signal.getsignal(kind) for kind in _SIGNALS}

    def restore() -> None:
        for kind, handler in before.items():
            signal.signal(kind, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        on_first()

    for kind in _SIGNALS:
        signal.signal(kind, handle)
    try:
        yield
    finally:
        restore()
