"""Pairs as JSON Lines that ``load_pairs`` reads back to the same pairs.

A row: ``{"id": "p1", "group": "g1", "category": "maths", "prompt": [{"role": "user", "content": "Name a prime."}],
"response_a": [{"role": "assistant", "content": "7"}], "response_b": [{"role": "assistant", "content": "8"}], "label": "A",
"extra": {"level": 2}}``
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, BinaryIO, cast

from rmr1.arguments import checked_pairs, path_of
from rmr1.files import open_to_write, storage
from rmr1.records import Message, PreferencePair


def pair_row(pair: PreferencePair) -> dict[str, object]:
    """A pair as one row of the shape A and B with a label; a pair without a label has ``"label": None``.

    A reference answer and a rubric are columns only where the pair has them.

    The reader keeps of ``extra`` what is a number, a truth value or a short text, as of every source.
    """
    return {
        "id": pair.id,
        "group": pair.group or pair.id,
        "category": pair.category,
        "prompt": _turns(pair.prompt),
        "response_a": _turns(pair.response_a),
        "response_b": _turns(pair.response_b),
        "label": pair.label,
        **{name: text for name, text in (("reference", pair.reference), ("rubric", pair.rubric)) if text},
        "extra": dict(pair.extra),
    }


def write_pairs(path: Path, pairs: Iterable[PreferencePair]) -> int:
    """Write pairs to a file, whole or not at all: readers see the old file until the new one is complete.

    A name that ends in ``.gz`` gives a compressed file; equal pairs give equal bytes.

    Returns:
        The number of rows.
    """
    count = 0
    with open_pairs(path_of("path", path)) as add:
        for pair in checked_pairs(pairs):
            add(pair)
            count += 1
    return count


@contextmanager
def open_pairs(path: Path) -> Iterator[Callable[[PreferencePair], None]]:
    """As ``write_pairs``, pair by pair: give the function that adds one; at the end the file takes its name.

    After an exception it takes the name only if there is no such file.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    whole = False
    try:
        with (
            open_to_write(temporary, path) as file,
            _compressed(file) if path.suffix == ".gz" else nullcontext(file) as out,
        ):

            def add(pair: PreferencePair) -> None:
                out.write(_line(pair))

            yield add
            whole = True
    finally:
        if whole or (temporary.exists() and not path.exists()):
            with storage(path):
                temporary.replace(path)
        else:
            temporary.unlink(missing_ok=True)


def _line(pair: PreferencePair) -> bytes:
    row = pair_row(pair)
    try:
        return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:  # a lone surrogate, which JSON can hold only as an escape
        return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def _compressed(file: IO[bytes]) -> BinaryIO:
    # Neither a name nor a time, which would differ from one run to the next.
    return cast(BinaryIO, gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0))


def _turns(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]
