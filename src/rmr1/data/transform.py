"""Rows that are changed or left out before they are read as pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rmr1.data.rows import RawRow, RowError, RowReader

RowTransform = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""Gives the row to read instead, or None to leave it out; a ``RowError`` says why a row cannot be read."""


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
