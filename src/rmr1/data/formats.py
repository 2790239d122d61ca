"""Which format a file has: by its name where that says it, else by its first bytes."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import IO, Literal

from rmr1.data.parquet import ParquetFile
from rmr1.data.rows import UTF8_BOM, RowReader, RowTest, open_content
from rmr1.data.text_files import DelimitedFile, JsonFile, JsonLinesFile
from rmr1.errors import DataError

Format = Literal["jsonl", "json", "csv", "tsv", "parquet"]

BY_EXTENSION: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
}
PARQUET_MAGIC = b"PAR1"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
SNIFF_BYTES = 1 << 16
FORMATS_KNOWN = "JSON Lines, JSON, CSV, TSV (each also gzipped) and Parquet"


def open_file(path: Path, name: str, is_row: RowTest) -> RowReader:
    """Choose the reader of a local file.

    Args:
        path: The file.
        name: How messages name it.
        is_row: Tells a JSON object that is a row from one that holds a list of rows.

    Raises:
        DataError: If the file is missing, empty, or of no known format.
    """
    kind = format_of(path, name)
    if kind == "parquet":
        return ParquetFile(path, name)
    if kind == "jsonl":
        return JsonLinesFile(path, name)
    if kind == "json":
        return JsonFile(path, name, is_row)
    return DelimitedFile(path, name, "," if kind == "csv" else "\t")


def format_of(path: Path, name: str) -> Format:
    """Take the format from the extension; a ``.json`` file and one without a known extension are sniffed.

    Raises:
        DataError: If the file is missing, empty, or of no known format.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    sniffed = sniff_format(path, name=name)  # also finds missing and empty files, so it runs for every file
    return BY_EXTENSION.get(suffixes[-1], sniffed) if suffixes else sniffed


def sniff_format(path: str | Path, *, name: str | None = None) -> Format:
    """Tell the format of a file from its content; its name plays no part.

    Gzip is looked through. ``PAR1`` is Parquet, ``[`` a JSON array, ``{`` JSON Lines or one JSON object; any other
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
            alone = head.startswith(b"{") and not any(line.strip() for line in content)
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"{name}: cannot be read ({error}); fetch it again") from error
    if not head:
        raise DataError(f"{name}: no rows; the file is empty")
    if head.startswith(PARQUET_MAGIC):
        return "parquet"
    if head.startswith(UTF16_MARKS):
        raise DataError(f"{name}: UTF-16 text; save it as UTF-8")
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
        line += content.readline()  # a long row: only the whole of it can be parsed
    return line.strip(b" \t\r\n") if line[:1] in b"{[ \t" else line


def _sniff_object(head: bytes, alone: bool) -> Format:
    """Tell one object on many lines from an object on each line; a damaged first line must not change the answer."""
    try:
        json.loads(head)
    except (ValueError, RecursionError):
        return "jsonl" if head.endswith(b"}") and not alone else "json"
    return "json" if alone else "jsonl"
