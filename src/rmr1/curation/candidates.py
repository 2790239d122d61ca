"""Pairs that passed the screens: what the later steps compare stays in memory, the texts wait on the disk."""

from __future__ import annotations

import hashlib
import json
import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rmr1.data import pair_row, prompt_key
from rmr1.records import Message, PreferencePair


@dataclass(frozen=True, slots=True)
class Candidate:
    """One pair, by what decides its fate.

    Args:
        source: Number of its source in the recipe.
        id: Its id in the result; not yet unique where a source names several pairs alike.
        group: The pairs that share its prompt.
        content: Digest of prompt and responses, the same whichever side a response is on.
        better: Digest of the better response.
        rank: A draw from a hash of the pair and the seed. It decides what is taken first, so that no row's place in a file does.
        split: Where its prompt belongs.
        offset: Where its text is in the store.
        signature: What ``near_duplicates`` compares, where it is asked for.
    """

    source: int
    id: str
    group: str
    content: bytes
    better: bytes
    rank: bytes
    split: str
    offset: int
    signature: Any = None


class PairStore:
    """Pairs in a nameless temporary file: it goes with the process, however that ends.

    Args:
        folder: Where there is room for it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as the store is
        self._end = 0

    def add(self, pair: PreferencePair) -> int:
        """Keep a pair; what is returned fetches it."""
        offset = self._file.seek(self._end)
        pickle.dump(pair, self._file, protocol=pickle.HIGHEST_PROTOCOL)
        self._end = self._file.tell()
        return offset

    def fetch(self, offset: int) -> PreferencePair:
        """Give back a pair."""
        self._file.seek(offset)
        pair: PreferencePair = pickle.load(self._file)
        return pair

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def content_digests(pair: PreferencePair) -> tuple[bytes, bytes]:
    """Digest a pair regardless of its sides, and its better response (the same for all unlabelled ones)."""
    first, second = (_digest(turns) for turns in (pair.response_a, pair.response_b))
    better = {"A": first, "B": second}.get(pair.label or "", b"")
    prompt = hashlib.blake2b(prompt_key(pair.prompt).encode(errors="surrogatepass"), digest_size=16).digest()
    return hashlib.blake2b(prompt + b"".join(sorted((first, second))), digest_size=16).digest(), better


def rank_of(pair: PreferencePair, seed: int) -> bytes:
    """Draw a pair's place among all pairs; only rows that are equal in everything have the same."""
    row = json.dumps(pair_row(pair), sort_keys=True)
    return hashlib.blake2b(f"rank\0{seed}\0{row}".encode(), digest_size=16).digest()


def _digest(turns: tuple[Message, ...]) -> bytes:
    text = "\0".join(part for turn in turns for part in (turn.role, turn.content))
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
