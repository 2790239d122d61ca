"""Checkpoints that are whole or do not count.

A checkpoint is written into a hidden folder, brought to the disk, and only then takes its name. It lists the sizes of its files in
``complete.json``, and the CRC-32 of the small ones (the state of the training; to read the weights again would take minutes), so
that a folder that lost something or was changed (a crash of the machine, a full disk, a hand) is seen and passed over.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from pathlib import Path

from rmr1.files import parse_json, read_text, write_text

_NAME = re.compile(r"checkpoint-(\d+)")
_LIST = "complete.json"
_SMALL = 1 << 22
STAGING = ".writing"
"""The hidden folder in which a checkpoint is written."""


def checkpoint_step(checkpoint: Path) -> int:
    """The number of optimiser steps that a checkpoint holds."""
    match = _NAME.fullmatch(checkpoint.name)
    return int(match[1]) if match else -1


def staging_folder(folder: Path) -> Path:
    """An empty folder to write a checkpoint into; what an earlier process left there is gone."""
    staging = folder / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    return staging


def commit(staged: Path, folder: Path) -> Path:
    """Give a checkpoint that was written into the staging folder its place in ``folder``, under its own name."""
    files = sorted(path for path in staged.rglob("*") if path.is_file())
    states = {path.relative_to(staged).as_posix(): _state(path) for path in files}
    listing = staged / _LIST
    write_text(listing, json.dumps(states, indent=1) + "\n")
    for path in (*files, listing):
        _bring_to_disk(path)
    target = folder / staged.name
    shutil.rmtree(target, ignore_errors=True)
    staged.rename(target)
    shutil.rmtree(staged.parent, ignore_errors=True)
    _bring_to_disk(folder)
    return target


def is_whole(checkpoint: Path) -> bool:
    """Whether all files of a checkpoint are there as they were written."""
    try:
        states = parse_json(read_text(checkpoint / _LIST))
        return bool(states) and all(_state(checkpoint / name) == state for name, state in states.items())
    except (OSError, ValueError, AttributeError):
        return False


def _state(path: Path) -> list[int]:
    """The size of a file, and its check if it is small."""
    size = path.stat().st_size
    return [size, zlib.crc32(path.read_bytes())] if size <= _SMALL else [size]


def find_checkpoints(folder: Path) -> list[Path]:
    """Everything in ``folder`` that is named as a checkpoint, oldest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=checkpoint_step)


def latest_whole(folder: Path) -> tuple[Path | None, list[Path]]:
    """The newest whole checkpoint, and the damaged ones that are newer than it."""
    damaged: list[Path] = []
    for checkpoint in reversed(find_checkpoints(folder)):
        if is_whole(checkpoint):
            return checkpoint, damaged
        damaged.append(checkpoint)
    return None, damaged


def remove_old(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints."""
    for checkpoint in find_checkpoints(folder)[:-keep] if keep else find_checkpoints(folder):
        shutil.rmtree(checkpoint, ignore_errors=True)


def _bring_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
