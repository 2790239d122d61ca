"""Readers of the text formats: JSON Lines, JSON, CSV and TSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rmr1.data.rows import LocalFile, RawRow, RowTest, has_lone_surrogate, utf8_problem
from rmr1.errors import DataError

LONGEST_CELL = 2**31 - 1


@dataclass(frozen=True, slots=True)
class JsonLinesFile(LocalFile):
    """One JSON object a line; blank lines are passed over."""

    def place(self, number: int) -> str:
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


def parse_object(line: bytes) -> tuple[dict[str, Any] | None, str]:
    """Parse one line to an object, or say what is wrong with it."""
    try:
        text = line.decode()
        value = json.loads(text)
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
        if self.is_row(document):
            return [document]
        lists: list[list[Any]] = [value for value in document.values() if is_object_list(value)]
        # Neither a row of a known shape nor a list of rows: let the shape's message list its columns.
        return lists[0] if len(lists) == 1 else [document]

    def _load(self) -> Any:
        content = b"".join(line for _, line in self.lines())
        try:
            document = json.loads(content.decode())
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise DataError(f"{self.name}:{line}: not UTF-8 (byte 0x{content[error.start]:02x})") from error
        except json.JSONDecodeError as error:
            raise DataError(f"{self.name}:{error.lineno}: not JSON: {error.msg} at column {error.colno}") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.name}: not JSON that can be read: {error}") from error
        if (b"\\ud" in content or b"\\uD" in content) and has_lone_surrogate(json.dumps(document, ensure_ascii=False)):
            raise DataError(f"{self.name}: half of a surrogate pair (\\ud800 to \\udfff) stands alone")
        return document


def is_object_list(value: object) -> bool:
    """Tell whether a value is a list of objects."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


@dataclass(frozen=True, slots=True)
class DelimitedFile(LocalFile):
    """CSV or TSV with a header; quoted cells may hold line breaks. A row is named by the line on which it starts."""

    delimiter: str

    def place(self, number: int) -> str:
        """Name a line."""
        return f"{self.name}:{number}"

    def rows(self) -> Iterator[RawRow]:
        """Yield a row for each record after the header.

        Raises:
            DataError: If the header has a name twice.
        """
        csv.field_size_limit(LONGEST_CELL)  # the default, 128 KiB, is shorter than a long response
        undecodable: dict[int, str] = {}
        # strict: a quote that is never closed is an error, not one cell with the rest of the file.
        reader = csv.reader(self._text(undecodable), delimiter=self.delimiter, strict=True)
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
                problem = f"not {'CSV' if self.delimiter == ',' else 'TSV'}: {error}"
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
