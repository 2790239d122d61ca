"""A distillation as a run: two journalled passes (or several attempts of one), then the traces in the order of the pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from rmr1.arguments import expect_events
from rmr1.config import DistillConfig, EngineConfig, JudgeConfig, Prices, resolve_config
from rmr1.data import PairSource
from rmr1.distillation.passes import (
    DistillCallbacks,
    DistillPass,
    RightTraces,
    Writer,
    first_requests,
    orders_of,
    repair_requests,
)
from rmr1.distillation.results import ComparisonOutcome, TraceWriter, distill_report
from rmr1.engines import BatchLedger, Engine, batched, has_batches, open_model
from rmr1.errors import ConfigError, DataError
from rmr1.judging import (
    Account,
    Budget,
    JudgingPlan,
    PairTask,
    RequestLog,
    SourceGuard,
    all_notes,
    plan_judging,
    prices_of_model,
    run_blocking,
)
from rmr1.prompts import load_repair_template
from rmr1.records import PreferencePair, Usage
from rmr1.report.judge import write_judge_report
from rmr1.results import DistillResults
from rmr1.runs import NullCallbacks, RunDirectory
from rmr1.sides import decisive

PAIRS_KEPT = 200
"""This many pairs are kept whole for the report."""


@dataclass(frozen=True, slots=True)
class DistillRunResult:
    """What a distillation leaves behind, besides its directory.

    Args:
        run: The directory; ``traces.jsonl`` in it has the traces.
        results: What ``results.json`` says.
        out_of_budget: Whether a request was not made because the budget did not cover it.
        seconds: Time that this process took.
        first: The first pairs with what came of their comparisons.
    """

    run: Path
    results: DistillResults
    out_of_budget: bool
    seconds: float
    first: list[tuple[PreferencePair, list[ComparisonOutcome]]]

    @property
    def traces(self) -> Path:
        """The traces, as TRL takes them."""
        return self.run / "traces.jsonl"


def labelled(source: PairSource, limit: int | None, *, skip: bool) -> Iterator[tuple[int, PreferencePair]]:
    """The first pairs of a source with their numbers; only those with a better response can be verified.

    Raises:
        DataError: A pair has no label or a tie, unless ``skip``.
    """
    for number, pair in enumerate(islice(source, limit)):
        if decisive(pair.label) is not None:
            yield number, pair
        elif not skip:
            what = "is labelled a tie" if pair.label else "has no label"
            raise DataError(
                f'{source.path}: the pair "{pair.id}" {what}, so no trace of it can be verified; {source.advice}'
            )


class DistillRun:
    """Writes verified traces for the pairs of a source; what an earlier process has answered is not requested again.

    Args:
        source: The pairs.
        teacher: Writes the first pass.
        repairer: Writes the second one; None for a single pass.
        config: How to distil.
        directory: The run's open directory.
        callbacks: Receive progress.
        limit: Take the first N pairs; None for all.
        skip_unlabelled: Leave out pairs without a label instead of refusing them.
        unchanged: Called with the number of pairs that were read at the end; raises where the source has changed.
    """

    def __init__(
        self,
        source: PairSource,
        teacher: Writer,
        repairer: Writer | None,
        config: DistillConfig,
        directory: RunDirectory,
        callbacks: DistillCallbacks | None = None,
        *,
        limit: int | None = None,
        skip_unlabelled: bool = False,
        unchanged: Callable[[int], None] | None = None,
    ) -> None:
        self._source = source
        self._teacher = teacher
        self._repairer = repairer
        self._config = config
        self._directory = directory
        self._callbacks = callbacks or NullCallbacks()
        self._limit = limit
        self._skip = skip_unlabelled
        self._unchanged = unchanged
        self._log = RequestLog()

    async def conclude(self) -> DistillRunResult:
        """Do what is left to do, and write traces and results.

        Raises:
            DataError: A pair has no label.
            EngineError: An engine is gone; what is done is kept.
        """
        began = time.monotonic()
        config, directory, orders = self._config, self._directory, orders_of(self._config)
        self._log.say = self._callbacks.say
        right = RightTraces(config)
        with ExitStack() as stack:
            ledger = stack.enter_context(directory.ledger("spent.jsonl"))
            account = Account(ledger)
            budget = Budget(config.max_total_tokens, config.max_cost)
            for name, writer in (("pass1", self._teacher), ("pass2", self._repairer)):
                budget.spend(account.earlier.get(name, Usage()), None if writer is None else writer.prices)
            first = DistillPass(
                "pass1",
                self._teacher,
                orders * config.samples,
                directory,
                budget,
                account,
                keep_think=config.keep_think,
                log=self._log,
                right=right,
            )
            stack.enter_context(closing(first))
            covered = await self._teach(first, right)
            second = None
            if self._repairer is not None:
                second = DistillPass(
                    "pass2",
                    self._repairer,
                    orders,
                    directory,
                    budget,
                    account,
                    keep_think=config.keep_think,
                    log=self._log,
                )
                stack.enter_context(closing(second))
                covered = covered and await self._repair(first, second, right)
            return self._write(first, second, budget, not covered, began)

    async def _teach(self, first: DistillPass, right: RightTraces) -> bool:
        if first.was_cut:
            self._callbacks.say("pass1.jsonl: an interruption cut the last line; its completion is requested again")
        self._callbacks.started(None, first.restored)
        for vote in range(self._config.samples):
            requests = first_requests(self._pairs(), first, right, self._config, vote)
            if not await first.write(requests, self._callbacks):
                return False
        return True

    async def _repair(self, first: DistillPass, second: DistillPass, right: RightTraces) -> bool:
        self._callbacks.say(f"second pass: {second.writer.engine.name} corrects the traces that failed")
        self._callbacks.started(None, second.restored)
        requests = repair_requests(self._pairs(), first, second, right, self._config)
        return await second.write(requests, self._callbacks)

    def _pairs(self) -> Iterator[tuple[int, PreferencePair]]:
        return labelled(self._source, self._limit, skip=self._skip)

    def _write(
        self, first: DistillPass, second: DistillPass | None, budget: Budget, out_of_budget: bool, began: float
    ) -> DistillRunResult:
        kept: list[tuple[PreferencePair, list[ComparisonOutcome]]] = []
        with (
            self._directory.rewrite("traces.jsonl") as traces,
            self._directory.rewrite("rejected.jsonl") as rejected,
        ):
            writer = TraceWriter(first, second, self._config, traces, rejected)
            for number, pair in self._pairs():
                outcomes = writer.add(number, pair)
                if len(kept) < PAIRS_KEPT:
                    kept.append((pair, outcomes))
            self._check_end(first, second, writer.pairs)
        seconds = time.monotonic() - began
        answered = first.answered + (second.answered if second else 0)
        spent = {"tokens": budget.tokens, "cost": round(budget.cost, 6)}
        with self._directory.ledger("metrics.jsonl") as metrics:
            notes = all_notes(metrics, self._log)
            metrics.append(
                {
                    "answered": answered,
                    "seconds": round(seconds, 3),
                    "spent_in_all": spent,
                    "notes": self._log.learnt,
                }
            )
        results = replace(writer.results(), faults=self._log.faults, notes=notes)
        self._directory.write_json("results.json", results.to_json())
        return DistillRunResult(self._directory.path, results, out_of_budget, seconds, kept)

    def _check_end(self, first: DistillPass, second: DistillPass | None, pairs: int) -> None:
        if self._unchanged is not None:
            self._unchanged(pairs)
        if self._limit is None and not self._skip:
            for one in (first, second):
                if one is not None:
                    one.check_count(pairs)


def distill(
    pairs: PairTask | PairSource | str | Path,
    config: DistillConfig | None = None,
    *,
    teacher: str | Engine | None = None,
    repairer: str | Engine | None = None,
    limit: int | None = None,
    run: str | Path | None = None,
    callbacks: DistillCallbacks | None = None,
    **settings: Any,
) -> DistillRunResult:
    """Distil verified traces from a teacher as a resumable run (paper section 3.2).

    ``distill("pairs.jsonl", teacher="openai/gpt-4o").traces`` is the file that ``train_sft`` takes. All rows are read once before
    an engine is loaded, so that a bad one is named before anything is spent.

    Args:
        pairs: A path or ``hf:OWNER/NAME``, what ``load_pairs`` gave, or a task.
        config: How to distil; the defaults if neither it nor ``settings`` are given.
        teacher: The model that writes traces, or a loaded engine, which stays open.
        repairer: The model that corrects failed ones, or a loaded engine; there is no second pass without one.
        limit: Take the first N pairs.
        run: Directory of the run; the same one resumes it. By default it is named after the data and the configuration.
        callbacks: Receive progress; the default reports nothing.
        settings: Instead of ``config``, any field of ``DistillConfig``.

    Raises:
        DataError: The source or one of its rows cannot be read, or a pair has no label.
        ConfigError: A setting is wrong, or does not fit the engines.
        ModelNotFoundError: An engine finds no such model.
        MissingExtraError: An engine's library is not installed.
        RunError: The run's directory is in use, or is another run's.
        EngineError: An engine is gone; what is done is kept.
    """
    models = {role: model for role, model in (("teacher", teacher), ("repairer", repairer)) if model is not None}
    engines = {role: open_model(model).engine for role, model in models.items() if not isinstance(model, str)}
    named = {role: engine.name for role, engine in engines.items()}
    settings |= {role: model for role, model in models.items() if isinstance(model, str)}
    if config is None:
        config = resolve_config(DistillConfig, None, settings | named)
    else:
        config = resolve_config(DistillConfig, config, settings).model_copy(update=named)
    expect_events(callbacks, DistillCallbacks)
    task = PairTask.of(pairs, limit=limit, run=run)
    return run_blocking(_distill_task(task, config, engines, callbacks or NullCallbacks()))


async def _distill_task(
    task: PairTask, config: DistillConfig, engines: Mapping[str, Engine], callbacks: DistillCallbacks
) -> DistillRunResult:
    source = task.open()
    callbacks.say(source.shape.describe())
    total = _count_pairs(source, task, callbacks)
    async with AsyncExitStack() as stack:
        teacher, repairer = _writers(config, engines, stack)
        if config.batch and not any(has_batches(writer.engine) for writer in (teacher, repairer) if writer):
            raise ConfigError("--batch needs a teacher or repairer whose engine has a batch API, such as openai/MODEL")
        identity = _identity(source, task, config, teacher, repairer)
        directory = stack.enter_context(RunDirectory(task.run_path("distill", identity), identity))
        teacher = _with_batches(teacher, "teacher", directory, config, callbacks, stack)
        repairer = repairer and _with_batches(repairer, "repairer", directory, config, callbacks, stack)
        run = DistillRun(
            source,
            teacher,
            repairer,
            config,
            directory,
            callbacks,
            limit=task.limit,
            skip_unlabelled=task.skip_invalid,
            unchanged=SourceGuard(source, str(identity["data_sha256"]), total).check,
        )
        result = await run.conclude()
        title = f"Traces of {config.teacher} on {task.title}"
        report = distill_report(title, result.results, result.first, {"data": task.called, **identity})
        write_judge_report(report, directory.path / "report.html")
    return result


def _count_pairs(source: PairSource, task: PairTask, callbacks: DistillCallbacks) -> int | None:
    if task.read_once:
        return None
    count = sum(1 for _ in labelled(source, task.limit, skip=task.skip_invalid))
    callbacks.say(f"{count} pairs")
    for notice in source.notices():
        callbacks.say(notice)
    if not count:
        raise DataError(f"{task.called}: no pair with a side as its label, so no trace of any could be verified")
    return count


def _writers(
    config: DistillConfig, engines: Mapping[str, Engine], stack: AsyncExitStack
) -> tuple[Writer, Writer | None]:
    def load(role: str, model: str, settings: EngineConfig) -> Engine:
        if role in engines:
            return open_model(engines[role]).engine
        engine = open_model(model, settings, concurrency=config.concurrency).engine
        stack.push_async_callback(engine.aclose)
        return engine

    teacher = load("teacher", config.teacher, config.teacher_engine)
    plan = _writing_plan("--teacher", config.judging(config.teacher, config.teacher_engine), teacher)
    first = Writer(teacher, plan, _prices("teacher", teacher, config.teacher_prices, config.teacher_engine, config))
    if config.repairer is None:
        return first, None
    settings = config.effective_repairer_engine
    same = (config.repairer, settings) == (config.teacher, config.teacher_engine) and "repairer" not in engines
    repairer = teacher if same else load("repairer", config.repairer, settings)
    plan = _writing_plan("--repairer", config.judging(config.repairer, settings), repairer)
    return first, Writer(
        repairer, plan, _prices("repairer", repairer, config.effective_repairer_prices, settings, config)
    )


def _prices(
    role: str, engine: Engine, given: Prices | None, settings: EngineConfig, config: DistillConfig
) -> Prices | None:
    limited = config.max_cost is not None
    found = prices_of_model(engine.name, given, settings.base_url, f"--{role}-prices" if limited else None)
    return None if found is None else found.prices


def _writing_plan(flag: str, config: JudgeConfig, engine: Engine) -> JudgingPlan:
    plan = plan_judging(config, engine)
    if plan.scores_one:
        raise ConfigError(
            f"{flag} {engine.name}: it scores one response at a time, and a trace compares two; take a judge that writes, with a "
            f"template that shows both responses"
        )
    return plan


def _with_batches(
    writer: Writer,
    role: str,
    directory: RunDirectory,
    config: DistillConfig,
    callbacks: DistillCallbacks,
    stack: AsyncExitStack,
) -> Writer:
    """The writer with the way its requests travel: directly, or in batches that the run remembers."""
    if not has_batches(writer.engine):
        return writer
    name = f"{role}-batches.jsonl"
    if not config.batch:
        if (directory.path / name).exists():
            callbacks.say(f"batches of an earlier process may be under way, see {name}; --batch would wait for them")
        return writer
    ledger = BatchLedger(stack.enter_context(directory.ledger(name)))
    return replace(writer, engine=batched(writer.engine, ledger, config.batching, callbacks.say))


def _identity(
    source: PairSource, task: PairTask, config: DistillConfig, teacher: Writer, repairer: Writer | None
) -> dict[str, object]:
    """What makes two distillations the same. Budgets, prices and the way requests travel are not part of it."""
    identity = {
        "job": "distill",
        "data_sha256": source.fingerprint(),
        "shape": source.shape.name,
        "columns": {**source.shape.columns, **source.shape.said},
        "skip_invalid": task.skip_invalid,
        "teacher": {"engine": teacher.engine.name, **teacher.engine.identity()},
        **{name: value for name, value in teacher.plan.identity().items() if name not in ("model", "votes")},
        **{name: getattr(config, name) for name in ("samples", "keep", "require_format", "keep_think")},
    }
    if repairer is not None:
        identity["repairer"] = {"engine": repairer.engine.name, **repairer.engine.identity()}
        identity["repair_template_sha256"] = load_repair_template().sha256
        identity["failed_chars"] = config.failed_chars
    return identity
