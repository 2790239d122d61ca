"""Answers that were paid for once: a cache on disk that all runs and processes of a user share, and the engine that asks it first.

An answer is found again if everything that decides it is the same: the engine with its identity, the messages, the sampling with
its seed, the grammar, and which of several votes it is. The key is a hash of that. A failed request is never kept; a refusal is an
answer, as it is in the journal of a run.

It is an SQLite file, from Python's own library: several processes may write at once, and what a killed one leaves behind is whole.
The values are JSON, packed by zlib. It holds prompts as hashes alone, but answers as they are, so nobody else may read the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
import zlib
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rmr1.engines.protocol import Engine
from rmr1.errors import StorageError
from rmr1.files import parse_json
from rmr1.models import cache_directory
from rmr1.records import Generation, GenerationRequest, TokenLogprob, Usage

SCHEMA = 1
MOST_BYTES = 8 << 30
"""A larger cache forgets the answers that were not used for the longest time."""
_FORGET = 10
"""One in this many answers, at a time."""
_LOOK_EVERY = 500
"""After this many new answers, a process looks at the size."""
_MOST_WAITING = 4096
"""This many answers from the cache wait for a request that has to be asked; then they are handed out first."""
_BUSY_S = 60.0
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY,
    model TEXT NOT NULL,
    answer BLOB NOT NULL,
    made REAL NOT NULL,
    used REAL NOT NULL,
    hits INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID
"""
_KEPT = ("text", "finish_reason", "think_open", "finish_detail")


def answers_folder() -> Path:
    """Where the cache of the user is: ``answers`` in the folder of the model cache, which ``RMR1_CACHE`` moves."""
    return cache_directory() / "answers"


def answer_key(name: str, identity: Mapping[str, object], request: GenerationRequest) -> bytes:
    """The hash of all that decides an answer.

    Args:
        name: The engine's name.
        identity: Its identity.
        request: What is asked. Its id is no part of it, and of the comparison that it is about only which vote it is: the messages
            say the rest.
    """
    asked = {one.name: getattr(request, one.name) for one in fields(request) if one.name not in ("id", "comparison")}
    vote = None if request.comparison is None else request.comparison.vote
    content = {
        "schema": SCHEMA,
        "engine": name,
        "identity": dict(identity),
        **asked,
        "messages": [asdict(message) for message in request.messages],
        "sampling": asdict(request.sampling),
        "vote": vote,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()


@dataclass(frozen=True, slots=True)
class ModelAnswers:
    """What a cache holds of one model: answers, their bytes, and how often one was used again."""

    model: str
    answers: int
    bytes: int
    hits: int


class AnswerCache:
    """The answers in a folder.

    Args:
        folder: Created if absent, for this user alone.
        most_bytes: See ``MOST_BYTES``.

    Raises:
        StorageError: It cannot be read or written, is damaged, or is of another version; the message has the cure.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.path = folder / "answers.sqlite"
        self._most_bytes = most_bytes
        self._new = 0
        with self._told():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            # One loop at a time uses an engine, but not always from the same thread.
            self._file = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            version = self._file.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEMA):
                raise StorageError(
                    f"{self.path}: another version of rmr1 made it (format {version}, not {SCHEMA}); "
                    f'delete it with "rmr1 cache clear", or set RMR1_CACHE to another folder'
                )
            if version == 0:
                self._make()
            self._file.execute("PRAGMA synchronous=NORMAL")

    def _make(self) -> None:
        """Make the table; of several processes that begin at the same time, each tries until one has done it."""
        patience = time.monotonic() + _BUSY_S
        while True:
            try:
                self._file.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError:
                if time.monotonic() > patience:
                    raise
                time.sleep(0.05)
        self._file.execute(_TABLE)
        self._file.execute(f"PRAGMA user_version={SCHEMA}")

    def get(self, key: bytes, request_id: str) -> Generation | None:
        """The answer under a key, as one to this request; None if there is none."""
        with self._told():
            row = self._file.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            self._file.execute("UPDATE answers SET hits = hits + 1, used = ? WHERE key = ?", (time.time(), key))
            try:
                return _unpacked(row[0], request_id)
            except (zlib.error, ValueError, TypeError, KeyError) as error:
                raise sqlite3.DatabaseError(f"an answer cannot be read: {error}") from error

    def has(self, key: bytes) -> bool:
        """Whether there is an answer under a key."""
        with self._told():
            return self._file.execute("SELECT 1 FROM answers WHERE key = ?", (key,)).fetchone() is not None

    def put(self, key: bytes, model: str, generation: Generation) -> None:
        """Keep an answer; one that failed, or that is from a cache, is not kept."""
        if generation.finish_reason == "error" or generation.from_cache:
            return
        now = time.time()
        with self._told():
            self._file.execute(
                "INSERT OR REPLACE INTO answers (key, model, answer, made, used) VALUES (?, ?, ?, ?, ?)",
                (key, model, _packed(generation), now, now),
            )
            self._new += 1
            if self._new % _LOOK_EVERY == 1:
                self._forget_if_large()

    def by_model(self) -> list[ModelAnswers]:
        """What it holds, by the name of the engine."""
        with self._told():
            rows = self._file.execute(
                "SELECT model, COUNT(*), SUM(LENGTH(answer)), SUM(hits) FROM answers GROUP BY model ORDER BY model"
            ).fetchall()
        return [ModelAnswers(*row) for row in rows]

    @property
    def bytes(self) -> int:
        """Its size, without what was forgotten."""
        with self._told():
            pages, free, size = (
                self._file.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def prune(self, *, unused_days: float | None = None, most_bytes: int | None = None) -> int:
        """Forget answers that were not used for some days, and then, until it is small enough, those unused for the longest time.

        Args:
            unused_days: Forget what was not used for this long.
            most_bytes: The size to come down to.

        Returns:
            How many answers were forgotten.
        """
        forgotten = 0
        with self._told():
            if unused_days is not None:
                limit = time.time() - 86_400 * unused_days
                forgotten += self._file.execute("DELETE FROM answers WHERE used < ?", (limit,)).rowcount
            while most_bytes is not None and self.bytes > most_bytes and (gone := self._forget()):
                forgotten += gone
            self._file.execute("VACUUM")
        return forgotten

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _forget_if_large(self) -> None:
        while self.bytes > self._most_bytes and self._forget():
            pass

    def _forget(self) -> int:
        return self._file.execute(
            "DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY used LIMIT "
            "(SELECT MAX(1, COUNT(*) / ?) FROM answers))",
            (_FORGET,),
        ).rowcount

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Make one line of what SQLite and the system say, with the cure."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"{self.path}: the cache of answers cannot be used ({error}); make room or wait for other processes, or run "
                f"without --cache"
            ) from error
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f'{self.path}: the cache of answers is damaged ({error}); delete it with "rmr1 cache clear", or run without --cache'
            ) from error
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                f"{self.path.parent}: the cache of answers cannot be used ({error.strerror}); set RMR1_CACHE to a folder of your "
                f"own, or run without --cache"
            ) from error


def clear_answers(folder: Path) -> int:
    """Delete the cache in a folder, whatever state it is in.

    Returns:
        How many bytes it had.
    """
    size = 0
    for name in ("answers.sqlite", "answers.sqlite-wal", "answers.sqlite-shm"):
        path = folder / name
        if path.is_file():
            size += path.stat().st_size
            path.unlink()
    return size


class CachingEngine:
    """An engine that asks the cache first. It has the identity of the engine that it asks otherwise: the answers are the same.

    Args:
        engine: Answers what the cache does not know; members that are not part of ``Engine`` are its own.
        cache: The answers.
    """

    def __init__(self, engine: Engine, cache: AnswerCache) -> None:
        self.name = engine.name
        self.embedded = engine.embedded
        self.computes_in_caller = engine.computes_in_caller
        self.think_open = engine.think_open
        self.writes_logprobs = engine.writes_logprobs
        self.obeys_grammars = engine.obeys_grammars
        self._engine = engine
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        if name == "batched":
            return lambda *arguments: CachingEngine(found(*arguments), self._cache)
        return found

    def identity(self) -> Mapping[str, object]:
        """That of the engine."""
        return self._engine.identity()

    def knows(self, request: GenerationRequest) -> bool:
        """Whether the answer to a request is in the cache."""
        return self._cache.has(answer_key(self.name, self._engine.identity(), request))

    async def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """Answer from the cache what it knows, and ask the engine for the rest.

        Raises:
            StorageError: The cache cannot be used.
            EngineError: As the engine.
        """
        identity, source = self._engine.identity(), iter(requests)
        found: list[Generation] = []
        keys: dict[str, bytes] = {}
        ended = False

        def unknown() -> Iterator[GenerationRequest]:
            """The requests to ask for; it pauses while many answers wait."""
            nonlocal ended
            while len(found) < _MOST_WAITING:
                request = next(source, None)
                if request is None:
                    ended = True
                    return
                key = answer_key(self.name, identity, request)
                known = self._cache.get(key, request.id)
                if known is None:
                    keys[request.id] = key
                    yield request
                else:
                    found.append(known)

        while not ended:
            async with aclosing(self._engine.generate(unknown())) as generations:
                async for generation in generations:
                    problem = self._keep(generation, keys)
                    while found:
                        yield found.pop(0)
                    yield generation
                    if problem is not None:
                        raise problem
            while found:
                yield found.pop(0)

    def _keep(self, generation: Generation, keys: dict[str, bytes]) -> StorageError | None:
        """Put an answer into the cache; an error is given back, for the answer that is paid for comes first."""
        try:
            if isinstance(generation, Generation) and generation.request_id in keys:
                self._cache.put(keys.pop(generation.request_id), self.name, generation)
        except StorageError as error:
            return error
        return None

    async def aclose(self) -> None:
        """Close the engine and the cache."""
        self._cache.close()
        await self._engine.aclose()


def _packed(generation: Generation) -> bytes:
    content = {name: getattr(generation, name) for name in _KEPT}
    content["usage"] = asdict(generation.usage)
    content["tokens"] = generation.tokens and [[one.text, one.logprob, one.top] for one in generation.tokens]
    return zlib.compress(json.dumps(content, separators=(",", ":")).encode())


def _unpacked(packed: bytes, request_id: str) -> Generation:
    content = parse_json(zlib.decompress(packed).decode())
    tokens = content["tokens"] and tuple(
        TokenLogprob(text, logprob, tuple((other, value) for other, value in top))
        for text, logprob, top in content["tokens"]
    )
    kept = {name: content[name] for name in _KEPT}
    return Generation(request_id, usage=Usage(**content["usage"]), tokens=tokens, from_cache=True, **kept)
