"""The directory of one run: ``run.json``, its journals, its results, and a lock."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

from rmr1.errors import RunError, RunLockedError, RunMismatchError
from rmr1.runs.journal import Journal, encode_line

RUN_SCHEMA = 2
"""Version of ``run.json`` and of the journals beside it; runs without one are of 0.1.0 development versions."""
_VERSIONED = ("rmr1", "xllamacpp", "openai", "torch", "transformers", "trl", "vllm")


def default_run_name(verb: str, subject: str, identity: Mapping[str, object]) -> str:
    """A name that says what the run is about and that only the same identity has: ``judge-pairs-3f2a9c01``."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    return "-".join(part for part in (verb, re.sub(r"[^\w.]+", "-", subject).strip("-.")[:40], digest) if part)


class RunDirectory:
    """A run that one process works on at a time, and that the same configuration resumes.

    Args:
        path: The directory; created if absent.
        identity: Everything that decides the results (configuration, data and template hashes, seed), as JSON. It is kept in
            ``run.json``; another identity in the same directory is refused.

    Raises:
        RunMismatchError: The directory holds a run of another identity, and the message names what differs; or another version of
            rmr1 made it.
        RunLockedError: Another process has the run open.
    """

    def __init__(self, path: Path, identity: Mapping[str, object]) -> None:
        self.path = path
        self.identity = json.loads(json.dumps(identity))
        path.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            self._check_or_write_manifest()
        except BaseException:
            os.close(self._lock)
            raise

    def journal(self, name: str) -> Journal:
        """Open a journal of this run, such as ``completions.jsonl``."""
        return Journal(self.path / name)

    def write_json(self, name: str, content: Mapping[str, object]) -> Path:
        """Write a JSON file in one step: a reader sees the old one or the new one."""
        target = self.path / name
        temporary = self.path / f".{name}.tmp"
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.replace(target)
        return target

    @contextmanager
    def rewrite(self, name: str) -> Iterator[Callable[[Mapping[str, object]], None]]:
        """Write a file of JSON lines in one step: give the function that adds a record; at the end the file takes its name.

        An exception leaves the old file as it was.
        """
        temporary = self.path / f".{name}.tmp"
        with temporary.open("wb") as lines:

            def add(record: Mapping[str, object]) -> None:
                lines.write(encode_line(record))

            yield add
        temporary.replace(self.path / name)

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
        lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise RunLockedError(
                f"{self.path}: another process is working on this run; wait for it, or stop it"
            ) from error
        return lock

    def _check_or_write_manifest(self) -> None:
        manifest = self.path / "run.json"
        if not manifest.exists():
            self.write_json(
                "run.json", {"schema": RUN_SCHEMA, "identity": self.identity, "created": _now(), **_environment()}
            )
            return
        differences = _differences(read_manifest(self.path)["identity"], self.identity)
        if differences:
            raise RunMismatchError(
                f"{self.path} is another run: {'; '.join(differences)}. Choose another --run, or delete the directory"
            )


def read_manifest(run: Path) -> Mapping[str, Any]:
    """Read ``run.json`` of a run: its ``identity``, when and how it was ``created``, and with which versions.

    Args:
        run: The run's directory.

    Raises:
        RunError: The directory is not a run.
        RunMismatchError: Another version of rmr1 made the run, or the file is damaged.
    """
    manifest = run / "run.json"
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        is_manifest = isinstance(content["identity"], dict)
    except OSError as error:
        raise RunError(f"{run}: not a run directory ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunMismatchError(f"{manifest}: not a run manifest; choose another --run") from error
    if not is_manifest:
        raise RunMismatchError(f"{manifest}: not a run manifest; choose another --run")
    if content.get("schema") != RUN_SCHEMA:
        raise RunMismatchError(
            f"{run}: made by another version of rmr1; run the command that made it again with another --run"
        )
    manifest_content: Mapping[str, Any] = content
    return manifest_content


def _differences(recorded: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    keys = [*recorded, *(key for key in wanted if key not in recorded)]
    return [
        f"{key} was {json.dumps(recorded.get(key))}, now {json.dumps(wanted.get(key))}"
        for key in keys
        if recorded.get(key) != wanted.get(key)
    ]


def _environment() -> dict[str, object]:
    versions = {}
    for package in _VERSIONED:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": sys.argv,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
