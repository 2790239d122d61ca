"""Judging pairs: one run between the pairs, the engine and the journal. With a directory it can be resumed."""

from __future__ import annotations

import hashlib
import time
from array import array
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, aclosing, nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from rmr1.arguments import expect_events
from rmr1.config import JudgeConfig, resolve_config
from rmr1.data import PairSource, cluster_of
from rmr1.engines import Engine, open_model
from rmr1.errors import DataError, JournalError, RunError
from rmr1.judging.budget import SPENT, Account, Budget, Gate, prices_of_judge, spending
from rmr1.judging.completions import JOURNAL, Completion, CompletionReader, refuse_pair
from rmr1.judging.loops import run_blocking
from rmr1.judging.plan import JudgingPlan, plan_judging, template_advice
from rmr1.judging.requests import RequestQueue
from rmr1.judging.runner import RequestLog, RequestRunner, all_notes
from rmr1.judging.task import PairTask, SourceGuard
from rmr1.judging.texts import keeping_texts
from rmr1.judging.votes import JudgmentTally, combine
from rmr1.models import ModelPrices
from rmr1.records import Judgment, PreferencePair, Usage
from rmr1.report.console import summary_rows
from rmr1.report.judge import judge_report, write_judge_report
from rmr1.results import JudgeResults
from rmr1.runs import Callbacks, Journal, Ledger, NullCallbacks, RunDirectory

MEMORY = "server.json"
PAIRS_KEPT = 200
"""This many pairs are kept whole for the report; the journal has them all."""


class JudgeCallbacks(Callbacks, Protocol):
    """Events of a judge run."""

    def started(self, total: int | None, done: int) -> None:
        """``done`` of ``total`` comparisons (None: unknown) were answered by an earlier process."""

    def answered(self, usage: Usage) -> None:
        """One more comparison is answered."""

    def spared(self, comparisons: int) -> None:
        """This many comparisons need not be written: the votes before them settle the pair, or the answer is in the cache."""

    def judged(self, judgment: Judgment) -> None:
        """One more pair is judged, now or by an earlier process."""


@dataclass(frozen=True, slots=True)
class JudgeRunResult:
    """What a judge run leaves behind, besides its directory.

    Args:
        run: The directory.
        results: What ``results.json`` says.
        first: The first pairs with their judgments.
        seconds: Time that this process took.
        answered: Comparisons that were answered in this process, but for those from the cache.
        spent: Tokens that this process spent.
        out_of_budget: Whether a request was not made because the budget did not cover it.
    """

    run: Path
    results: JudgeResults
    first: list[tuple[PreferencePair, Judgment]]
    seconds: float
    answered: int
    spent: Usage
    out_of_budget: bool = False


class JudgeRun:
    """Judges pairs once: requests the comparisons that are not answered yet, and combines the completions of each pair.

    With a directory, the journal ``completions.jsonl`` holds each answered comparison once. Requests that the engine failed on
    are in ``faults.jsonl``, and the next process retries them. ``results.json`` does not depend on interruptions.

    Args:
        engine: What judges.
        plan: How it judges.
        directory: The run's open directory; None keeps nothing.
        callbacks: Receive progress.
        limit: Judge the first N pairs; None for all.
        total_pairs: How many pairs there will be, if that is known.
        unchanged: Called with the number of pairs that were read, once all are judged; raises where the source has changed.
        budget: What may be spent; as the plan says, if not given.
        prices: What tokens cost; None if that is not known.
        account: Keeps what is paid, for runs that share one; their budget knows what earlier processes have paid.
        name: What is paid for in it.

    Attributes:
        out_of_budget: A sentence about the budget, once it has not covered a request.
    """

    def __init__(
        self,
        engine: Engine,
        plan: JudgingPlan,
        directory: RunDirectory | None = None,
        callbacks: JudgeCallbacks | None = None,
        *,
        limit: int | None = None,
        total_pairs: int | None = None,
        unchanged: Callable[[int], None] | None = None,
        budget: Budget | None = None,
        prices: ModelPrices | None = None,
        account: Account | None = None,
        name: str = "judge",
    ) -> None:
        self.out_of_budget: str | None = None
        self._budget = budget or Budget(plan.config.max_total_tokens, plan.config.max_cost)
        self._account = account
        self._name = name
        self._model_prices = prices
        self._prices = None if prices is None else prices.prices
        self._engine = engine
        self._plan = plan
        self._directory = directory
        self._callbacks = callbacks or NullCallbacks()
        self._limit = limit
        self._total = None if total_pairs is None else total_pairs * plan.comparisons_per_pair
        self._unchanged = unchanged
        self._reader = CompletionReader(plan.layout)
        self._votes = self._reader.votes
        self._read = 0
        self._incomplete: dict[int, list[Completion]] = {}
        self._clusters = array("Q")
        self._answered = 0
        self._spent = Usage()
        self._log = RequestLog()

    async def judge(self, pairs: Iterable[PreferencePair]) -> AsyncGenerator[tuple[int, Judgment]]:
        """Yield the number and the judgment of each pair, as soon as its last comparison is answered.

        Pairs that an earlier process has judged come first, from the journal.

        Raises:
            EngineError: No request can succeed, or many in a row have failed. What is done is kept.
            JournalError: The journal holds a line that is not of this run, or not about these pairs.
            DataError: The pairs have changed meanwhile.
        """
        self._log.say = self._callbacks.say
        memory = None if self._directory is None else self._directory.path / MEMORY
        runner = RequestRunner(self._engine, self._plan.read, self._log, memory)
        with ExitStack() as stack:
            journal = faults = None
            restored, account = 0, self._account
            if self._directory is not None:
                account = account or self._open_account(stack.enter_context(self._directory.ledger(SPENT)))
                journal = stack.enter_context(self._directory.journal(JOURNAL))
                faults = stack.enter_context(self._directory.journal("faults.jsonl"))
                for completion in self._restored(journal, account):
                    restored += 1
                    runner.recall(completion, grammar=self._plan.grammar)
                    if (judged := self._collect(completion)) is not None:
                        yield judged
            self._callbacks.started(self._total, restored)
            numbered = self._numbered(islice(pairs, self._limit))
            queue = RequestQueue(self._plan, self._votes, numbered)
            gate = Gate(queue, self._budget, self._prices, account or Account(), self._name, self._engine)
            async with aclosing(self._asked(runner, queue, gate)) as completions:
                async for completion in completions:
                    self._keep(completion, journal, faults)
                    queue.answered(completion)
                    if (judged := self._collect(completion)) is not None:
                        yield judged
            if gate.refused is not None:
                self._stop(self._budget.exhausted(gate.refused.request), numbered)
            if self._unchanged is not None:
                self._unchanged(self._read)
            if self._limit is None and self._reader.pairs > self._read:
                raise self._refusal(self._reader.pairs - 1, f"there are only {self._read} pairs")

    async def _asked(self, runner: RequestRunner, queue: RequestQueue, gate: Gate) -> AsyncGenerator[Completion]:
        """Ask as long as the queue has requests and the budget covers them; answers may call for more."""
        ended = True
        while ended and (queue.waiting or gate.refused or not self._read):
            ended = False
            async with aclosing(runner.ask(gate.let_through())) as completions:
                async for completion in completions:
                    ended = True
                    gate.settle(completion)
                    if (whole := queue.whole(completion)) is not None:
                        yield whole

    async def conclude(self, pairs: Iterable[PreferencePair], *, with_texts: bool = False) -> JudgeRunResult:
        """Judge all pairs, and write ``results.json``.

        Args:
            pairs: The pairs; they are iterated twice, so an iterator will not do.
            with_texts: Also keep their texts in the directory, see ``texts``.

        Raises:
            EngineError: As ``judge``.
            RunError: The run has no directory.
        """
        directory = self._directory
        if directory is None:
            raise RunError("a judge run without a directory has no results; give JudgeRun a RunDirectory")
        began = time.monotonic()
        tally = JudgmentTally()
        first: dict[int, Judgment] = {}
        with keeping_texts(directory.path, pairs) if with_texts else nullcontext(pairs) as passed:
            async with aclosing(self.judge(passed)) as judged:
                async for number, judgment in judged:
                    tally.add(number, judgment)
                    if number < PAIRS_KEPT:
                        first[number] = judgment
        seconds = time.monotonic() - began
        with directory.ledger("metrics.jsonl") as metrics:
            notes = all_notes(metrics, self._log)
            metrics.append(
                {
                    "answered": self._answered,
                    "seconds": round(seconds, 3),
                    "tokens": asdict(self._spent),
                    "notes": self._log.learnt,
                }
            )
        results = replace(tally.results(self._clusters), faults=self._log.faults, notes=notes)
        if self.out_of_budget is not None:
            results = replace(results, left=len(self._clusters) - results.pairs - results.unjudged)
        results = replace(results, spending=spending(self._budget, self._model_prices))
        directory.write_json("results.json", results.to_json())
        kept = islice(pairs, PAIRS_KEPT if self._limit is None else min(self._limit, PAIRS_KEPT))
        shown = [(pair, first[number]) for number, pair in enumerate(kept) if number in first]
        stopped = self.out_of_budget is not None
        return JudgeRunResult(directory.path, results, shown, seconds, self._answered, self._spent, stopped)

    def _restored(self, journal: Journal, account: Account) -> Iterator[Completion]:
        if journal.was_cut:
            self._callbacks.say(f"{journal.path}: an interruption cut the last line; its completion is requested again")
        restored = 0
        for _, completion in self._reader.read(journal.lines()):
            if self._limit is None or completion.pair < self._limit:
                restored += 1
                yield completion
        account.check(self._name, restored)

    def _stop(self, sentence: str, rest: Iterator[tuple[int, PreferencePair]]) -> None:
        """The budget is used up. The other pairs are read and counted; of a stream, those that the journal knows."""
        self.out_of_budget = sentence
        if not self._budget.told:
            self._budget.told = True
            self._callbacks.say(sentence)
        known = None if self._total is not None else max(0, self._reader.pairs - self._read)
        for _ in islice(rest, known):
            pass

    def _open_account(self, ledger: Ledger) -> Account:
        account = Account(ledger)
        self._budget.spend(account.total, self._prices)
        return account

    def _keep(self, completion: Completion, journal: Journal | None, faults: Journal | None) -> None:
        failed = completion.finish_reason == "error"
        kept = faults if failed else journal
        if kept is not None:
            kept.append(completion.to_record())
        if not failed:
            self._votes.add(completion.pair, completion.index, completion.side)
            if completion.from_cache:
                self._callbacks.spared(1)
                return
            self._answered += 1
            self._spent += completion.usage
            self._callbacks.answered(completion.usage)

    def _collect(self, completion: Completion) -> tuple[int, Judgment] | None:
        completions = self._incomplete.setdefault(completion.pair, [])
        completions.append(completion)
        failed = {one.index for one in completions if one.finish_reason == "error"}
        if not failed.issuperset(self._votes.wanted(completion.pair)):
            return None
        per_pair = self._plan.comparisons_per_pair
        judgment = combine(self._incomplete.pop(completion.pair), self._plan.config.rule, per_pair)
        if judgment.spared and judgment.outcome != "unjudged":
            self._callbacks.spared(judgment.spared)
        self._callbacks.judged(judgment)
        return completion.pair, judgment

    def _numbered(self, pairs: Iterable[PreferencePair]) -> Iterator[tuple[int, PreferencePair]]:
        """The pairs with their numbers, each checked against what the journal has of it."""
        for number, pair in enumerate(pairs):
            self._read += 1
            if not self._reader.fits(number, pair):
                raise self._refusal(number, f'it is about another pair than "{pair.id}", which has its number')
            self._clusters.append(_cluster_key(pair))
            yield number, pair

    def _refusal(self, pair: int, problem: str) -> JournalError:
        directory = self._directory
        if directory is None:
            raise ValueError("only a journal holds completions of earlier processes")
        return refuse_pair(directory.path / JOURNAL, directory.key, pair, problem)


def _cluster_key(pair: PreferencePair) -> int:
    digest = hashlib.blake2b(cluster_of(pair).encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def judge_pairs(
    pairs: PairTask | PairSource | str | Path,
    config: JudgeConfig | None = None,
    *,
    engine: Engine | None = None,
    limit: int | None = None,
    run: str | Path | None = None,
    callbacks: JudgeCallbacks | None = None,
    **settings: Any,
) -> JudgeRunResult:
    """Judge pairs as a resumable run; results and report are in the run's directory.

    ``judge_pairs("pairs.jsonl", model="openai/gpt-4o").results.accuracy`` is the accuracy with its interval. All rows are read
    once before the engine is loaded, so that a bad one is named before any time is spent.

    Args:
        pairs: A path or ``hf:OWNER/NAME``, what ``load_pairs`` gave, or a task.
        config: How to judge; the defaults if neither it nor ``settings`` are given.
        engine: A loaded engine instead of the model that the configuration names; it stays open.
        limit: Judge the first N pairs.
        run: Directory of the run; the same one resumes it. By default it is named after the data and the configuration.
        callbacks: Receive progress; the default reports nothing.
        settings: Instead of ``config``, any field of ``JudgeConfig``.

    Raises:
        DataError: The source or one of its rows cannot be read.
        ConfigError: A setting is wrong, or does not fit the engine.
        ModelNotFoundError: The engine finds no such model.
        MissingExtraError: The engine's library is not installed.
        RunError: The run's directory is in use, or is another run's.
        EngineError: The engine is gone; what is done is kept.
    """
    config = resolve_config(JudgeConfig, config, settings)
    expect_events(callbacks, JudgeCallbacks)
    if engine is not None:
        config = config.model_copy(update={"model": open_model(engine).engine.name})
    task = PairTask.of(pairs, limit=limit, run=run)
    return run_blocking(_judge_task(task, config, engine, callbacks or NullCallbacks()))


async def _judge_task(
    task: PairTask, config: JudgeConfig, engine: Engine | None, callbacks: JudgeCallbacks
) -> JudgeRunResult:
    source = task.open()
    callbacks.say(source.shape.describe())
    total = _count_pairs(source, task, callbacks)
    model = open_model(engine or config.model, config.engine, concurrency=config.concurrency)
    try:
        plan = plan_judging(config, model.engine, model_template=model.template)
        prices = prices_of_judge(config, model.engine.name)
        for sentence in template_advice(model, config):
            callbacks.say(sentence)
        for remark in plan.remarks:
            callbacks.say(remark)
        _check_slots(source, task, plan)
        identity = _identity(source, task, model.engine, plan)
        guard = SourceGuard(source, str(identity["data_sha256"]), None if task.read_once else total)
        with RunDirectory(task.run_path("judge", identity), identity) as directory:
            run = JudgeRun(
                model.engine,
                plan,
                directory,
                callbacks,
                limit=task.limit,
                total_pairs=total,
                unchanged=guard.check,
                prices=prices,
            )
            result = await run.conclude(source, with_texts=True)
            _write_report(task, config, identity, result)
    finally:
        if engine is None:
            await model.engine.aclose()
    return result


def _count_pairs(source: PairSource, task: PairTask, callbacks: JudgeCallbacks) -> int | None:
    if task.read_once:
        return task.limit
    total = sum(1 for _ in islice(source, task.limit))
    for notice in source.notices():
        callbacks.say(notice)
    if not total:
        raise DataError(f"{task.called}: no pairs in it; rows of responses with equal scores make none")
    return total


def _check_slots(source: PairSource, task: PairTask, plan: JudgingPlan) -> None:
    """Find a pair without what the template shows before any time is spent."""
    if plan.template.slots and not task.read_once:
        for pair in islice(source, task.limit):
            plan.request(next(plan.comparisons(pair)))


def _identity(source: PairSource, task: PairTask, engine: Engine, plan: JudgingPlan) -> dict[str, object]:
    """What makes two judge runs the same: data, model, and everything in the plan."""
    return {
        "job": "judge",
        "data_sha256": source.fingerprint(),
        "shape": source.shape.name,
        "columns": {**source.shape.columns, **source.shape.said},
        "engine": engine.name,
        **engine.identity(),
        **plan.identity(),
        "skip_invalid": task.skip_invalid,
    }


def _write_report(task: PairTask, config: JudgeConfig, identity: Mapping[str, object], result: JudgeRunResult) -> None:
    report = judge_report(
        f"{config.model} on {task.title}",
        result.results,
        result.first,
        summary=summary_rows(result.results, result.seconds, result.answered, result.spent.completion_tokens),
        facts={"model": config.model, "data": task.called, **identity},
    )
    write_judge_report(report, result.run / "report.html")
