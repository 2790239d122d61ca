"""Finding a benchmark's files: in the given folder, or at any level below it; one place, or a refusal that says what was found."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from rmr1.benchmarks.benchmark import Benchmark, FileLayout, Part
from rmr1.errors import DataError

NOT_DATA = frozenset(
    {"outputs", "output", "results", "result", "logs", "log", "evaluators", "runs", "node_modules", "__pycache__"}
)
"""Folders that are not looked into: repositories keep there what judges made of the data, in much the same files."""
MANIFEST = "run.json"
"""A folder that holds it is a run of ours, whose files are about data and are none."""
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
DEEPEST = 8
MOST_FOLDERS = 20_000
_SHARD = re.compile(r"-\d+-of-\d+")


def find_parts(benchmark: Benchmark, data: Path) -> tuple[Part, ...]:
    """The files of a benchmark that has layouts.

    A folder that holds them itself is preferred to those below it, and so is one in it that bears a name of the benchmark.

    Args:
        benchmark: Which.
        data: A folder, or a file of the benchmark.

    Raises:
        DataError: Nothing of the benchmark is there, or it is there more than once; the message says what was looked for.
    """
    folders = [] if data.is_file() else list(_folders(data))
    parts: list[Part] = []
    for layouts in (benchmark.layouts, *benchmark.also):
        found = (
            _of_file(layouts, data)
            if data.is_file()
            else next((found for layout in layouts if (found := _one(benchmark, layout, data, folders))), ())
        )
        if not found:
            which = "not the whole" if parts else "nothing"
            raise DataError(
                f"{data}: {which} of {benchmark.title} in it; looked for {_in_words(layouts, benchmark.folders)}, at any level, "
                f"outside of folders such as outputs and results; fetch {benchmark.source}, and name its folder with --data"
            )
        parts += found
    return tuple(parts)


def _in_words(layouts: tuple[FileLayout, ...], folders: tuple[str, ...]) -> str:
    """The files that a benchmark may consist of."""
    folder = f" in the folder itself or one named {' or '.join(folders)}"
    anywhere = [" and ".join(layout.files) for layout in layouts if not layout.named]
    there = [" and ".join(layout.files) for layout in layouts if layout.named]
    return "; or ".join([*(anywhere and [", or ".join(anywhere)]), *(there and [", or ".join(there) + folder])])


def stem(path: Path) -> str:
    """A file's name without its endings."""
    return path.name.partition(".json")[0].partition(".parquet")[0]


def _of_file(layouts: tuple[FileLayout, ...], path: Path) -> tuple[Part, ...]:
    for layout in layouts:
        names = [pattern.rpartition("/")[2] for pattern in layout.files if "**" not in pattern]
        if any(fnmatchcase(_plain(path.name), name) for name in names):
            part = layout.part(str(path), stem(path))
            if part is not None:
                return (part,)
    return ()


def _one(
    benchmark: Benchmark, layout: FileLayout, data: Path, folders: list[tuple[Path, list[str], list[str]]]
) -> tuple[Part, ...]:
    """The parts in the one folder in which a layout finds any."""
    found: dict[Path, tuple[Part, ...]] = {}
    for folder, inner, files in folders:
        if layout.named and not _bears_its_name(folder, data, benchmark):
            continue
        parts = tuple(_parts(layout, folder, inner, files))
        if parts:
            found[folder] = parts
    if data in found:
        found = {data: found[data]}
    named = {data / name for name in benchmark.folders}
    found = {folder: parts for folder, parts in found.items() if named & {folder, *folder.parents}} or found
    if len(found) > 1:
        raise DataError(
            f"{data}: {benchmark.title} is there {len(found)} times ({', '.join(str(folder) for folder in found)}); "
            f"name one of these folders with --data"
        )
    parts = next(iter(found.values()), ())
    if layout.one and len({_SHARD.sub("", part.name) for part in parts}) > 1:
        raise DataError(
            f"{data}: {len(parts)} files may be {benchmark.title} ({', '.join(part.path for part in parts[:5])}); "
            f"name one of them with --data"
        )
    return parts


def _bears_its_name(folder: Path, data: Path, benchmark: Benchmark) -> bool:
    inside = folder.parent if folder.name == "data" else folder
    return folder == data or inside.name in benchmark.folders


def _parts(layout: FileLayout, folder: Path, inner: list[str], files: list[str]) -> Iterator[Part]:
    paths: dict[Path, None] = {}
    for pattern in layout.files:
        first = pattern.partition("/")[0]
        if first == pattern:
            paths |= {folder / name: None for name in files if fnmatchcase(_plain(name), pattern)}
        elif any(fnmatchcase(name, first) for name in inner):
            found = {path for ending in ("", *COMPRESSED) for path in folder.glob(pattern + ending) if path.is_file()}
            paths |= dict.fromkeys(sorted(found))
    for path in paths:
        below = path.parent.relative_to(folder)
        if NOT_DATA.isdisjoint(below.parts):
            part = layout.part(str(path), (below / stem(path)).as_posix())
            if part is not None:
                yield part


def _plain(name: str) -> str:
    """A name without the ending of a compressed file."""
    return next((name.removesuffix(ending) for ending in COMPRESSED if name.endswith(ending)), name)


def _folders(data: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """The folder and those below it that may hold data, each once, with the names of the folders and files in it, sorted."""
    seen: set[str] = set()
    for place, inner, files in os.walk(data, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        if len(seen) > MOST_FOLDERS:
            raise DataError(f"{data}: more than {MOST_FOLDERS} folders; name one nearer to the benchmark with --data")
        folder = Path(place)
        if folder != data and MANIFEST in files:
            inner.clear()
            continue
        inner[:] = sorted(name for name in inner if name not in NOT_DATA and not name.startswith("."))
        yield folder, list(inner), sorted(files)
        if len(folder.relative_to(data).parts) >= DEEPEST:
            inner.clear()
