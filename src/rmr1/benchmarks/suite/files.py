"""What the benchmarks share: finding files in a folder, any of which may be gzipped, and comparisons that belong to one item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rmr1.benchmarks.benchmark import Entry, Part


def matching(folder: Path, *patterns: str) -> list[Path]:
    """The files that match the first pattern that any file matches, sorted by name."""
    for pattern in patterns:
        found = sorted({*folder.glob(pattern), *folder.glob(f"{pattern}.gz")})
        if found:
            return found
    return []


def stem(path: Path) -> str:
    """A file's name without its endings."""
    return path.name.partition(".json")[0].partition(".parquet")[0]


def parts(folder: Path, *patterns: str) -> tuple[Part, ...]:
    """Every matching file as a part that is named by its path in the folder."""
    return tuple(
        Part(str(path), (path.parent.relative_to(folder) / stem(path)).as_posix())
        for path in matching(folder, *patterns)
    )


def by_item(values: Iterable[tuple[Entry, float]]) -> Iterator[tuple[Entry, list[float]]]:
    """The values of each item, with its first entry, in the order in which items first appear."""
    items: dict[str, tuple[Entry, list[float]]] = {}
    for entry, value in values:
        items.setdefault(entry.item, (entry, []))[1].append(value)
    yield from items.values()
