"""Several files as one source: the shards of a folder or of a pattern, in the order of their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from glob import glob
from pathlib import Path

from rmr1.data.compressed import COMPRESSED_SUFFIXES, file_digest
from rmr1.data.formats import BY_EXTENSION, open_file
from rmr1.data.rows import RawRow, RowReader, RowTest
from rmr1.errors import DataError

DATA_SUFFIXES = frozenset({*BY_EXTENSION, ".json"})
METADATA = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
SPLIT_NAMES = re.compile(r"(train|test|validation|valid|val|dev|eval)(?![a-z])", re.IGNORECASE)


def find_shards(source: str) -> list[Path] | None:
    """The files of a pattern such as ``data/*.jsonl``, of a folder, or of a split of one; None for anything else.

    A split is told by how the names of the files, or of the folders that they are in, begin.

    Raises:
        DataError: If there is no such file, or the files do not belong together.
    """
    path = Path(source)
    if path.is_dir():
        return _shards_of(path, None, source)
    if path.exists():
        return None
    folder, mark, split = source.rpartition("#")
    if mark and Path(folder).is_dir():
        return _shards_of(Path(folder), split, source)
    if not any(sign in source for sign in "*?["):
        return None
    found = sorted(Path(name) for name in glob(source, recursive=True) if Path(name).is_file())  # noqa: PTH207 - Path.glob takes no absolute patterns
    if not found:
        raise DataError(f"{source}: no file has such a name")
    _check_alike(found, source)
    return found


def _shards_of(folder: Path, split: str | None, name: str) -> list[Path]:
    files = [path for path in sorted(folder.rglob("*")) if _kind(path) is not None and path.is_file()]
    files = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not files:
        raise DataError(f"{name}: a folder without data files; name a file, or a folder that holds them")
    splits: dict[str, list[Path]] = {}
    for path in files:
        splits.setdefault(_split_of(path.relative_to(folder)), []).append(path)
    if split is not None:
        if split not in splits:
            known = ", ".join(sorted(one for one in splits if one)) or "none"
            raise DataError(f'{name}: no files of a split "{split}"; it has: {known}')
        files = splits[split]
    elif len(splits) > 1:
        known = ", ".join(sorted(one or "files without a split's name" for one in splits))
        named = next(one for one in sorted(splits) if one)
        raise DataError(f"{name}: files of several splits ({known}); name one: {name}#{named}")
    _check_alike(files, name)
    return files


def _split_of(path: Path) -> str:
    for part in reversed(path.parts):
        if found := SPLIT_NAMES.match(part):
            return found[1].lower()
    return ""


def _kind(path: Path) -> str | None:
    """The extension that tells the format; None for other files."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED_SUFFIXES:
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in DATA_SUFFIXES and path.name not in METADATA else None


def _check_alike(files: Sequence[Path], name: str) -> None:
    kinds = sorted({_kind(path) or "no known extension" for path in files})
    if len(kinds) > 1:
        first = next(kind for kind in kinds if kind.startswith("."))
        folder = name.rpartition("#")[0] or name
        raise DataError(
            f"{name}: files of several formats ({', '.join(kinds)}); name those that are meant, such as {folder}/*{first}"
        )


class ShardedReader:
    """Several files read one after another as if they were one.

    Args:
        paths: The files.
        name: The source as the user named it.
        is_row: Tells a JSON object that is a row from one that holds a list of rows.

    Raises:
        DataError: If one of the files is missing, empty, or of no known format.
    """

    def __init__(self, paths: Sequence[Path], name: str, is_row: RowTest) -> None:
        self.name = name
        self._paths = list(paths)
        self._readers: list[RowReader] = [open_file(path, str(path), is_row) for path in paths]

    @property
    def cells_are_text(self) -> bool:
        """As in its files."""
        return any(reader.cells_are_text for reader in self._readers)

    def place(self, number: int, shard: int = 0) -> str:
        """Name a row by its file."""
        return self._readers[shard].place(number)

    def rows(self) -> Iterator[RawRow]:
        """Yield the rows of all files, numbered on.

        Raises:
            DataError: If one of the files cannot be read.
        """
        index = 0
        for shard, reader in enumerate(self._readers):
            for row in reader.rows():
                yield replace(row, index=index, shard=shard)
                index += 1

    def fingerprint(self) -> str:
        """Return the SHA-256 over the bytes of the files, one after another.

        Raises:
            DataError: If one of them cannot be read.
        """
        return file_digest(self._paths, self.name)
