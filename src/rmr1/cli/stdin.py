"""Standard input as a file: a run reads its pairs more than once."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def spooled(source: str) -> Iterator[str]:
    """Give the path of ``source``; for ``-``, that of a temporary copy of standard input."""
    if source != "-":
        yield source
        return
    with tempfile.NamedTemporaryFile(prefix="rmr1-stdin-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy, 1 << 20)
        copy.flush()
        yield copy.name
