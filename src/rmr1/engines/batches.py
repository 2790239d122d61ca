"""Batch APIs: what an engine with one offers, and the ledger that keeps batches from being paid for twice.

A run's journal records which request was sent to a provider in which batch. The journal has a batch before the provider is asked to
run it, under a token that the provider keeps with the batch. So a process that is killed between the provider's answer and the next
line of the journal leaves a batch that can be found again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeGuard

from rmr1.config import BatchConfig
from rmr1.engines.protocol import Engine
from rmr1.errors import ConfigError
from rmr1.runs import Journal


class BatchLedger:
    """The batches of one engine in one run.

    Args:
        journal: Where they are kept: one line when a batch is prepared (its token and the keys of its requests), one when the
            provider has it (its name there), one for the requests whose answers have been taken.

    Raises:
        JournalError: The journal holds something else.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._names: dict[str, str] = {}
        self._open: dict[str, set[str]] = {}
        self._tokens: dict[str, str] = {}
        for line in journal.lines():
            try:
                self._apply(line.record)
            except (KeyError, TypeError, ValueError) as error:
                raise line.refuse(
                    f"does not describe a batch ({error})", "restore the journal, or choose another --run"
                ) from error

    def prepare(self, token: str, keys: Iterable[str]) -> None:
        """A batch is about to be sent."""
        self._write({"batch": token, "requests": list(keys)})

    def accept(self, token: str, name: str) -> None:
        """The provider has the batch, under this name."""
        self._write({"batch": token, "name": name})

    def take(self, token: str, keys: Iterable[str]) -> None:
        """The answers to these requests have been taken, or will never come: the batch is not searched for them again."""
        self._write({"batch": token, "taken": list(keys)})

    def batch_of(self, key: str) -> str | None:
        """The token of the batch that holds a request whose answer has not been taken."""
        return self._tokens.get(key)

    def name(self, token: str) -> str:
        """The provider's name of an accepted batch."""
        return self._names[token]

    def unaccepted(self) -> dict[str, set[str]]:
        """Batches of which it is not known whether the provider has them, with the keys of their requests."""
        return {token: set(keys) for token, keys in self._open.items() if keys and token not in self._names}

    def known(self) -> frozenset[str]:
        """The provider's names of all batches that it has accepted."""
        return frozenset(self._names.values())

    def waiting(self) -> int:
        """How many requests have been sent whose answers have not been taken."""
        return len(self._tokens)

    def _write(self, record: dict[str, str | list[str]]) -> None:
        self._journal.append(record)
        self._apply(record)

    def _apply(self, record: dict[str, str | list[str]]) -> None:
        token = str(record["batch"])
        if ("requests" in record) == (token in self._open):
            raise ValueError("a batch is prepared once, before anything else is known of it")
        if "requests" in record:
            self._open[token] = set(record["requests"])
            self._tokens.update(dict.fromkeys(record["requests"], token))
        elif "name" in record:
            self._names[token] = str(record["name"])
        else:
            for key in record["taken"]:
                self._open[token].discard(key)
                self._tokens.pop(key, None)


class BatchEngine(Engine, Protocol):
    """An engine whose provider has a batch API."""

    def batched(self, ledger: BatchLedger, config: BatchConfig, say: Callable[[str], None]) -> Engine:
        """The same model through the batch API.

        Args:
            ledger: Where the batches of the run are kept.
            config: Sizes and waiting times.
            say: Called with a sentence for each batch that is sent or answered.
        """
        ...


def has_batches(engine: Engine) -> TypeGuard[BatchEngine]:
    """Whether an engine has a batch API."""
    return callable(getattr(engine, "batched", None))


def batched(engine: Engine, ledger: BatchLedger, config: BatchConfig, say: Callable[[str], None]) -> Engine:
    """The same model through its provider's batch API, see ``BatchEngine.batched``.

    Raises:
        ConfigError: The engine has no batch API.
    """
    if not has_batches(engine):
        raise ConfigError(f"{engine.name} has no batch API")
    return engine.batched(ledger, config, say)
