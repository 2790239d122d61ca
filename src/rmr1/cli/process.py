"""What the operating system and the libraries do to a command: closed streams, signals, warnings."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


def prepare_streams() -> None:
    """Open again, on nothing, what the caller has closed, and let every text be printed.

    A closed stream leaves its number free: the next file that is opened would get it, and what is printed would go into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or locale without some letters, and lone surrogates
            stream.reconfigure(errors="backslashreplace")


def abandon_broken_streams() -> None:
    """Point streams whose reader has gone at nothing, so that the interpreter's own flush at the end does not fail again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def quieten_libraries() -> None:
    """Keep warnings of libraries and their reports of retries and cancelled work off stderr, unless ``python -W`` asks for them."""
    if not sys.warnoptions:
        for library in ("HF_HUB", "DATASETS", "TRANSFORMERS"):
            os.environ.setdefault(f"{library}_VERBOSITY", "error")
        warnings.simplefilter("ignore")
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)


@contextmanager
def stoppable() -> Iterator[None]:
    """Make SIGTERM what Ctrl-C is, so that a scheduler's stop ends a run in the same way and leaves it resumable."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    if before == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if signal.getsignal(signal.SIGINT) in (
        signal.SIG_IGN,
        signal.SIG_DFL,
        None,
    ):  # as in jobs that a script starts with &
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)  # whatever handles Ctrl-C now, such as an event loop
