"""An append-only file of JSON lines that survives ``kill -9`` in the middle of a write."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rmr1.errors import JournalError

_BLOCK = 1 << 16


def encode_line(record: Mapping[str, object]) -> bytes:
    """One record as one line of JSON in UTF-8, newline included."""
    try:
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:  # lone surrogates exist in JSON strings, not in UTF-8
        return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _decode_line(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise JournalError(f"{path}:{number}: not a record ({error}); delete the line to redo it") from error
    if not isinstance(record, dict):
        raise JournalError(f"{path}:{number}: not a JSON object; delete the line to redo it")
    return record


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Read a file of JSON lines that another process may be writing: it is not changed, and a line without its end is passed
    over.

    Raises:
        JournalError: A line is not a JSON object; the message names it.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            yield _decode_line(line, path, number)


class Journal:
    """Records of one run, in the order in which they came.

    A record is one ``write`` of a whole line. A process killed during that write leaves a last line without its newline:
    opening the journal cuts it off, and its record counts as never done.

    Args:
        path: The file; created if absent.

    Raises:
        JournalError: While reading, a line is not a JSON object and not the last one; the message names the line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._cut_torn_line()

    def append(self, record: Mapping[str, object]) -> int:
        """Write one record; returns its place, for ``read``."""
        line = encode_line(record)
        place = os.fstat(self._file).st_size
        written = os.write(self._file, line)
        while written < len(line):
            written += os.write(self._file, line[written:])
        return place

    def read(self, place: int) -> dict[str, Any]:
        """Read the one record that ``append`` or ``places`` gave this place."""
        with self.path.open("rb") as lines:
            lines.seek(place)
            record: dict[str, Any] = json.loads(lines.readline())
            return record

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Read all records so far, one at a time."""
        for _, record in self.places():
            yield record

    def places(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Read all records so far, each with its place."""
        place = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                yield place, _decode_line(line, self.path, number)
                place += len(line)

    def close(self) -> None:
        """Bring everything to the disk and close the file."""
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cut_torn_line(self) -> None:
        size = end = os.fstat(self._file).st_size
        while end > 0:
            start = max(0, end - _BLOCK)
            newline = os.pread(self._file, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._file, end)
