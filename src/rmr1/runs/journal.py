"""An append-only file of JSON lines that survives ``kill -9`` in the middle of a write, and that notices what others do to it.

The last key of a line, ``check``, is the CRC-32 of the bytes before it, begun with the key of the run and the name of the file. So
a line that was edited, or that another run has written, is refused; a line that is deleted counts as never done.

A ledger is a journal of which no line may go: the check of each line begins with that of the line before it, and where the file
ended is kept elsewhere.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rmr1.errors import JournalError
from rmr1.files import storage

_BLOCK = 1 << 16
_TAIL = len(b',"check":"00000000"}\n')
_CHANGED = (
    "the line was changed after it was written, or another run wrote it; restore it, "
    "or delete the line to have it done again"
)
_RESTORE = "restore the file, or choose another --run"
_OUT_OF_LINE = (
    f"the line was changed after it was written, or lines before it were deleted, moved or repeated; {_RESTORE}"
)


def encode_line(record: Mapping[str, object]) -> bytes:
    """One record as one line of JSON in UTF-8, newline included."""
    try:
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:  # lone surrogates exist in JSON strings, not in UTF-8
        return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def seal_line(record: Mapping[str, object], key: int) -> bytes:
    """One record as a line of a journal: as ``encode_line``, with its check.

    Args:
        record: At least one key; none is ``check``.
        key: Of the journal, see ``journal_key``.
    """
    body = encode_line(record)[:-2]
    return body + _tail(body, key)


def journal_key(name: str, run: int) -> int:
    """What the checks of a file's lines begin with: no other file of the run, and no other run, has the same one."""
    return zlib.crc32(name.encode(), run)


def is_sealed(line: bytes) -> bool:
    """Whether a line looks like one of a journal, of whatever run."""
    return line[-_TAIL:].startswith(b',"check":"') and line.endswith(b'"}\n')


def _tail(body: bytes, key: int) -> bytes:
    return b',"check":"%08x"}\n' % zlib.crc32(body, key)


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of a journal: its file, its number from 1, its place for ``Journal.read``, and its record."""

    path: Path
    number: int
    place: int
    record: dict[str, Any]

    def refuse(self, problem: str, fix: str = "delete the line to have it done again") -> JournalError:
        """An error that names the line."""
        return JournalError(f"{self.path}:{self.number}: {problem}; {fix}")


def read_lines(path: Path, key: int = 0) -> Iterator[JournalLine]:
    """Read a journal that another process may be writing: it is not changed, and a line without its end is passed over.

    Args:
        path: The file.
        key: Of the run.

    Raises:
        JournalError: A line is not as this run wrote it; the message names it.
        StorageError: The file cannot be read.
    """
    key = journal_key(path.name, key)
    return _read_lines(path, lambda line, number: _open_line(line, key, path, number))


def _read_lines(path: Path, open_line: Callable[[bytes, int], dict[str, Any]]) -> Iterator[JournalLine]:
    place = 0
    with storage(path), path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            yield JournalLine(path, number, place, open_line(line, number))
            place += len(line)


def _open_line(line: bytes, key: int, path: Path, number: int, problem: str = _CHANGED) -> dict[str, Any]:
    body = line[:-_TAIL]
    if line[-_TAIL:] != _tail(body, key):
        raise JournalError(f"{path}:{number}: {problem}")
    try:
        record: dict[str, Any] = json.loads(body + b"}")  # its check says that this run wrote it
    except (ValueError, RecursionError) as error:
        raise JournalError(f"{path}:{number}: not a record ({error}); delete the line to have it done again") from error
    return record


class Journal:
    """Records of one run, in the order in which they came.

    A record is one ``write`` of a whole line. A process killed during that write leaves a last line without its newline:
    opening the journal cuts it off, and its record counts as never done.

    Args:
        path: The file; created if absent.
        key: Of the run, see ``RunDirectory.key``.

    Attributes:
        path: The file.
        was_cut: Whether a last line without its end was cut off.

    Raises:
        JournalError: While reading, a line is not as this run wrote it; the message names the line.
        StorageError: The file cannot be read or written.
    """

    def __init__(self, path: Path, key: int = 0) -> None:
        self.path = path
        self._run = key
        self._key = journal_key(path.name, key)
        with storage(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self.was_cut = self._cut_torn_line()

    def append(self, record: Mapping[str, object]) -> int:
        """Write one record; returns its place, for ``read``. What cannot be written whole is not written at all."""
        return self._write(seal_line(record, self._key))

    def _write(self, line: bytes) -> int:
        with storage(self.path):
            place = os.fstat(self._file).st_size
            try:
                written = os.write(self._file, line)
                while written < len(line):
                    written += os.write(self._file, line[written:])
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._file, place)
                raise
        return place

    def read(self, place: int) -> dict[str, Any]:
        """Read the one record that ``append`` or ``lines`` gave this place."""
        with storage(self.path), self.path.open("rb") as lines:
            lines.seek(place)
            return _open_line(lines.readline(), self._key, self.path, place)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Read all records so far, one at a time."""
        for line in self.lines():
            yield line.record

    def lines(self) -> Iterator[JournalLine]:
        """Read all lines so far, one at a time."""
        return read_lines(self.path, self._run)

    def close(self) -> None:
        """Bring everything to the disk and close the file."""
        if self._file >= 0:
            with storage(self.path):
                try:
                    os.fsync(self._file)
                finally:
                    os.close(self._file)
                    self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cut_torn_line(self) -> bool:
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
        return end < size


class Ledger(Journal):
    """A journal of which every line counts, such as that of what was spent: none can be deleted, moved or repeated unnoticed.

    Lines that a process wrote which was then killed are kept by each other alone: the last of them may be missing.

    Args:
        path: The file; created if absent.
        key: Of the run.
        end: Bytes that it has had at least; None if it was never begun.
        keep_end: Called with the bytes that it has: when it is opened, and when it is closed.

    Raises:
        JournalError: Its end is missing; or while reading, a line is not the one that this run wrote there.
        StorageError: The file cannot be read or written.
    """

    def __init__(self, path: Path, key: int, end: int | None, keep_end: Callable[[int], None]) -> None:
        super().__init__(path, key)
        self._keep_end = keep_end
        size = self._size()
        if size < (end or 0) or (size and end is None):
            lines = sum(1 for _ in _read_lines(path, lambda line, number: {}))
            what = (
                "lines are missing here" if end is not None else f"the file that says where {path.name} ends is missing"
            )
            self.close()
            raise JournalError(f"{path}:{lines + 1}: {what}; {_RESTORE}")
        self._last = self._last_check(size)
        keep_end(size)

    def append(self, record: Mapping[str, object]) -> int:
        """Write one record."""
        line = seal_line(record, self._last)
        place = self._write(line)
        self._last = _check_in(line)
        return place

    def read(self, place: int) -> dict[str, Any]:
        """Not for ledgers: a line proves nothing without those before it."""
        raise NotImplementedError("a ledger is read from its beginning")

    def lines(self) -> Iterator[JournalLine]:
        """Read all lines so far, one at a time."""
        return _read_ledger(self.path, self._key)

    def close(self) -> None:
        """Bring everything to the disk, remember where it ends, and close the file."""
        size = self._size() if self._file >= 0 else None
        super().close()
        if size is not None and hasattr(self, "_last"):
            self._keep_end(size)

    def _size(self) -> int:
        return os.fstat(self._file).st_size

    def _last_check(self, size: int) -> int:
        return _check_in(os.pread(self._file, _TAIL, size - _TAIL)) if size >= _TAIL else self._key


def _check_in(line: bytes) -> int:
    """The check that stands at the end of a line; what is none will be found by whoever reads the line."""
    try:
        return int(line[-11:-3], 16)
    except ValueError:
        return 0


def read_ledger_lines(path: Path, key: int) -> Iterator[JournalLine]:
    """Read a ledger that another process may be writing; see ``read_lines``. That its end is there is not checked."""
    return _read_ledger(path, journal_key(path.name, key))


def _read_ledger(path: Path, last: int) -> Iterator[JournalLine]:
    def open_line(line: bytes, number: int) -> dict[str, Any]:
        nonlocal last
        record = _open_line(line, last, path, number, _OUT_OF_LINE)
        last = _check_in(line)
        return record

    return _read_lines(path, open_line)
