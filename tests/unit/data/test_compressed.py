"""Files are decompressed and recoded by their content; what is damaged or too long is said."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from pathlib import Path

import pytest

from rmr1.data import compressed, load_pairs
from rmr1.errors import DataError

try:
    from compression import zstd
except ImportError:
    from backports import zstd

ROWS = [{"prompt": f"Hi {number} é", "chosen": "a" * number, "rejected": "b"} for number in range(50)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
COMPRESS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd.compress}


def read(path: Path) -> list[str]:
    return [pair.response_a[0].content for pair in load_pairs(path)]


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("name", ["pairs.jsonl.{}", "spooled"])
def test_compressions(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name.format(kind)
    content = LINES.encode()
    path.write_bytes(COMPRESS[kind](content[:1000]) + COMPRESS[kind](content[1000:]))  # several parts are one content
    assert read(path) == [row["chosen"] for row in ROWS]


@pytest.mark.parametrize("kind", COMPRESS)
def test_damage_is_an_error_also_when_skipping(tmp_path: Path, kind: str) -> None:
    noise = "".join(json.dumps({**row, "chosen": os.urandom(4000).hex()}) + "\n" for row in ROWS)
    content = COMPRESS[kind](noise.encode())
    path = tmp_path / f"p.jsonl.{kind}"
    cut = [content[: len(content) // 2], content[:-30]]
    changed = [] if kind == "zst" else [content[:2000] + b"\0" * 50 + content[2050:]]  # zstandard has no sum by default
    for bad in (*cut, *changed):
        path.write_bytes(bad)
        with pytest.raises(DataError, match=r"cannot be read .*; fetch it again"):
            list(load_pairs(path, skip_invalid=True))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv"])
def test_marked_encodings(tmp_path: Path, encoding: str, kind: str) -> None:
    text = {"jsonl": LINES, "json": json.dumps(ROWS), "csv": "prompt,chosen,rejected\nHi é,a,b\n"}[kind]
    path = tmp_path / f"p.{kind}"
    path.write_bytes(text.encode(encoding))
    assert next(iter(load_pairs(path))).prompt[0].content.endswith("é")


@pytest.mark.parametrize(
    "table",
    [
        "prompt;chosen;rejected\nHi, you;a;b\n",
        "sep=;\nprompt;chosen;rejected\nHi, you;a;b\n",
        'prompt,chosen,"rejected"\n"Hi, you",a,b\n',
        "prompt\tchosen\trejected\nHi, you\ta\tb\n",
        "prompt|chosen|rejected\nHi, you|a|b\n",
    ],
)
def test_the_header_tells_what_divides_cells(tmp_path: Path, table: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(table)
    (pair,) = load_pairs(path)
    assert (pair.prompt[0].content, pair.response_b[0].content) == ("Hi, you", "b")


def test_another_encoding_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes("prompt,chosen,rejected\ncafé,a,b\n".encode("cp1252"))
    with pytest.raises(
        DataError, match=r"p\.csv:2: not UTF-8 \(byte 0xe9 at byte 4 of the line\); save the file as UTF-8"
    ):
        list(load_pairs(path))


def test_a_row_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "LONGEST_ROW", 1000)
    monkeypatch.setattr(compressed, "LARGEST_DOCUMENT", 1000)
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps({**ROWS[0], "chosen": "x" * 2000})).encode()))
    with pytest.raises(DataError, match=r"p\.jsonl\.gz:1: a line of more than 0 MiB"):
        list(load_pairs(path))
    path = tmp_path / "p.json"
    path.write_text(json.dumps(ROWS))
    with pytest.raises(DataError, match="a JSON document of more than 0 GiB; write it as JSON Lines"):
        list(load_pairs(path))
