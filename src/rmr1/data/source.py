"""Pairs and response sets from one file or data set, read row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from rmr1.arguments import expect, expect_texts, source_of
from rmr1.data.contents import Match, RowContent, read_content, read_notes
from rmr1.data.formats import open_file
from rmr1.data.hub import HUB_PREFIX, SAVED_DATASET, SAVED_SPLITS, HubDataset, SavedDataset
from rmr1.data.messages import Turns
from rmr1.data.rows import RawRow, RowError, RowReader, RowTransform, TransformedReader, value_at
from rmr1.data.shapes import RowLayout, Shape, recognise, shape_of
from rmr1.data.shards import ShardedReader, find_shards
from rmr1.errors import DataError
from rmr1.records import PreferencePair, ResponseSet

LONGEST_EXTRA = 1000
ROWS_TO_RECOGNISE = 100
PROBLEMS_KEPT = 5
DROP_OR_SKIP = "drop the row or pass skip_invalid=True"
"""What a caller of ``load_pairs`` can do about a row that cannot be read."""


@dataclass(slots=True)
class Skipped:
    """The rows that a pass left out: how many, and the messages of the first few."""

    count: int = 0
    messages: list[str] = field(default_factory=list)

    def add(self, message: str) -> None:
        """Count one more; messages beyond the first few are not kept."""
        self.count += 1
        if len(self.messages) < PROBLEMS_KEPT:
            self.messages.append(message)


class PairSource:
    """The pairs of one file or data set. Iterate it as often as needed: every pass reads from the beginning.

    Rows that repeat an id get ids of their own, in the order in which they come: ``q1``, ``q1#2``, ``q1#3``.

    Attributes:
        path: The source as it was given.
        shape: How its rows are read.
        skip_invalid: Whether rows that cannot be read are left out.
        skipped: The rows that the latest pass left out; rows are left out only with ``skip_invalid``.
        repeated: The rows of the latest pass whose id an earlier row has too: how many, and the first such ids.
        advice: What messages tell the user to do about a row that cannot be read.
    """

    def __init__(
        self,
        path: str,
        reader: RowReader,
        layout: RowLayout,
        shape: Shape,
        *,
        skip_invalid: bool,
        unique_ids: bool = True,
        allow_empty: bool = False,
        advice: str = DROP_OR_SKIP,
    ) -> None:
        self.path = path
        self.shape = shape
        self.skipped = Skipped()
        self.repeated = Skipped()
        self._reader = reader
        self._layout = layout
        self.skip_invalid = skip_invalid
        self._unique_ids = unique_ids and "id" in layout.columns
        self.advice = advice
        self._allow_empty = allow_empty
        self._used = frozenset(layout.columns.values())

    def __iter__(self) -> Iterator[PreferencePair]:
        """Yield the pairs of every row.

        Raises:
            DataError: At the first row that cannot be read, unless ``skip_invalid``; always if the file is damaged, or if no
                row is left.
        """
        reading = self._begin()
        for row in self._reader.rows():
            try:
                yield from self._pairs(row, reading.name(row))
            except RowError as problem:
                self._skip(row, problem, reading)
        self._check_any_left(reading)

    def sets(self) -> Iterator[ResponseSet]:
        """Yield every row with all its responses.

        Chosen responses have the score 1, rejected ones 0; so have the two sides of a labelled pair. Without a label,
        and for a tie, there are no scores.

        Raises:
            DataError: As iteration does.
        """
        reading = self._begin()
        for row in self._reader.rows():
            try:
                yield self._set(row, reading.name(row))
            except RowError as problem:
                self._skip(row, problem, reading)
        self._check_any_left(reading)

    @property
    def left_out(self) -> int:
        """How many rows the transformation has left out in the latest pass."""
        return self._reader.left_out if isinstance(self._reader, TransformedReader) else 0

    def notices(self) -> list[str]:
        """What a user should know of the latest pass, in sentences."""
        said = []
        if self.skipped.count:
            said.append(f"{self.skipped.count} rows skipped: {'; '.join(self.skipped.messages)}")
        if self.repeated.count:
            ids = ", ".join(f'"{one}"' for one in self.repeated.messages)
            rows = "1 row repeats" if self.repeated.count == 1 else f"{self.repeated.count} rows repeat"
            said.append(f"{rows} an id ({ids}); the ids of the later ones go on with #2, #3 and so on")
        return said

    def fingerprint(self) -> str:
        """Identify the content: SHA-256 of a file's bytes, or of a hub data set's name, configuration, revision, split.

        Raises:
            DataError: If the source cannot be read.
        """
        return self._reader.fingerprint()

    def _begin(self) -> _Reading:
        reading = _Reading(self._layout.columns.get("id", ""), unique_ids=self._unique_ids)
        self.skipped, self.repeated = reading.skipped, reading.repeated
        return reading

    def _check_any_left(self, reading: _Reading) -> None:
        skipped = reading.skipped
        if skipped.count and skipped.count == reading.rows:
            raise DataError(
                f"{self._reader.name}: none of its {reading.rows} rows can be read: {'; '.join(skipped.messages)}"
            )

    def _content(self, row: RawRow) -> tuple[Mapping[str, object], RowContent]:
        if row.columns is None:
            raise RowError(row.problem)
        return row.columns, read_content(row.columns, self._layout)

    def _pairs(self, row: RawRow, row_id: str) -> Iterator[PreferencePair]:
        columns, content = self._content(row)
        group = _scalar_text(value_at(columns, self._layout.columns.get("group", ""))) or row_id
        category = self._category(columns)
        reference, rubric = (read_notes(columns, self._layout.columns.get(name)) for name in ("reference", "rubric"))
        extra = self._extra(columns)
        for match in content.matches:
            if not self._allow_empty:
                _check_text(content.responses, match)
            yield PreferencePair(
                id=row_id + match.suffix,
                prompt=content.prompt,
                response_a=content.responses[match.a],
                response_b=content.responses[match.b],
                label=match.label,
                group=group,
                category=category,
                reference=reference,
                rubric=rubric,
                extra=extra,
            )

    def _set(self, row: RawRow, row_id: str) -> ResponseSet:
        columns, content = self._content(row)
        return ResponseSet(
            row_id, content.prompt, content.responses, content.scores, self._category(columns), self._extra(columns)
        )

    def _skip(self, row: RawRow, problem: RowError, reading: _Reading) -> None:
        message = f"{self._reader.place(row.number, row.shard)}: {problem}"
        if not self.skip_invalid:
            raise DataError(f"{message}; {problem.fix or self.advice}") from problem
        reading.skipped.add(message)

    def _category(self, columns: Mapping[str, object]) -> str:
        return _scalar_text(value_at(columns, self._layout.columns.get("category", "")))

    def _extra(self, columns: Mapping[str, object]) -> dict[str, object]:
        """Keep the short scalars of the columns that have no meaning here; whole structures would fill the memory."""
        nested = columns.get("extra")
        extra = _short_scalars(nested, frozenset()) if isinstance(nested, Mapping) else {}
        return extra | _short_scalars(columns, self._used)


class _Reading:
    """One reading of a source: names its rows, and counts what is wrong with them.

    Ids are made unique in the order in which they come; memory holds eight bytes of each.
    """

    def __init__(self, id_column: str, *, unique_ids: bool) -> None:
        self.skipped = Skipped()
        self.repeated = Skipped()
        self.rows = 0
        self._id_column = id_column
        self._seen: set[bytes] | None = set() if unique_ids else None
        self._times: dict[str, int] = {}

    def name(self, row: RawRow) -> str:
        """The id of a row: its own, with ``#2`` and so on where an earlier row has it, or its number."""
        self.rows += 1
        value = value_at(row.columns, self._id_column) if row.columns else None
        row_id = _scalar_text(value) or f"row-{row.index}"
        if row.columns is None or self._seen is None or self._take(row_id):
            return row_id
        if row_id in self._times:
            self.repeated.count += 1
        else:
            self.repeated.add(row_id)
        number = self._times.get(row_id, 1) + 1
        while not self._take(f"{row_id}#{number}"):
            number += 1
        self._times[row_id] = number
        return f"{row_id}#{number}"

    def _take(self, row_id: str) -> bool:
        digest = hashlib.blake2b(row_id.encode(errors="surrogatepass"), digest_size=8).digest()
        if self._seen is None or digest in self._seen:
            return False
        self._seen.add(digest)
        return True


def _check_text(responses: tuple[Turns, ...], match: Match) -> None:
    if not any(turn.content.strip() for number in (match.a, match.b) for turn in responses[number]):
        raise RowError("both responses are empty; there is nothing to compare")


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
    unique_ids: bool = True,
    allow_empty: bool = False,
    advice: str = DROP_OR_SKIP,
) -> PairSource:
    """Open a file or data set of preference pairs and recognise the shape of its rows.

    Args:
        path: A ``.jsonl``, ``.json``, ``.csv``, ``.tsv`` (each also compressed) or ``.parquet`` file, or one of these
            under any other name; a folder of such files, ``FOLDER#SPLIT`` for those whose names begin with the split, or a
            pattern such as ``data/*.jsonl``; a folder that ``datasets`` saved; or
            ``hf:OWNER/NAME[:CONFIG][@REVISION][#SPLIT]``.
        columns: Our field names with the columns that hold them, where recognition needs help; it wins over
            recognition. ``label_a``, ``label_b`` and ``label_tie`` give values of the label column.
        skip_invalid: Leave out rows that cannot be read and count them, instead of stopping at the first.
        name: How messages name the source if not by its path: ``-`` for a spooled standard input.
        transform: Changes a row before anything else is read from it, or leaves it out.
        unique_ids: Give rows that repeat an id one of their own.
        allow_empty: Give pairs of two empty responses too, which cannot be judged.
        advice: What messages tell the user to do about a row that cannot be read.

    Raises:
        DataError: If the source is missing, empty, of no known format, or of no known shape.
        MissingExtraError: If the format needs a library that is not installed.
        DownloadError: If the hub cannot be reached.
    """
    source = source_of("path", path)
    expect_texts("columns", columns)
    expect("name", name, str | None, "a text or None")
    expect("skip_invalid", skip_invalid, bool, "True or False")
    overrides = dict(columns or {})
    reader = _open_reader(source, name or source, overrides)
    if transform is not None:
        reader = TransformedReader(reader, transform)
    first, layout = _recognise_first(reader, overrides, advice, skip_invalid=skip_invalid)
    layout = replace(layout, cells_are_text=reader.cells_are_text)
    shape = shape_of(layout, first, reader.name, overrides)
    return PairSource(
        source,
        reader,
        layout,
        shape,
        skip_invalid=skip_invalid,
        unique_ids=unique_ids,
        allow_empty=allow_empty,
        advice=advice,
    )


def _open_reader(source: str, name: str, overrides: Mapping[str, str]) -> RowReader:
    if source.startswith(HUB_PREFIX):
        return HubDataset(source)
    folder, hash_mark, split = source.rpartition("#")
    for path, part in ((source, None), (folder, split)) if hash_mark else ((source, None),):
        if any((Path(path) / mark).is_file() for mark in (SAVED_DATASET, SAVED_SPLITS)):
            return SavedDataset(Path(path), part, name)

    def is_row(columns: Mapping[str, object]) -> bool:
        try:
            recognise(columns, overrides, name)
        except DataError:
            return False
        return True

    shards = find_shards(source)
    return open_file(Path(source), name, is_row) if shards is None else ShardedReader(shards, name, is_row)


def _recognise_first(
    reader: RowReader, overrides: Mapping[str, str], advice: str, *, skip_invalid: bool
) -> tuple[Mapping[str, object], RowLayout]:
    """Recognise the shape by the first row, or with ``skip_invalid`` by the first of the beginning that has a shape.

    Columns that only later rows of the beginning have are known too: the first row may lack a label.
    """
    failure: DataError | None = None
    rows = islice(reader.rows(), ROWS_TO_RECOGNISE)
    for row in rows:
        if row.columns is None:
            place = reader.place(row.number, row.shard)
            hint = f"no row before row {ROWS_TO_RECOGNISE} can be read" if skip_invalid else advice
            failure = failure or DataError(f"{place}: {row.problem}; {hint}")
        else:
            try:
                layout = recognise(row.columns, overrides, reader.name)
            except DataError as error:
                failure = failure or error
            else:
                return _with_later_columns(row.columns, rows, layout, overrides, reader.name)
        if not skip_invalid:
            break
    raise failure or DataError(f"{reader.name}: no rows in it")


def _with_later_columns(
    first: Mapping[str, object],
    rows: Iterator[RawRow],
    layout: RowLayout,
    overrides: Mapping[str, str],
    name: str,
) -> tuple[Mapping[str, object], RowLayout]:
    later: dict[str, object] = {}
    for row in rows:
        later = {**(row.columns or {}), **later}
    if later.keys() <= first.keys():
        return first, layout
    merged = {**later, **first}
    try:
        wider = recognise(merged, overrides, name)
    except DataError:
        return first, layout
    return (merged, wider) if wider.family == layout.family else (first, layout)
