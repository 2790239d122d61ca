"""Raw rows and where they come from: the seam between file formats and the meaning of a row.

A reader yields a ``RawRow`` for every record of its source, also for those that it cannot read: a bad line is a value
with a ``problem``, so that one pass can skip it, count it and go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

from rmr1.data.compressed import UTF8_BOM, bounded_lines, file_digest, open_content
from rmr1.errors import DataError

RowTest = Callable[[Mapping[str, object]], bool]
"""Tells whether a JSON object is itself a row."""


RowTransform = Callable[[Mapping[str, object]], Mapping[str, object] | None]
"""Gives the row to read instead, or None to leave it out; a ``RowError`` says why a row cannot be read."""


class RowError(DataError):
    """What is wrong with one row, without its place; ``PairSource`` adds the place or counts the row as skipped.

    Attributes:
        fix: What to do about it, where dropping the row is not the cure.
    """

    def __init__(self, problem: str, fix: str = "") -> None:
        super().__init__(problem)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class RawRow:
    """One record as the format gives it.

    Args:
        index: 0-based number of the record; names rows that have no id.
        number: What a message calls it: the 1-based line for text formats, the 1-based record for others.
        columns: The record, or None where ``problem`` is set.
        problem: Why the record could not be read, or "".
        shard: 0-based number of its file, where a source has several.
    """

    index: int
    number: int
    columns: Mapping[str, object] | None
    problem: str = ""
    shard: int = 0


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

    @property
    def cells_are_text(self) -> bool:
        """Whether the format has nothing but texts, so that a list can only be written as one."""
        ...

    def place(self, number: int, shard: int = 0) -> str:
        """Name a row by its ``number`` for a message."""
        ...

    def fingerprint(self) -> str:
        """Identify the content, so that a resumed run notices other data."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on disk, compressed or not: decided by its first bytes, never by its name."""

    path: Path
    name: str

    @property
    def cells_are_text(self) -> bool:
        """Not in most formats."""
        return False

    def place(self, number: int, shard: int = 0) -> str:
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
        """Yield numbered lines.

        Raises:
            DataError: If the compressed data are damaged, or a line is too long.
        """
        number = 0
        try:
            with self.open() as content:
                for number, line in enumerate(bounded_lines(content, self.name), start=1):
                    yield number, line.removeprefix(UTF8_BOM) if number == 1 else line
        except OSError as error:
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

    @property
    def cells_are_text(self) -> bool:
        """As in the source."""
        return self._reader.cells_are_text

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
                yield replace(row, columns=None, problem=str(problem))
                continue
            if columns is None:
                self.left_out += 1
            else:
                yield replace(row, columns=columns)

    def place(self, number: int, shard: int = 0) -> str:
        """Name a row."""
        return self._reader.place(number, shard)

    def fingerprint(self) -> str:
        """Identify the content of the source; the function is not part of it."""
        return self._reader.fingerprint()


def has_lone_surrogate(text: str) -> bool:
    """Tell whether a text cannot be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def utf8_problem(error: UnicodeDecodeError) -> str:
    """Say which byte is not UTF-8."""
    where = f"byte 0x{error.object[error.start]:02x} at byte {error.start + 1} of the line"
    return f"not UTF-8 ({where}); save the file as UTF-8"


def value_at(row: Mapping[str, object], column: str) -> object:
    """The value of a column; ``a.b`` is the ``b`` inside ``a`` where no column has the whole name. None if there is none."""
    return _lookup(row, column)[1]


def has_column(row: Mapping[str, object], column: str) -> bool:
    """Tell whether a row has a column, which may be nested."""
    return _lookup(row, column)[0]


def _lookup(row: Mapping[str, object], column: str) -> tuple[bool, object]:
    if column in row:
        return True, row[column]
    value: Any = row
    for part in column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False, None
        value = value[part]
    return True, value
