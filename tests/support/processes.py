"""Commands that are stopped in the middle of their work: at something they have done, never after a number of seconds."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

POLL_S = 0.001
HANGS_AFTER_S = 600.0


def wait_until(
    reached: Callable[[], bool],
    process: subprocess.Popen[bytes] | subprocess.Popen[str] | None = None,
    poll_s: float = POLL_S,
) -> bool:
    """Wait for something, or for the end of the process that should bring it about.

    Args:
        reached: Whether it has come about.
        process: The process.
        poll_s: Seconds between two questions.

    Returns:
        Whether it came about while the process was running.

    Raises:
        AssertionError: Neither happens for so long that the process must hang.
    """
    give_up = time.monotonic() + HANGS_AFTER_S
    while not reached():
        if process is not None and process.poll() is not None:
            return False
        assert time.monotonic() < give_up, "it hangs"
        time.sleep(poll_s)
    return process is None or process.poll() is None


def kill_when(reached: Callable[[], bool], command: Sequence[object], *, linger_s: float = 0.0, **options: Any) -> bool:
    """Start a command and end it with SIGKILL once something is reached.

    Args:
        reached: Looks at what the command has written.
        command: The command.
        linger_s: Kill it this much later, for kills at other moments of a step. No result may depend on it.
        options: Of the process, such as ``cwd``.

    Returns:
        Whether the kill found it alive.
    """
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    wait_until(reached, process)
    if linger_s:
        time.sleep(linger_s)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def lines_of(path: Path) -> int:
    """How many whole lines a file has; none where there is no file."""
    return path.read_bytes().count(b"\n") if path.exists() else 0
