"""Pairs and response sets from one file or data set, read row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rmr1.data.contents import RowContent, read_content
from rmr1.data.formats import open_file
from rmr1.data.hub import HUB_PREFIX, HubDataset, SavedDataset
from rmr1.data.rows import RawRow, RowError, RowReader, RowTransform, TransformedReader
from rmr1.data.shapes import RowLayout, Shape, recognise, shape_of
from rmr1.errors import DataError
from rmr1.records import PreferencePair, ResponseSet

LONGEST_EXTRA = 1000
ROWS_TO_RECOGNISE = 100
PROBLEMS_KEPT = 5


@dataclass(slots=True)
class Skipped:
    """The rows that a pass left out: how many, and the messages of the first few."""

    count: int = 0
    messages: list[str] = field(default_factory=list)


class PairSource:
    """The pairs of one file or data set. Iterate it as often as needed: every pass reads from the beginning.

    Attributes:
        path: The source as it was given.
        shape: How its rows are read.
        skip_invalid: Whether rows that cannot be read are left out.
        skipped: The rows that the latest pass left out; rows are left out only with ``skip_invalid``.
    """

    def __init__(self, path: str, reader: RowReader, layout: RowLayout, shape: Shape, *, skip_invalid: bool) -> None:
        self.path = path
        self.shape = shape
        self.skipped = Skipped()
        self._reader = reader
        self._layout = layout
        self.skip_invalid = skip_invalid
        self._used = frozenset(layout.columns.values())

    def __iter__(self) -> Iterator[PreferencePair]:
        """Yield the pairs of every row.

        Raises:
            DataError: At the first row that cannot be read, unless ``skip_invalid``; always if the file is damaged.
        """
        skipped = self.skipped = Skipped()
        for row in self._reader.rows():
            try:
                yield from self._pairs(row)
            except RowError as problem:
                self._skip(row, problem, skipped)

    def sets(self) -> Iterator[ResponseSet]:
        """Yield every row with all its responses.

        Chosen responses have the score 1, rejected ones 0; so have the two sides of a labelled pair. Without a label,
        and for a tie, there are no scores.

        Raises:
            DataError: As iteration does.
        """
        skipped = self.skipped = Skipped()
        for row in self._reader.rows():
            try:
                yield self._set(row)
            except RowError as problem:
                self._skip(row, problem, skipped)

    @property
    def left_out(self) -> int:
        """How many rows the transformation has left out in the latest pass."""
        return self._reader.left_out if isinstance(self._reader, TransformedReader) else 0

    def fingerprint(self) -> str:
        """Identify the content: SHA-256 of a file's bytes, or of a hub data set's name, configuration, revision, split.

        Raises:
            DataError: If the source cannot be read.
        """
        return self._reader.fingerprint()

    def _content(self, row: RawRow) -> tuple[Mapping[str, object], RowContent]:
        if row.columns is None:
            raise RowError(row.problem)
        return row.columns, read_content(row.columns, self._layout)

    def _pairs(self, row: RawRow) -> Iterator[PreferencePair]:
        columns, content = self._content(row)
        row_id = self._row_id(row)
        group = _scalar_text(columns.get(self._layout.columns.get("group", ""))) or row_id
        category = self._category(columns)
        extra = self._extra(columns, content)
        for match in content.matches:
            yield PreferencePair(
                id=row_id + match.suffix,
                prompt=content.prompt,
                response_a=content.responses[match.a],
                response_b=content.responses[match.b],
                label=match.label,
                group=group,
                category=category,
                extra=extra,
            )

    def _set(self, row: RawRow) -> ResponseSet:
        columns, content = self._content(row)
        extra = self._extra(columns, content)
        return ResponseSet(
            self._row_id(row), content.prompt, content.responses, content.scores, self._category(columns), extra
        )

    def _skip(self, row: RawRow, problem: RowError, skipped: Skipped) -> None:
        message = f"{self._reader.place(row.number)}: {problem}"
        if not self.skip_invalid:
            raise DataError(f"{message}; drop the row or pass --skip-invalid") from problem
        skipped.count += 1
        if len(skipped.messages) < PROBLEMS_KEPT:
            skipped.messages.append(message)

    def _row_id(self, row: RawRow) -> str:
        column = self._layout.columns.get("id", "")
        value = row.columns.get(column) if row.columns else None
        return _scalar_text(value) or f"row-{row.index}"

    def _category(self, columns: Mapping[str, object]) -> str:
        return _scalar_text(columns.get(self._layout.columns.get("category", "")))

    def _extra(self, columns: Mapping[str, object], content: RowContent) -> dict[str, object]:
        """Keep the short scalars of the columns that have no meaning here; whole structures would fill the memory."""
        nested = columns.get("extra")
        extra = _short_scalars(nested, frozenset()) if isinstance(nested, Mapping) else {}
        extra |= _short_scalars(columns, self._used)
        return extra | {"tie": True} if content.tie else extra


def _short_scalars(columns: Mapping[str, object], used: frozenset[str]) -> dict[str, object]:
    return {
        name: value
        for name, value in columns.items()
        if name not in used
        and isinstance(value, (str, int, float))
        and (not isinstance(value, str) or len(value) < LONGEST_EXTRA)
    }


def _scalar_text(value: object) -> str:
    return str(value) if isinstance(value, (str, int, float)) else ""


def load_pairs(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    skip_invalid: bool = False,
    name: str | None = None,
    transform: RowTransform | None = None,
) -> PairSource:
    """Open a file or data set of preference pairs and recognise the shape of its rows.

    Args:
        path: A ``.jsonl``, ``.json``, ``.csv``, ``.tsv`` (each also gzipped) or ``.parquet`` file, or one of these
            under any other name; a folder that ``datasets`` saved, ``FOLDER#SPLIT`` if it has splits; or
            ``hf:OWNER/NAME[:CONFIG][@REVISION][#SPLIT]``.
        columns: Our field names with the columns that hold them, where recognition needs help; it wins over
            recognition.
        skip_invalid: Leave out rows that cannot be read and count them, instead of stopping at the first.
        name: How messages name the source if not by its path: ``-`` for a spooled standard input.
        transform: Changes a row before anything else is read from it, or leaves it out.

    Raises:
        DataError: If the source is missing, empty, of no known format, or of no known shape.
        MissingExtraError: If the format needs a library that is not installed.
        DownloadError: If the hub cannot be reached.
    """
    overrides = dict(columns or {})
    source = str(path)
    reader = _open_reader(source, name or source, overrides)
    if transform is not None:
        reader = TransformedReader(reader, transform)
    first, layout = _recognise_first(reader, overrides, skip_invalid=skip_invalid)
    shape = shape_of(layout, first, reader.name)
    return PairSource(source, reader, layout, shape, skip_invalid=skip_invalid)


def _open_reader(source: str, name: str, overrides: Mapping[str, str]) -> RowReader:
    if source.startswith(HUB_PREFIX):
        return HubDataset(source)
    folder, hash_mark, split = source.rpartition("#")
    if Path(source).is_dir():
        return SavedDataset(Path(source), None, name)
    if hash_mark and Path(folder).is_dir() and not Path(source).exists():
        return SavedDataset(Path(folder), split, name)

    def is_row(columns: Mapping[str, object]) -> bool:
        try:
            recognise(columns, overrides, name)
        except DataError:
            return False
        return True

    return open_file(Path(source), name, is_row)


def _recognise_first(
    reader: RowReader, overrides: Mapping[str, str], *, skip_invalid: bool
) -> tuple[Mapping[str, object], RowLayout]:
    """Recognise the shape by the first row, or with ``skip_invalid`` by the first of the beginning that has a shape."""
    failure: DataError | None = None
    for row in islice(reader.rows(), ROWS_TO_RECOGNISE if skip_invalid else 1):
        if row.columns is None:
            hint = "drop the row or pass --skip-invalid"
            failure = failure or DataError(f"{reader.place(row.number)}: {row.problem}; {hint}")
            continue
        try:
            return row.columns, recognise(row.columns, overrides, reader.name)
        except DataError as error:
            failure = failure or error
    raise failure or DataError(f"{reader.name}: no rows in it")
