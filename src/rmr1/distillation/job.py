"""Distilling as a run: two journalled passes (or several tries of one), then the traces in the order of the pairs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from rmr1.config import DistillConfig
from rmr1.data import PairSource
from rmr1.distillation.budget import Budget
from rmr1.distillation.requests import Tally, first_questions, orders_of, repair_questions
from rmr1.distillation.results import Concluded, Results
from rmr1.distillation.written import Writer, WrittenPass
from rmr1.errors import DataError
from rmr1.judging import Completion
from rmr1.records import PreferencePair, Usage
from rmr1.runs import RunDirectory

PAIRS_KEPT = 200
"""So many pairs are kept whole for the report."""


class DistillCallbacks(Protocol):
    """Told what a job is doing."""

    def say(self, message: str) -> None:
        """A sentence for the user."""

    def started(self, total: int | None, done: int) -> None:
        """A pass begins: ``done`` of ``total`` requests (None: unknown) are answered."""

    def answered(self, usage: Usage) -> None:
        """One more request is answered."""


@dataclass(frozen=True, slots=True)
class DistillResult:
    """What a job leaves behind, besides its directory.

    Args:
        run: The directory; ``traces.jsonl`` in it has the traces.
        results: What ``results.json`` says.
        out_of_budget: Whether a request was not made because the budget did not cover it.
        seconds: Time that this process took.
        first: The first pairs with what came of their comparisons.
    """

    run: Path
    results: Mapping[str, Any]
    out_of_budget: bool
    seconds: float
    first: list[tuple[PreferencePair, list[Concluded]]]

    @property
    def traces(self) -> Path:
        """The traces, as TRL takes them."""
        return self.run / "traces.jsonl"


def labelled(source: PairSource, limit: int | None, *, skip: bool) -> Iterator[tuple[int, PreferencePair]]:
    """The first pairs of a source with their numbers; only those with a label can be verified.

    Raises:
        DataError: A pair has no label, unless ``skip``.
    """
    for number, pair in enumerate(islice(source, limit)):
        if pair.label is not None:
            yield number, pair
        elif not skip:
            raise DataError(
                f'{source.path}: the pair "{pair.id}" has no label, so no trace of it can be verified; drop it or pass '
                f"--skip-invalid"
            )


class DistillJob:
    """Writes verified traces for the pairs of a source; what an earlier process has answered is not asked again.

    Args:
        source: The pairs.
        teacher: Writes the first pass.
        repairer: Writes the second one; None for a single pass.
        config: What is asked for.
        run: The run's open directory.
        callbacks: Told of progress.
        limit: Take so many pairs; None for all.
        skip_unlabelled: Leave out pairs without a label instead of refusing them.
    """

    def __init__(
        self,
        source: PairSource,
        teacher: Writer,
        repairer: Writer | None,
        config: DistillConfig,
        run: RunDirectory,
        callbacks: DistillCallbacks,
        *,
        limit: int | None = None,
        skip_unlabelled: bool = False,
    ) -> None:
        self._source = source
        self._teacher = teacher
        self._repairer = repairer
        self._config = config
        self._run = run
        self._callbacks = callbacks
        self._limit = limit
        self._skip = skip_unlabelled
        self._tally = Tally(config)
        self._budget = Budget(config.max_total_tokens, config.max_cost)
        self._answered = 0

    async def run(self) -> DistillResult:
        """Do what is left to do, and write traces and results.

        Raises:
            DataError: A pair has no label.
            EngineError: An engine is gone; what is done is kept.
        """
        began = time.monotonic()
        orders, config = orders_of(self._config), self._config
        with closing(
            WrittenPass(
                "pass1",
                self._teacher,
                orders * config.samples,
                self._run,
                self._budget,
                config.keep_think,
                self._tally.add,
            )
        ) as first:
            if self._repairer is None:
                covered = await self._teach(first)
                return self._conclude(first, None, not covered, began)
            with closing(
                WrittenPass("pass2", self._repairer, orders, self._run, self._budget, config.keep_think)
            ) as second:
                covered = await self._teach(first) and await self._repair(first, second)
                return self._conclude(first, second, not covered, began)

    async def _teach(self, first: WrittenPass) -> bool:
        self._callbacks.started(None, first.restored)
        for vote in range(self._config.samples):
            questions = first_questions(self._pairs(), first, self._tally, self._config, vote)
            if not await first.write(questions, self._progress):
                return False
        return True

    async def _repair(self, first: WrittenPass, second: WrittenPass) -> bool:
        self._callbacks.say(f"second pass: {second.writer.engine.name} corrects the traces that failed")
        self._callbacks.started(None, second.restored)
        questions = repair_questions(self._pairs(), first, second, self._tally, self._config)
        return await second.write(questions, self._progress)

    def _progress(self, sample: Completion) -> None:
        self._answered += 1
        self._callbacks.answered(sample.usage)

    def _pairs(self) -> Iterator[tuple[int, PreferencePair]]:
        return labelled(self._source, self._limit, skip=self._skip)

    def _conclude(
        self, first: WrittenPass, second: WrittenPass | None, out_of_budget: bool, began: float
    ) -> DistillResult:
        kept: list[tuple[PreferencePair, list[Concluded]]] = []
        with self._run.rewrite("traces.jsonl") as traces, self._run.rewrite("rejected.jsonl") as rejected:
            results = Results(first, second, self._config, traces, rejected)
            for number, pair in self._pairs():
                concluded = results.add(number, pair)
                if len(kept) < PAIRS_KEPT:
                    kept.append((pair, concluded))
        self._run.write_json("results.json", results.results())
        seconds = time.monotonic() - began
        spent = {"tokens": self._budget.tokens, "cost": round(self._budget.cost, 6)}
        with self._run.journal("metrics.jsonl") as metrics:
            metrics.append({"answered": self._answered, "seconds": round(seconds, 3), "spent_in_all": spent})
        return DistillResult(self._run.path, results.results(), out_of_budget, seconds, kept)
