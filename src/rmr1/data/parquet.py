"""Parquet, read in batches through pyarrow, which is loaded only here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rmr1.data.rows import LocalFile, RawRow
from rmr1.errors import DataError, MissingExtraError

BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class ParquetFile(LocalFile):
    """A Parquet file; memory holds one batch of rows."""

    def rows(self) -> Iterator[RawRow]:
        """Yield a row for each record.

        Raises:
            MissingExtraError: If pyarrow is not installed.
            DataError: If the file is not Parquet or is damaged.
        """
        pyarrow, parquet = load_pyarrow()
        index = 0
        try:
            with parquet.ParquetFile(self.path) as table:
                for batch in table.iter_batches(batch_size=BATCH_ROWS):
                    for columns in batch.to_pylist():
                        yield RawRow(index, index + 1, columns)
                        index += 1
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{self.place(index + 1)}: cannot be read as Parquet ({error})") from error


def load_pyarrow() -> tuple[Any, Any]:
    """Import pyarrow and its Parquet module.

    Raises:
        MissingExtraError: If pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("reading Parquet", "parquet") from error
    return pyarrow, pyarrow.parquet
