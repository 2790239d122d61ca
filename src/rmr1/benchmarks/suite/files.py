"""Finding a benchmark's files in a folder; any of them may be gzipped."""

from __future__ import annotations

from pathlib import Path

from rmr1.benchmarks.benchmark import Part


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
