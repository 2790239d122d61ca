"""Raw rows and where they come from: the seam between file formats and the meaning of a row.

A reader yields a ``RawRow`` for every record of its source, also for those that it cannot read: a bad line is a value
with a ``problem``, so that one pass can skip it, count it and go on.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from rmr1.errors import DataError

UTF8_BOM = b"\xef\xbb\xbf"
GZIP_MAGIC = b"\x1f\x8b"
CHUNK_BYTES = 1 << 20

RowTest = Callable[[Mapping[str, object]], bool]
"""Tells whether a JSON object is itself a row."""


RowTransform = Callable[[Mapping[str, object]], Mapping[str, object] | None]
"""Gives the row to read instead, or None to leave it out; a ``RowError`` says why a row cannot be read."""


class RowError(DataError):
    """What is wrong with one row, without its place; ``PairSource`` adds the place or counts the row as skipped."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """One record as the format gives it.

    Args:
        index: 0-based number of the record; names rows that have no id.
        number: What a message calls it: the 1-based line for text formats, the 1-based record for others.
        columns: The record, or None where ``problem`` is set.
        problem: Why the record could not be read, or "".
    """

    index: int
    number: int
    columns: Mapping[str, object] | None
    problem: str = ""


class RowReader(Protocol):
    """A source of raw rows that can be read many times."""

    @property
    def name(self) -> str:
        """The source as the user named it; messages begin with it."""
        ...

    def rows(self) -> Iterator[RawRow]:
        """Read from the beginning; memory does not grow with the number of rows (``.json`` excepted).

        Raises:
            DataError: If the source as a whole cannot be read.
        """
        ...

    def place(self, number: int) -> str:
        """Name a row by its ``number`` for a message."""
        ...

    def fingerprint(self) -> str:
        """Identify the content, so that a resumed run notices other data."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on disk, compressed with gzip or not: decided by its first bytes, never by its name."""

    path: Path
    name: str

    def place(self, number: int) -> str:
        """Name a record; text formats number lines instead and override this."""
        return f"{self.name}: row {number}"

    def fingerprint(self) -> str:
        """Return the SHA-256 of the bytes on disk.

        Raises:
            DataError: If the file cannot be read.
        """
        return file_digest([self.path], self.name)

    def open(self) -> IO[bytes]:
        """Open the content, decompressed.

        Raises:
            DataError: If there is no such file or it may not be read.
        """
        return open_content(self.path, self.name)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        r"""Yield numbered lines, cut at ``\n`` only: U+2028 and its kin are legal inside JSON strings.

        Raises:
            DataError: If the compressed data are damaged.
        """
        number = 0
        try:
            with self.open() as content:
                for number, line in enumerate(content, start=1):
                    yield number, line.removeprefix(UTF8_BOM) if number == 1 else line
        except (EOFError, zlib.error, OSError) as error:
            raise DataError(
                f"{self.name}:{number + 1}: cannot be read on from here ({error}); fetch it again"
            ) from error


class TransformedReader:
    """A reader whose rows pass through a function; numbers, places and the fingerprint are those of its source.

    Attributes:
        left_out: How many rows the latest pass has left out.
    """

    def __init__(self, reader: RowReader, transform: RowTransform) -> None:
        self.left_out = 0
        self._reader = reader
        self._transform = transform

    @property
    def name(self) -> str:
        """The source as the user named it."""
        return self._reader.name

    def rows(self) -> Iterator[RawRow]:
        """Yield the rows that remain.

        Raises:
            DataError: As the source does.
        """
        self.left_out = 0
        for row in self._reader.rows():
            if row.columns is None:
                yield row
                continue
            try:
                columns = self._transform(row.columns)
            except RowError as problem:
                yield RawRow(row.index, row.number, None, str(problem))
                continue
            if columns is None:
                self.left_out += 1
            else:
                yield RawRow(row.index, row.number, columns)

    def place(self, number: int) -> str:
        """Name a row."""
        return self._reader.place(number)

    def fingerprint(self) -> str:
        """Identify the content of the source; the function is not part of it."""
        return self._reader.fingerprint()


def open_content(path: Path, name: str) -> IO[bytes]:
    """Open a file for reading, through gzip where it begins with the gzip magic.

    Raises:
        DataError: If there is no such file or it may not be read.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise DataError(f"{name}: {error.strerror or error}") from error
    magic = raw.read(len(GZIP_MAGIC))
    raw.seek(0)
    if magic != GZIP_MAGIC:
        return raw
    raw.close()
    return cast("IO[bytes]", gzip.open(path, "rb"))


def file_digest(paths: list[Path], name: str) -> str:
    """Return the SHA-256 over the bytes of the files in the order given, read in chunks.

    Raises:
        DataError: If one of them cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as content:
                while chunk := content.read(CHUNK_BYTES):
                    digest.update(chunk)
        except OSError as error:
            raise DataError(f"{name}: {error.strerror or error}") from error
    return digest.hexdigest()


def has_lone_surrogate(text: str) -> bool:
    """Tell whether a text cannot be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def utf8_problem(error: UnicodeDecodeError) -> str:
    """Say which byte is not UTF-8."""
    return f"not UTF-8 (byte 0x{error.object[error.start]:02x} at byte {error.start + 1} of the line)"
