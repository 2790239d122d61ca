"""The directory of one run: ``run.json``, its journals, its results, and a lock.

Every JSON file of a run ends with ``check``, the CRC-32 of the rest, begun with the run's key. So a file that was edited, or that
is of another run, is refused instead of being believed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import platform
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from rmr1.errors import RunError, RunLockedError, RunMismatchError
from rmr1.files import parse_json, read_text, storage, write_whole
from rmr1.runs.journal import (
    Journal,
    JournalLine,
    Ledger,
    encode_line,
    is_sealed,
    journal_key,
    read_ledger_lines,
    read_lines,
    seal_line,
)

RUN_SCHEMA = 3
"""Version of ``run.json`` and of the journals beside it; runs without one are of 0.1.0 development versions."""
MANIFEST = "run.json"
_VERSIONED = ("rmr1", "xllamacpp", "openai", "anthropic", "torch", "transformers", "trl", "vllm")
_ENDS = "ledgers.json"
_NEXT = "run the command that made it again with another --run"


def default_run_name(verb: str, subject: str, identity: Mapping[str, object]) -> str:
    """A name that says what the run is about and that only the same identity has: ``judge-pairs-3f2a9c01``."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    return "-".join(part for part in (verb, re.sub(r"[^\w.]+", "-", subject).strip("-.")[:40], digest) if part)


class Manifest(BaseModel):
    """``run.json``: what a run is, when it was made, and with what.

    Args:
        identity: Everything that decides its results.
        created: When it was made, in UTC.
        versions: Of this package and those that it computes with.
        python: Of Python.
        platform: The machine.
        command: The command line that made it.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    identity: dict[str, Any]
    created: str
    versions: dict[str, str]
    python: str
    platform: str
    command: list[Any]

    @property
    def key(self) -> int:
        """What the checks of the run's files begin with; no run of another identity has the same one."""
        return zlib.crc32(_canonical(self.identity))


class RunDirectory:
    """A run that one process works on at a time, and that the same configuration resumes.

    Args:
        path: The directory; created if absent.
        identity: Everything that decides the results (configuration, data and template hashes, seed), as JSON. It is kept in
            ``run.json``; another identity in the same directory is refused.

    Attributes:
        path: The directory.
        identity: What identifies the run.
        key: What the checks of its files begin with.

    Raises:
        RunMismatchError: The directory holds a run of another identity, and the message names what differs; or another version of
            rmr1 made it; or it has journals and no ``run.json``.
        RunLockedError: Another process has the run open.
        StorageError: The directory cannot be made, read or written.
    """

    def __init__(self, path: Path, identity: Mapping[str, object]) -> None:
        self.path = path
        self.identity = json.loads(json.dumps(identity))
        self.key = zlib.crc32(_canonical(self.identity))
        with storage(path):
            path.mkdir(parents=True, exist_ok=True)
        self._ends: dict[str, int] | None = None
        self._lock = self._take_lock()
        try:
            self._check_or_write_manifest()
        except BaseException:
            os.close(self._lock)
            raise

    def journal(self, name: str) -> Journal:
        """Open a journal of this run, such as ``completions.jsonl``."""
        return Journal(self.path / name, self.key)

    def ledger(self, name: str) -> Ledger:
        """Open a journal of which every line counts, such as ``spent.jsonl``.

        Raises:
            JournalError: Its end is missing.
            RunError: The file that says where it ended was changed.
        """
        if self._ends is None:
            try:
                self._ends = self.read_json(_ENDS)
            except FileNotFoundError:
                self._ends = {}
        ends = self._ends

        def keep_end(size: int) -> None:
            ends[name] = size
            self.write_json(_ENDS, ends)

        return Ledger(self.path / name, self.key, ends.get(name), keep_end)

    def write_json(self, name: str, content: Mapping[str, object]) -> Path:
        """Write a JSON file with its check in one step: a reader sees the old one or the new one."""
        _write_document(self.path / name, content, journal_key(name, self.key))
        return self.path / name

    def read_json(self, name: str) -> dict[str, Any]:
        """Read back what ``write_json`` has written.

        Raises:
            FileNotFoundError: There is no such file.
            RunError: It was changed, or another run has written it.
        """
        return _read_document(self.path / name, journal_key(name, self.key))

    @contextmanager
    def rewrite(self, name: str, *, sealed: bool = False) -> Iterator[Callable[[Mapping[str, object]], None]]:
        """Write a file of JSON lines in one step: give the function that adds a record; at the end the file takes its name.

        An exception leaves the old file as it was.

        Args:
            name: The file's name.
            sealed: Write it as a journal, for ``journal`` or ``read_journal`` to read; else as plain rows for others.
        """
        key = journal_key(name, self.key)
        with write_whole(self.path / name) as lines:

            def add(record: Mapping[str, object]) -> None:
                lines.write(seal_line(record, key) if sealed else encode_line(record))

            yield add

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take_lock(self) -> int:
        with storage(self.path):
            lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(lock)
                raise RunLockedError(
                    f"{self.path}: another process is working on this run; wait for it, or stop it"
                ) from error
            except OSError:
                os.close(lock)
                raise
        return lock

    def _check_or_write_manifest(self) -> None:
        if not (self.path / MANIFEST).exists():
            self._refuse_orphans()
            manifest = Manifest(identity=self.identity, created=_now(), **_environment())
            _write_document(self.path / MANIFEST, {"schema": RUN_SCHEMA, **manifest.model_dump()}, 0)
            return
        differences = _differences(_read_manifest(self.path, self.identity).identity, self.identity)
        if differences:
            raise RunMismatchError(
                f"{self.path} is another run: {'; '.join(differences)}. Choose another --run, or delete the directory"
            )

    def _refuse_orphans(self) -> None:
        """A journal without a manifest may be of another model: its samples are not taken for those of this run."""
        for path in sorted(self.path.glob("*.jsonl")):
            with storage(path), path.open("rb") as lines:
                first = lines.readline()
            if is_sealed(first):
                raise RunMismatchError(
                    f"{path}: a journal without the {MANIFEST} that says whose it is; restore {MANIFEST}, or choose another --run"
                )


def read_manifest(run: Path) -> Manifest:
    """Read ``run.json`` of a run.

    Args:
        run: The run's directory.

    Raises:
        RunError: The directory is not a run.
        RunMismatchError: Another version of rmr1 made the run, or the file was changed or damaged.
    """
    return _read_manifest(run, None)


def _read_manifest(run: Path, wanted: Mapping[str, object] | None) -> Manifest:
    path = run / MANIFEST
    try:
        content = parse_json(read_text(path))
    except OSError as error:
        raise RunError(f"{run}: not a run directory ({_reason(error)})") from error
    except ValueError as error:
        raise RunMismatchError(f"{path}: not a run manifest ({error}); choose another --run") from error
    if not isinstance(content, dict):
        raise RunMismatchError(f"{path}: not a run manifest; choose another --run")
    if content.get("schema") != RUN_SCHEMA:
        raise RunMismatchError(f"{run}: made by another version of rmr1; {_NEXT}")
    fields = {name: value for name, value in content.items() if name not in ("schema", _CHECK)}
    try:
        manifest = Manifest.model_validate(fields)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise RunMismatchError(f"{path}: {place}: {problem['msg']}; restore the file, or {_NEXT}") from error
    if not _is_intact(content, 0):
        differences = "; ".join(_differences(manifest.identity, wanted)) if wanted is not None else ""
        what = f"{path}: changed after it was written{differences and f' ({differences})'}"
        raise RunMismatchError(f"{what}; restore the file, or {_NEXT}")
    return manifest


def read_journal(run: Path, name: str) -> Iterator[JournalLine]:
    """Read a journal of a run that another process may be working on; nothing if it has none of this name.

    Raises:
        RunError: The directory is no run, or the journal is damaged; the message names the line.
    """
    key = read_manifest(run).key
    return read_lines(run / name, key) if (run / name).exists() else iter(())


def read_ledger(run: Path, name: str) -> Iterator[JournalLine]:
    """Read a ledger of a run that another process may be working on; that its end is there is not checked.

    Raises:
        RunError: The directory is no run, or the ledger is damaged; the message names the line.
    """
    return read_ledger_lines(run / name, read_manifest(run).key)


def read_document(run: Path, name: str) -> dict[str, Any]:
    """Read a JSON file of a run that another process may be working on.

    Raises:
        FileNotFoundError: There is no such file.
        RunError: The directory is no run; or the file was changed, or another run has written it.
    """
    return _read_document(run / name, journal_key(name, read_manifest(run).key))


_CHECK = "check"


def _canonical(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _check_of(content: Mapping[str, object], key: int) -> str:
    return f"{zlib.crc32(_canonical(content), key):08x}"


def _is_intact(content: Mapping[str, object], key: int) -> bool:
    return content.get(_CHECK) == _check_of({name: value for name, value in content.items() if name != _CHECK}, key)


def _write_document(path: Path, content: Mapping[str, object], key: int) -> None:
    plain = json.loads(json.dumps(content))
    sealed = {**plain, _CHECK: _check_of(plain, key)}
    try:
        text = json.dumps(sealed, indent=2, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a name of a file that is not UTF-8
        text = json.dumps(sealed, indent=2).encode()
    with write_whole(path) as file:
        file.write(text + b"\n")


def _read_document(path: Path, key: int) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    try:
        content = parse_json(read_text(path), finite=False)
        intact = isinstance(content, dict) and _is_intact(content, key)
    except ValueError as error:
        raise RunError(f"{path}: {error}; restore the file, or {_NEXT}") from error
    if not intact:
        raise RunError(f"{path}: changed after it was written, or another run wrote it; restore the file, or {_NEXT}")
    return {name: value for name, value in content.items() if name != _CHECK}


def _reason(error: OSError) -> str:
    cause = error.__cause__
    return (cause.strerror if isinstance(cause, OSError) else None) or str(error)


def _differences(recorded: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    keys = [*recorded, *(key for key in wanted if key not in recorded)]
    return [
        f"{key} was {json.dumps(recorded.get(key))}, now {json.dumps(wanted.get(key))}"
        for key in keys
        if recorded.get(key) != wanted.get(key)
    ]


def _environment() -> dict[str, Any]:
    versions = {}
    for package in _VERSIONED:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "versions": versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": sys.argv,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
