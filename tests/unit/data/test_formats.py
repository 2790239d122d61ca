"""Every format, its sniffing, its damage, and the places that messages name."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import GeneratorType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rmr1.data import load_pairs, parse_columns, sniff_format
from rmr1.errors import DataError, MissingExtraError

ROWS = [
    {"prompt": "Hi {x}", "chosen": 'a "quoted", cell\nwith lines', "rejected": "r\u2028\r\n b"},
    {"prompt": "日本", "chosen": "x", "rejected": "\t"},
]
BOM = b"\xef\xbb\xbf"


def json_lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def delimited(rows: list[Any], delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def parquet(rows: list[Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


CONTENTS = {
    "jsonl": json_lines(ROWS),
    "json": json.dumps(ROWS, indent=1).encode(),
    "csv": delimited(ROWS, ","),
    "tsv": delimited(ROWS, "\t"),
    "parquet": parquet(ROWS),
}


def texts(path: Path, **options: Any) -> list[tuple[str, str, str]]:
    pairs = load_pairs(path, **options)
    return [(p.prompt[0].content, p.response_a[0].content, p.response_b[0].content) for p in pairs]


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


HOWS = ["named", "nameless", "txt", "wrong gz", "gzipped", "nameless gzipped", "bom"]


@pytest.mark.parametrize(
    ("kind", "how"),
    # Parquet is compressed inside and has no byte order mark.
    [(kind, how) for kind in CONTENTS for how in (HOWS[:4] if kind == "parquet" else HOWS)],
)
def test_formats(tmp_path: Path, kind: str, how: str) -> None:
    content = CONTENTS[kind]
    content = BOM + content if how == "bom" else content
    content = gzip.compress(content) if "gzipped" in how else content
    suffix = {"named": kind, "bom": kind, "gzipped": f"{kind}.gz", "txt": "txt", "wrong gz": f"{kind}.gz"}
    name = f"pairs.{suffix[how]}" if how in suffix else "spooled"
    path = put(tmp_path, name, content)
    assert sniff_format(path) == kind
    assert texts(path) == [tuple(row.values()) for row in ROWS]


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv"])
def test_crlf_between_rows(tmp_path: Path, kind: str) -> None:
    rows = [{"prompt": "Hi", "chosen": "a", "rejected": "b"}] * 2
    content = {
        "jsonl": json_lines(rows),
        "json": json.dumps(rows, indent=1).encode(),
        "csv": delimited(rows, ",").replace(b"\r\n", b"\n"),
        "tsv": delimited(rows, "\t").replace(b"\r\n", b"\n"),
    }[kind]
    path = put(tmp_path, "spooled", content.replace(b"\n", b"\r\n"))
    assert texts(path) == [("Hi", "a", "b")] * 2


ROW = {"prompt": "Hi", "chosen": "a", "rejected": "b"}


@pytest.mark.parametrize(
    "document",
    [
        [ROW],
        {"version": 1, "data": [ROW]},
        ROW,
        {"prompt": "Hi", "chosen": ["a"], "rejected": ["b"]},
        {"prompt": [{"role": "user", "content": "Hi"}], "chosen": "a", "rejected": "b"},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["pairs.json", "spooled"])
def test_json_documents(tmp_path: Path, document: Any, indent: int | None, name: str) -> None:
    assert texts(put(tmp_path, name, json.dumps(document, indent=indent).encode())) == [("Hi", "a", "b")]


@pytest.mark.parametrize("more", [{}, {"id": ["x", "y"]}])
def test_a_table_by_columns_is_not_taken_for_a_row(tmp_path: Path, more: dict[str, list[str]]) -> None:
    table = {"prompt": ["Hi", "Ho"], "chosen": ["a", "c"], "rejected": ["b", "d"]} | more
    with pytest.raises(DataError, match="may be one row or a column each; give an array of objects"):
        load_pairs(put(tmp_path, "pairs.json", json.dumps(table).encode()))
    ((asked, *_),) = [
        [turn.content for turn in pair.prompt]
        for pair in load_pairs(put(tmp_path, "pairs.json", json.dumps([table]).encode()))
    ]
    assert asked == "Hi"


def test_json_named_file_with_an_object_a_line(tmp_path: Path) -> None:
    assert len(texts(put(tmp_path, "pairs.json", b"\n" + json_lines(ROWS)))) == 2


def test_a_damaged_first_line_does_not_change_the_format(tmp_path: Path) -> None:
    path = put(tmp_path, "spooled", b'{"prompt": oops}\n' + json_lines(ROWS))
    assert sniff_format(path) == "jsonl"
    with pytest.raises(DataError, match="not JSON: Expecting value at column 12"):
        load_pairs(path)
    assert len(texts(path, skip_invalid=True)) == 2


def test_a_first_line_longer_than_what_is_sniffed(tmp_path: Path) -> None:
    rows = [{**ROW, "prompt": "x" * 200_000}, ROW]
    assert sniff_format(put(tmp_path, "spooled", json_lines(rows))) == "jsonl"


def test_a_cell_longer_than_the_default_limit_of_csv(tmp_path: Path) -> None:
    path = put(tmp_path, "pairs.csv", delimited([{**ROW, "chosen": "x" * 200_000}], ","))
    assert len(texts(path)[0][1]) == 200_000


def test_lists_in_csv_are_json(tmp_path: Path) -> None:
    path = put(tmp_path, "pairs.csv", delimited([{"prompt": "Hi", "responses": '["a", "b"]', "scores": "[1, 2]"}], ","))
    assert [pair.label for pair in load_pairs(path)] == ["B"]


def test_a_text_cell_that_looks_like_json_stays_text(tmp_path: Path) -> None:
    path = put(tmp_path, "pairs.csv", delimited([{**ROW, "chosen": '["a", "b"]'}], ","))
    assert texts(path)[0][1] == '["a", "b"]'


GOOD_LINE = json.dumps(ROW).encode()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.jsonl", GOOD_LINE + b'\n\n{"prompt": "x"', ":3: not JSON: Expecting ',' delimiter at column 15"),
        ("p.jsonl", GOOD_LINE + b"\n[1]\n", ":2: a JSON array, not an object"),
        ("p.jsonl", GOOD_LINE + b'\n{"a": "\xff"}\n', ":2: not UTF-8 (byte 0xff at byte 8 of the line)"),
        (
            "p.jsonl",
            GOOD_LINE + b'\n{"a": "\\ud800"}',
            ":2: half of a surrogate pair (\\ud800 to \\udfff) stands alone",
        ),
        ("p.jsonl", GOOD_LINE + b"\n" + b"[" * 200_000, ":2: not JSON"),
        ("p.jsonl", GOOD_LINE + b'\n{"prompt": "x", "rejected": "y"}', ':2: "chosen" is missing'),
        ("p.json", b'[{"prompt": "x", "chosen": "a", "rejected": "b"}, 3]', ": row 2: a JSON number, not an object"),
        ("p.json", b"[" + GOOD_LINE + b', {"prompt": "x", "chosen": "a"}]', ': row 2: "rejected" is missing'),
        ("p.csv", b"prompt,chosen,rejected\nx,a,b\n\ny,c\n", ":4: 2 cells under a header of 3"),
        ("p.csv", b'prompt,chosen,rejected\n"x\ny",a,b\n,a,b\n', ':4: "prompt" is empty'),
        ("p.csv", b'prompt,chosen,rejected\nx,a,b\nx,a,"b', ":3: not CSV: unexpected end of data"),
        ("p.csv", b'prompt,chosen,rejected\nx,a,b\n"x"y,a,b\n', ":3: not CSV: ',' expected after '\"'"),
        ("p.csv", b'prompt,chosen,rejected\nx,a,b\n"x\n\xe9",a,b\n', ":3: not UTF-8 (byte 0xe9 at byte 1 of the line)"),
        ("p.tsv", b'prompt\tchosen\trejected\nx\ta\tb\n"x"y\ta\tb\n', ":3: not TSV: '\t' expected after '\"'"),
        ("p.parquet", parquet([ROW, {**ROW, "chosen": None}]), ': row 2: "chosen" is missing'),
    ],
)
def test_bad_rows_are_named_and_can_be_skipped(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = put(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        list(load_pairs(path))
    assert str(caught.value).startswith(f"{path}{message}")
    assert str(caught.value).endswith("; drop the row or pass skip_invalid=True")
    source = load_pairs(path, skip_invalid=True)
    assert len(list(source)) == 1
    assert source.skipped.count == 1
    assert source.skipped.messages[0].startswith(f"{path}{message}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.jsonl", b"", ": no rows; the file is empty"),
        ("p.jsonl", b"\n \n", ": no rows; the file is empty"),
        ("p.csv", b"prompt,chosen,rejected\n", ": no rows in it"),
        ("p.json", b"[]", ": no rows in it"),
        ("p.parquet", parquet([ROW])[:-30], ": row 1: cannot be read as Parquet"),
        ("p.json", b'[{"prompt": \n}', ":2: not JSON: Expecting value at column 1"),
        ("p.json", b'["\xff"]', ":1: not UTF-8 (byte 0xff)"),
        ("p.json", b'["\\udfff"]', ": half of a surrogate pair"),
        ("p.json", b"[" * 200_000, ": not JSON that can be read"),
        ("p.json", b'{"a": 1}', ": no known shape; columns found: a\n"),
        ("p.csv", b"prompt,prompt\nx,y\n", ':1: the header has "prompt" twice; correct the header'),
        (
            "p.csv",
            b"prompt,\xff\nx,y\n",
            ":1: not UTF-8 (byte 0xff at byte 8 of the line); save the file as UTF-8; correct the header",
        ),
        ("p", b"PK\0\0", ": not one of the formats known: JSON Lines, JSON, CSV, TSV"),
        ("p", b"\xff\xfep\0\0\xd8x\0", ": cannot be read (not UTF-16: "),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = put(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        list(load_pairs(path, skip_invalid=True))
    assert str(caught.value).startswith(f"{path}{message}")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file or directory"):
        load_pairs(tmp_path / "none.jsonl")


def test_damaged_gzip_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    rows = [{**ROW, "chosen": hashlib.sha256(str(number).encode()).hexdigest()} for number in range(4000)]
    content = gzip.compress(json_lines(rows))
    path = put(tmp_path, "p.jsonl.gz", content[: len(content) // 2])
    with pytest.raises(DataError, match=r"p\.jsonl\.gz:\d+: cannot be read on from here .*; fetch it again"):
        list(load_pairs(path, skip_invalid=True))
    with pytest.raises(DataError, match=r"cannot be read .*; fetch it again"):
        sniff_format(put(tmp_path, "q", content[:12]))


def test_the_name_replaces_the_path_in_messages(tmp_path: Path) -> None:
    path = put(tmp_path, "spooled", GOOD_LINE + b"\n{}\n")
    source = load_pairs(path, name="-")
    assert source.shape.describe() == "-: prompt/chosen/rejected, chosen and rejected are texts"
    with pytest.raises(DataError, match=r'^-:2: "chosen" is missing'):
        list(source)


def test_skipped_counts_one_pass_and_keeps_a_few_messages(tmp_path: Path) -> None:
    source = load_pairs(put(tmp_path, "p.jsonl", GOOD_LINE + b"\n{}" * 9), skip_invalid=True)
    for _ in range(2):
        assert len(list(source)) == 1
        assert (source.skipped.count, len(source.skipped.messages)) == (9, 5)
    list(source.sets())
    assert source.skipped.count == 9


def test_a_first_row_without_the_columns_is_skipped_too(tmp_path: Path) -> None:
    path = put(tmp_path, "p.jsonl", b'{"note": 1}\n' + GOOD_LINE)
    with pytest.raises(DataError, match="no known shape"):
        load_pairs(path)
    assert len(texts(path, skip_invalid=True)) == 1


def test_row_numbers_name_rows_from_0(tmp_path: Path) -> None:
    path = put(tmp_path, "p.jsonl", b"\n" + GOOD_LINE + b"\n\n" + GOOD_LINE)
    assert [pair.id for pair in load_pairs(path)] == ["row-0", "row-1"]


@pytest.mark.parametrize("kind", CONTENTS)
def test_passes_are_equal_and_independent(tmp_path: Path, kind: str) -> None:
    source = load_pairs(put(tmp_path, f"p.{kind}", CONTENTS[kind]))
    first = iter(source)
    next(first)
    assert list(source) == list(source)
    assert next(first).id == "row-1"


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_reading_does_not_materialise_the_rows(tmp_path: Path, kind: str) -> None:
    rows = [{**ROW, "prompt": f"{number} " + "x" * 4000} for number in range(5000)]
    content = {"jsonl": json_lines, "csv": lambda r: delimited(r, ","), "parquet": parquet}[kind](rows)
    source = load_pairs(put(tmp_path, f"p.{kind}", content))
    del rows, content
    pairs: Iterator[Any] = iter(source)
    assert isinstance(pairs, GeneratorType)
    tracemalloc.start()
    count = sum(1 for _ in pairs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5000
    assert peak < 6_000_000  # the texts together are 20 MB


def test_fingerprint_is_the_digest_of_the_bytes(tmp_path: Path) -> None:
    path = put(tmp_path, "p.jsonl", json_lines(ROWS))
    source = load_pairs(path)
    assert source.fingerprint() == hashlib.sha256(json_lines(ROWS)).hexdigest()
    path.write_bytes(GOOD_LINE)
    assert source.fingerprint() == hashlib.sha256(GOOD_LINE).hexdigest()


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "p.parquet", CONTENTS["parquet"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rmr1\[parquet\]'"):
        load_pairs(path)


def test_parse_columns() -> None:
    assert parse_columns("prompt=question, chosen = good") == {"prompt": "question", "chosen": "good"}
    assert parse_columns("prompt=a=b") == {"prompt": "a=b"}
    for text in ("prompt", "=x", "prompt=", ""):
        with pytest.raises(DataError, match="is not of the form FIELD=COLUMN"):
            parse_columns(text)


def test_lists_of_rows_are_one_table_only_if_the_rows_name_their_list(tmp_path):
    row = {"prompt": "q", "chosen": "a", "rejected": "b"}
    file = tmp_path / "kinds.json"
    file.write_text(json.dumps({kind: [{**row, "kind": kind}] * 2 for kind in ("one", "two")}))
    assert [pair.extra["kind"] for pair in load_pairs(file)] == ["one", "one", "two", "two"]
    named, unnamed = [{**row, "kind": "one"}], [row]
    for splits in (
        {"train": unnamed, "test": unnamed},
        {"one": named, "two": unnamed},
        {"one": named, "n": 1, "two": unnamed},
    ):
        file.write_text(json.dumps(splits))
        with pytest.raises(DataError):
            list(load_pairs(file))
