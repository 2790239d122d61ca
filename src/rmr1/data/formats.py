"""Formats of files: which one a file has, by its name or by its first bytes, and a reader of rows for each.

A further format is a name in ``Format``, its extensions in ``BY_EXTENSION``, and a reader in ``READERS``.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal

from rmr1.data.compressed import COMPRESSED_SUFFIXES, LONGEST_ROW, UTF8_BOM, open_content, read_whole
from rmr1.data.rows import LocalFile, RawRow, RowReader, RowTest, has_lone_surrogate, utf8_problem
from rmr1.errors import DataError, MissingExtraError
from rmr1.files import parse_json

Format = Literal["jsonl", "json", "csv", "tsv", "parquet"]

BY_EXTENSION: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
}
PARQUET_MAGIC = b"PAR1"
SNIFF_BYTES = 1 << 16
FORMATS_KNOWN = "JSON Lines, JSON, CSV, TSV (each also compressed with gzip, bzip2, xz or zstandard) and Parquet"
TAB = "\t"
DELIMITERS = ",;\t|"
QUOTED = re.compile(r'"[^"]*"')
DELIMITER_LINE = re.compile(r"sep=(.)\r?\n?")
"""What Excel writes above the header."""
BATCH_ROWS = 256


def open_file(path: Path, name: str, is_row: RowTest) -> RowReader:
    """Choose the reader of a local file.

    Args:
        path: The file.
        name: How messages name it.
        is_row: Tells a JSON object that is a row from one that holds a list of rows.

    Raises:
        DataError: If the file is missing, empty, or of no known format.
    """
    return READERS[format_of(path, name)](path, name, is_row)


def format_of(path: Path, name: str) -> Format:
    """Take the format from the extension; a ``.json`` file and one without a known extension are sniffed.

    Raises:
        DataError: If the file is missing, empty, or of no known format.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED_SUFFIXES:
        suffixes.pop()
    sniffed = sniff_format(path, name=name)  # also finds missing and empty files, so it runs for every file
    return BY_EXTENSION.get(suffixes[-1], sniffed) if suffixes else sniffed


def sniff_format(path: str | Path, *, name: str | None = None) -> Format:
    """Tell the format of a file from its content; its name plays no part.

    Compression is looked through. ``PAR1`` is Parquet, ``[`` a JSON array, ``{`` JSON Lines or one JSON object; any other
    text is taken for TSV where its first line has more tabs than commas, else for CSV.

    Args:
        path: The file.
        name: How messages name it, if not by its path.

    Raises:
        DataError: If the file is missing, empty, damaged, or plainly binary.
    """
    name = name or str(path)
    try:
        with open_content(Path(path), name) as content:
            head = _first_line(content)
            alone = head.startswith(b"{") and _is_blank(content)
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error}); fetch it again") from error
    if not head:
        raise DataError(f"{name}: no rows; the file is empty")
    if head.startswith(PARQUET_MAGIC):
        return "parquet"
    if b"\0" in head:
        raise DataError(f"{name}: not one of the formats known: {FORMATS_KNOWN}")
    if head.startswith(b"["):
        return "json"
    if head.startswith(b"{"):
        return _sniff_object(head, alone)
    return "tsv" if head.count(b"\t") > head.count(b",") else "csv"


def _first_line(content: IO[bytes]) -> bytes:
    """Return the first line that is not blank, without BOM and white space; of a binary file no more than the limit."""
    line = content.readline(SNIFF_BYTES).removeprefix(UTF8_BOM)
    while line and not line.strip():
        line = content.readline(SNIFF_BYTES)
    if line.lstrip().startswith(b"{") and not line.endswith(b"\n"):
        line += content.readline(LONGEST_ROW)  # a long row: only the whole of it can be parsed
    return line.strip(b" \t\r\n") if line[:1] in b"{[ \t" else line


def _is_blank(content: IO[bytes]) -> bool:
    while line := content.readline(SNIFF_BYTES):
        if line.strip():
            return False
    return True


def _sniff_object(head: bytes, alone: bool) -> Format:
    """Tell one object on many lines from an object on each line; a damaged first line must not change the answer."""
    try:
        parse_json(head, finite=False)
    except (ValueError, RecursionError):
        return "jsonl" if head.endswith(b"}") and not alone else "json"
    return "json" if alone else "jsonl"


@dataclass(frozen=True, slots=True)
class JsonLinesFile(LocalFile):
    """One JSON object a line; blank lines are passed over."""

    def place(self, number: int, shard: int = 0) -> str:
        """Name a line."""
        return f"{self.name}:{number}"

    def rows(self) -> Iterator[RawRow]:
        """Yield a row for each line that is not blank."""
        index = 0
        for number, line in self.lines():
            if line.isspace() or not line:
                continue
            columns, problem = parse_object(line)
            yield RawRow(index, number, columns, problem)
            index += 1


def parse_object(line: bytes) -> tuple[dict[str, object] | None, str]:
    """Parse one line to an object, or say what is wrong with it."""
    try:
        text = line.decode()
        value = parse_json(text, finite=False)
    except UnicodeDecodeError as error:
        return None, utf8_problem(error)
    except json.JSONDecodeError as error:
        return None, f"not JSON: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; brackets thousands deep
        return None, f"not JSON that can be read: {error}"
    if not isinstance(value, dict):
        return None, f"a JSON {json_kind(value)}, not an object"
    # Only an escape can bring half a character in; it would break every writer further on.
    if ("\\ud" in text or "\\uD" in text) and has_lone_surrogate(json.dumps(value, ensure_ascii=False)):
        return None, "half of a surrogate pair (\\ud800 to \\udfff) stands alone"
    return value, ""


def json_kind(value: object) -> str:
    """Name the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    kinds = {dict: "object", list: "array", str: "string", int: "number", float: "number"}
    return kinds.get(type(value), type(value).__name__)


@dataclass(frozen=True, slots=True)
class JsonFile(LocalFile):
    """A JSON document, loaded whole: an array of objects, an object with one such array in it, or one row."""

    is_row: RowTest

    def rows(self) -> Iterator[RawRow]:
        """Yield a row for each object of the array.

        Raises:
            DataError: If the document is not JSON or holds no array of objects.
        """
        for index, value in enumerate(self._records()):
            if isinstance(value, dict):
                yield RawRow(index, index + 1, value)
            else:
                yield RawRow(index, index + 1, None, f"a JSON {json_kind(value)}, not an object")

    def _records(self) -> list[Any]:
        document = self._load()
        if isinstance(document, list):
            return document
        if not isinstance(document, dict):
            raise DataError(f"{self.name}: a JSON {json_kind(document)}; give an array of objects")
        if _is_table(document):
            raise DataError(
                f"{self.name}: an object of lists of texts, which may be one row or a column each; give an array of objects, "
                f"one for each row"
            )
        if self.is_row(document):
            return [document]
        lists: list[list[Any]] = [value for value in document.values() if is_object_list(value)]
        # Neither a row of a known shape nor a list of rows: let the shape's message list its columns.
        if len(lists) == 1 or _name_their_lists(document):
            return [row for rows in lists for row in rows]
        return [document]

    def _load(self) -> Any:
        try:
            with self.open() as opened:
                content = read_whole(opened, self.name).removeprefix(UTF8_BOM)
        except OSError as error:
            raise DataError(f"{self.name}: cannot be read ({error}); fetch it again") from error
        try:
            document = parse_json(content.decode(), finite=False)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            byte = f"byte 0x{content[error.start]:02x}"
            raise DataError(f"{self.name}:{line}: not UTF-8 ({byte}); save the file as UTF-8") from error
        except json.JSONDecodeError as error:
            raise DataError(f"{self.name}:{error.lineno}: not JSON: {error.msg} at column {error.colno}") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.name}: not JSON that can be read: {error}") from error
        if (b"\\ud" in content or b"\\uD" in content) and has_lone_surrogate(json.dumps(document, ensure_ascii=False)):
            raise DataError(f"{self.name}: half of a surrogate pair (\\ud800 to \\udfff) stands alone")
        return document


def _is_table(document: Mapping[str, object]) -> bool:
    """Whether an object is lists of texts alone, equally long, as tables are written column by column."""
    lengths = {len(value) if isinstance(value, list) else -1 for value in document.values()}
    texts = all(isinstance(item, str) for value in document.values() if isinstance(value, list) for item in value)
    return len(lengths) == 1 and lengths.pop() > 1 and texts


def _name_their_lists(document: Mapping[str, object]) -> bool:
    """Whether an object is lists of rows alone, each row with the name of its list in a column, so that none is a split."""
    return all(
        isinstance(rows, list) and rows and all(isinstance(row, dict) and name in row.values() for row in rows)
        for name, rows in document.items()
    )


def is_object_list(value: object) -> bool:
    """Tell whether a value is a list of objects."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


@dataclass(frozen=True, slots=True)
class DelimitedFile(LocalFile):
    """CSV or TSV with a header; quoted cells may hold line breaks. A row is named by the line on which it starts.

    The header tells what stands between cells: Excel writes semicolons where the comma is the decimal sign.
    """

    usual: str

    @property
    def cells_are_text(self) -> bool:
        """Always."""
        return True

    def place(self, number: int, shard: int = 0) -> str:
        """Name a line."""
        return f"{self.name}:{number}"

    def rows(self) -> Iterator[RawRow]:
        """Yield a row for each record after the header.

        Raises:
            DataError: If the header has a name twice.
        """
        csv.field_size_limit(LONGEST_ROW)  # the default, 128 KiB, is shorter than a long response
        undecodable: dict[int, str] = {}
        text = self._text(undecodable)
        delimiter, first = self._delimiter(text)
        # strict: a quote that is never closed is an error, not one cell with the rest of the file.
        reader = csv.reader(chain(first, text), delimiter=delimiter, strict=True)
        header: list[str] | None = None
        index = 0
        while True:
            start = reader.line_num + 1
            problem = ""
            cells: list[str] = []
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                problem = f"not {'TSV' if delimiter == TAB else 'CSV'}: {error}"
            problem = next((undecodable.pop(line) for line in list(undecodable)), problem)
            if not cells and not problem:
                continue
            if header is None:
                header = self._header(cells, start, problem)
                continue
            if not problem and len(cells) != len(header):
                problem = f"{len(cells)} cells under a header of {len(header)}"
            yield RawRow(index, start, None if problem else dict(zip(header, cells, strict=True)), problem)
            index += 1

    def _delimiter(self, text: Iterator[str]) -> tuple[str, list[str]]:
        """Tell what stands between the cells, with the lines that were read for it."""
        lines: list[str] = []
        for line in text:
            lines.append(line)
            if said := DELIMITER_LINE.fullmatch(line):
                return said[1], ["\n"]  # a blank line keeps the numbers of the lines
            if line.strip():
                bare = QUOTED.sub("", line)
                return max(self.usual + DELIMITERS, key=bare.count), lines
        return self.usual, lines

    def _text(self, undecodable: dict[int, str]) -> Iterator[str]:
        for number, line in self.lines():
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                undecodable[number] = utf8_problem(error)
                yield line.decode(errors="replace")

    def _header(self, cells: list[str], line: int, problem: str) -> list[str]:
        names = [cell.strip() for cell in cells]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if not problem and doubles:
            problem = f'the header has "{doubles[0]}" twice'
        if problem:
            raise DataError(f"{self.place(line)}: {problem}; correct the header")
        return names


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


READERS: dict[Format, Callable[[Path, str, RowTest], RowReader]] = {
    "jsonl": lambda path, name, is_row: JsonLinesFile(path, name),
    "json": JsonFile,
    "csv": lambda path, name, is_row: DelimitedFile(path, name, ","),
    "tsv": lambda path, name, is_row: DelimitedFile(path, name, "\t"),
    "parquet": lambda path, name, is_row: ParquetFile(path, name),
}
"""How each format is read; the last argument tells a JSON object that is a row from one that holds a list of rows."""
