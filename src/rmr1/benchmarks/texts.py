"""The texts of the judged comparisons, kept in the run so that its report can be written again without the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rmr1.data import load_pairs, write_pairs
from rmr1.records import PreferencePair

TEXTS = "texts.jsonl.gz"


def keep_texts(run: Path, pairs: Iterable[PreferencePair]) -> None:
    """Write the comparisons of a benchmark into its judging run."""
    write_pairs(run / TEXTS, pairs)


def read_texts(run: Path) -> Mapping[str, PreferencePair]:
    """The comparisons of a benchmark by id; nothing where the run has none.

    Raises:
        DataError: The file is damaged.
    """
    path = run / TEXTS
    return {pair.id: pair for pair in load_pairs(str(path))} if path.is_file() else {}
