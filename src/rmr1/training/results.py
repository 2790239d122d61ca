"""The run of a training: opened by one process of several, complete where its results are written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rmr1.runs import RunDirectory
from rmr1.training.machine import Machine


def read_results(run: Path) -> dict[str, Any] | None:
    """The results of a complete training, or None where it is under way or was never begun."""
    try:
        results: dict[str, Any] = json.loads((run / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return results if (run / "model" / "config.json").is_file() else None


def file_sha256(path: Path) -> str:
    """The hash of a file's content."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def open_run(path: Path, identity: Mapping[str, Any], machine: Machine) -> Iterator[RunDirectory | None]:
    """Open the run; of several processes that train together, only the first one holds it."""
    if machine.rank:
        yield None
        return
    with RunDirectory(path, identity) as run:
        yield run
