"""Files from the world and to it: text that is parsed or refused, files that are written whole, errors that say what to do.

What cannot be parsed raises ``ValueError`` with the reason, so that each caller names the place and the fix in its own words; what
cannot be read or written raises ``StorageError``, which says all three.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import yaml

from rmr1.errors import RMR1Error, StorageError

_LONGEST_INTEGER = 300
"""Digits. More do not fit into a float, and Python itself refuses some thousand."""
_LARGEST_YAML = 1 << 20
"""Characters, and values with what aliases stand for counted each time: no settings are as many."""
_BOOLEAN = "tag:yaml.org,2002:bool"
_FIXES = {
    errno.ENOSPC: "free some space and run the same command again; what is done is kept",
    errno.EDQUOT: "free some space and run the same command again; what is done is kept",
    errno.EACCES: "change its permissions, or choose another place",
    errno.EPERM: "change its permissions, or choose another place",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOENT: "check the path",
    errno.EISDIR: "give a file, not a directory",
    errno.ENOTDIR: "a part of the path is a file; choose another path",
    errno.EEXIST: "a file is where a directory has to be; choose another path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its links lead in a circle; repair them, or choose another path",
    errno.EMFILE: "close other files, or raise the limit with ulimit -n",
    errno.EIO: "the disk has failed; check it",
}


def storage_problem(error: OSError, path: str | os.PathLike[str] | None = None) -> str:
    """An error of the operating system as one line: where, what, and the fix.

    Args:
        error: The error.
        path: What the user calls the file or directory; what the error names if not given.
    """
    where = error.filename if path is None else path
    what = error.strerror or str(error) or type(error).__name__
    fix = _FIXES.get(error.errno or 0)
    place = (
        "" if where is None else f"{os.fsdecode(where) if isinstance(where, bytes | str | os.PathLike) else where}: "
    )
    return f"{place}{what}{f'; {fix}' if fix else ''}"


@contextmanager
def storage(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the operating system raises about a path into ``StorageError``; connections are none of its business.

    Args:
        path: What is read or written.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, RMR1Error | ConnectionError):
            raise
        raise StorageError(storage_problem(error, path)) from error


def expand_home(name: str) -> Path:
    """A path in which ``~`` is a user's home; without such a user it is a name like any other."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        StorageError: It cannot be read.
        ValueError: It is not UTF-8.
    """
    with storage(path):
        content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: byte 0x{content[error.start]:02x} at byte {error.start + 1}") from error


class _Written:
    """A file whose failures name it; those of the code around it are not taken for its own."""

    def __init__(self, file: IO[bytes], shown: Path) -> None:
        self._file = file
        self._shown = shown

    def write(self, content: bytes) -> int:
        with storage(self._shown):
            return self._file.write(content)

    def flush(self) -> None:
        with storage(self._shown):
            self._file.flush()


@contextmanager
def open_to_write(path: Path, shown: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing.

    Args:
        path: The file.
        shown: What errors call it.

    Raises:
        StorageError: It cannot be written.
    """
    with storage(shown):
        file = path.open("wb")
    try:
        yield cast("IO[bytes]", _Written(file, shown))
    finally:
        with storage(shown):
            file.close()


@contextmanager
def write_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its name at the end: a reader sees the old one or the new one.

    An exception leaves the old file as it was, and nothing beside it.

    Raises:
        StorageError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open_to_write(temporary, path) as file:
            yield file
        with storage(path):
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all; its directory is created if absent.

    Raises:
        StorageError: It cannot be written.
    """
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(path) as file:
        file.write(text.encode())


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """Read JSON from outside.

    Args:
        text: One JSON value, as text or in UTF-8.
        finite: Refuse NaN and Infinity, which JSON does not have and Python writes.

    Raises:
        ValueError: It is not JSON, not UTF-8, nested too deeply, a number is too large, or a key is there twice.
    """
    decoder = _FINITE if finite else _ANY
    try:
        return decoder.decode(text if isinstance(text, str) else text.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError(f"a number of {len(digits)} digits is too large")
    return int(digits)


def _decimal(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:20]} is too large")
    return number


def _not_finite(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _object(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _ in members]
        raise ValueError(f'the key "{next(name for name in names if names.count(name) > 1)}" is there twice')
    return found


_FINITE = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_decimal, parse_constant=_not_finite
)
_ANY = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer)


class YamlError(ValueError):
    """Why a text is not the YAML of settings; ``line`` is its line, from 1, where one is known."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Reads ``on``, ``off``, ``yes`` and ``no`` as words, as YAML 1.2 does: they are values of several settings."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile("(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def parse_yaml(text: str) -> tuple[Any, yaml.Node | None]:
    """Read one YAML document from outside: plain values alone, and no more of them than a person writes.

    Returns:
        Its value, and its nodes with their lines; both None for an empty text.

    Raises:
        YamlError: It is not YAML, too large, nested too deeply, or its aliases stand for too much.
    """
    if len(text) > _LARGEST_YAML:
        raise YamlError(f"more than {_LARGEST_YAML} characters are no settings")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, None
        _weigh(node, {})
        return loader.construct_document(node), node
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise YamlError(f"not YAML: {error.problem}", line) from error
    except RecursionError:
        raise YamlError("nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        if isinstance(error, YamlError):
            raise
        raise YamlError(f"not YAML: {' '.join(str(error).split())}") from error


def _weigh(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, each alias counted again."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    line = node.start_mark.line + 1
    if id(node) in known:
        if not known[id(node)]:
            raise YamlError("an alias stands inside what it stands for", line)
        return known[id(node)]
    known[id(node)] = 0
    inner = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    weight = 1 + sum(_weigh(part, known) for part in inner)
    if weight > _LARGEST_YAML:
        raise YamlError("its aliases stand for too many values", line)
    known[id(node)] = weight
    return weight
