"""A real server of vLLM on this CPU."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import wait_until

ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "0"}
HANGS_AFTER_S = 120


@contextmanager
def vllm_server(model: Path, log: Path, *options: str) -> Iterator[str]:
    """Start it, and end it with all its processes.

    Args:
        model: A Hugging Face folder; its name at the server is ``judge``.
        log: What it says.
        options: More of its options.

    Yields:
        Its address.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--served-model-name", "judge", "--host", "127.0.0.1", "--port", str(port), *options]
    environment = {**os.environ, **ENVIRONMENT}
    with log.open("w") as said:
        server = subprocess.Popen(
            command, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        assert wait_until(lambda: is_healthy(port), server, 0.5), log.read_text()[-4000:]
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGINT)
            server.wait(HANGS_AFTER_S)


def is_healthy(port: int) -> bool:
    """Whether it answers."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


def processes_of(word: str) -> list[int]:
    """Processes of vLLM whose environment holds a word."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and word in (folder / "environ").read_bytes().decode(errors="replace"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found
