"""Judging a source of pairs as a run: journalled, resumable, summarised, reported."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from rmr1.data import PairSource
from rmr1.engines import Engine
from rmr1.judging.completions import Completion
from rmr1.judging.plan import JudgingPlan
from rmr1.judging.stream import JudgingStream
from rmr1.judging.summary import Summary
from rmr1.records import Judgment, PreferencePair, Usage
from rmr1.runs import Journal, RunDirectory

SAMPLES_KEPT = 200
"""So many pairs are kept whole for the report; the journal has all of them."""


class JudgeCallbacks(Protocol):
    """Told what a job is doing."""

    def say(self, message: str) -> None:
        """A sentence for the user."""

    def started(self, total: int | None, done: int) -> None:
        """``done`` of ``total`` comparisons (None: unknown) were answered by an earlier process."""

    def answered(self, usage: Usage) -> None:
        """One more comparison is answered."""

    def judged(self, judgment: Judgment) -> None:
        """One more pair is judged, now or by an earlier process."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job leaves behind, besides its directory.

    ``seconds``, ``answered`` and ``spent`` are of this process; ``first`` holds the first pairs with their judgments.
    """

    run: Path
    results: Mapping[str, Any]
    summary: Summary
    seconds: float
    answered: int
    spent: Usage
    first: list[tuple[PreferencePair, Judgment]]


def job_identity(source: PairSource, engine: Engine, plan: JudgingPlan) -> dict[str, Any]:
    """What makes two jobs the same: data, model, and everything in the plan."""
    return {
        "job": "judge",
        "data_sha256": source.fingerprint(),
        "shape": source.shape.name,
        "columns": dict(source.shape.columns),
        "engine": engine.name,
        **engine.identity(),
        **plan.identity(),
    }


class JudgingJob:
    """Judges the first pairs of a source; what an earlier process has answered is not asked again.

    The journal ``completions.jsonl`` holds each answered comparison once. Failures of the engine stand in ``faults.jsonl`` and are
    tried again by the next process. ``results.json`` is the same whether or not there were interruptions.

    Args:
        source: The pairs; iterated twice, so an iterator will not do.
        engine: What judges.
        plan: How.
        run: The run's open directory.
        callbacks: Told of progress.
        limit: Judge so many pairs; None for all.
        total_pairs: How many pairs there will be, where it is known.
    """

    def __init__(
        self,
        source: Iterable[PreferencePair],
        engine: Engine,
        plan: JudgingPlan,
        run: RunDirectory,
        callbacks: JudgeCallbacks,
        *,
        limit: int | None = None,
        total_pairs: int | None = None,
    ) -> None:
        self._source = source
        self._engine = engine
        self._plan = plan
        self._run = run
        self._callbacks = callbacks
        self._limit = limit
        self._total = None if total_pairs is None else total_pairs * plan.comparisons_per_pair
        self._summary = Summary()
        self._first: dict[int, Judgment] = {}
        self._answered = 0
        self._spent = Usage()

    async def run(self) -> JobResult:
        """Do what is left to do, and write the results.

        Raises:
            EngineError: The engine is gone; what is done is kept.
        """
        started = time.monotonic()
        with self._run.journal("completions.jsonl") as journal, self._run.journal("faults.jsonl") as faults:
            stream = JudgingStream(
                self._engine,
                self._plan,
                on_sample=lambda sample: self._record(sample, journal),
                on_fault=lambda sample: faults.append(sample.to_record()),
            )
            self._restore(stream, journal)
            async with aclosing(stream.judge(islice(self._source, self._limit))) as judgments:
                async for number, judgment in judgments:
                    self._finish(number, judgment)
        return self._conclude(self._summary.results(stream.clusters), time.monotonic() - started)

    def _restore(self, stream: JudgingStream, journal: Journal) -> None:
        restored = 0
        for record in journal:
            sample = Completion.from_record(record)
            if self._limit is not None and sample.pair >= self._limit:
                continue
            restored += 1
            finished = stream.restore(sample)
            if finished is not None:
                self._finish(*finished)
        self._callbacks.started(self._total, restored)

    def _record(self, sample: Completion, journal: Journal) -> None:
        journal.append(sample.to_record())
        self._answered += 1
        self._spent += sample.usage
        self._callbacks.answered(sample.usage)

    def _finish(self, number: int, judgment: Judgment) -> None:
        self._summary.add(number, judgment)
        if number < SAMPLES_KEPT:
            self._first[number] = judgment
        self._callbacks.judged(judgment)

    def _conclude(self, results: Mapping[str, Any], seconds: float) -> JobResult:
        self._run.write_json("results.json", results)
        with self._run.journal("metrics.jsonl") as metrics:
            metrics.append({"answered": self._answered, "seconds": round(seconds, 3), "tokens": asdict(self._spent)})
        pairs = islice(self._source, SAMPLES_KEPT if self._limit is None else min(self._limit, SAMPLES_KEPT))
        return JobResult(
            run=self._run.path,
            results=results,
            summary=self._summary,
            seconds=seconds,
            answered=self._answered,
            spent=self._spent,
            first=[(pair, self._first[number]) for number, pair in enumerate(pairs) if number in self._first],
        )
