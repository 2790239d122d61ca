"""A whole distillation from a path and a configuration to ``report.html``: what the command line and the pipeline call."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from rmr1.config import DistillConfig, EngineConfig
from rmr1.data import PairSource
from rmr1.distillation.job import DistillCallbacks, DistillJob, DistillResult, labelled
from rmr1.distillation.report import distill_report
from rmr1.distillation.written import Writer
from rmr1.engines import BatchLedger, Engine, batched, has_batches, open_model
from rmr1.errors import ConfigError
from rmr1.judging import PairTask, plan_judging
from rmr1.prompts import load_repair_template
from rmr1.report.judge import write_judge_report
from rmr1.runs import RunDirectory


async def distill_source(task: PairTask, config: DistillConfig, callbacks: DistillCallbacks) -> DistillResult:
    """Distil traces from a source as a resumable run.

    All rows are read once before an engine is loaded, so that a bad one is named before anything is spent.

    Raises:
        DataError: The source or one of its rows cannot be read, or a pair has no label.
        ConfigError: The configuration does not fit the engines.
        ModelNotFoundError: An engine finds no such model.
        RunError: The run's directory is in use, or is another run's.
        EngineError: An engine is gone; what is done is kept.
    """
    source = task.open()
    callbacks.say(source.shape.describe())
    _check(source, task, callbacks)
    async with AsyncExitStack() as stack:
        teacher, repairer = await _writers(config, stack)
        if config.batch and not any(has_batches(writer.engine) for writer in (teacher, repairer) if writer):
            raise ConfigError("--batch needs a teacher or repairer whose engine has a batch API, such as openai/MODEL")
        identity = _identity(source, task, config, teacher, repairer)
        run = stack.enter_context(RunDirectory(task.run_path("distill", identity), identity))
        teacher = _sent(teacher, "teacher", run, config, callbacks, stack)
        repairer = repairer and _sent(repairer, "repairer", run, config, callbacks, stack)
        job = DistillJob(
            source, teacher, repairer, config, run, callbacks, limit=task.limit, skip_unlabelled=task.skip_invalid
        )
        result = await job.run()
        title = f"Traces of {config.teacher} on {task.title}"
        write_judge_report(distill_report(title, {"data": task.called, **identity}, result), run.path / "report.html")
    return result


def _check(source: PairSource, task: PairTask, callbacks: DistillCallbacks) -> None:
    if task.read_once:  # one more pass would fetch everything once more
        return
    count = sum(1 for _ in labelled(source, task.limit, skip=task.skip_invalid))
    callbacks.say(f"{count} pairs")
    if source.skipped.count:
        callbacks.say(f"{source.skipped.count} rows skipped: {'; '.join(source.skipped.messages)}")


async def _writers(config: DistillConfig, stack: AsyncExitStack) -> tuple[Writer, Writer | None]:
    teacher = await _load(config.teacher, config.teacher_engine, config, stack)
    first = Writer(teacher, plan_judging(config.judging(config.teacher, config.teacher_engine), teacher))
    first = replace(first, prices=config.teacher_prices)
    if config.repairer is None:
        return first, None
    settings = config.effective_repairer_engine
    same = (config.repairer, settings) == (config.teacher, config.teacher_engine)
    repairer = teacher if same else await _load(config.repairer, settings, config, stack)
    plan = plan_judging(config.judging(config.repairer, settings), repairer)
    return first, Writer(repairer, plan, config.effective_repairer_prices)


async def _load(model: str, settings: EngineConfig, config: DistillConfig, stack: AsyncExitStack) -> Engine:
    engine = open_model(model, settings, concurrency=config.concurrency).engine
    stack.push_async_callback(engine.aclose)
    return engine


def _sent(
    writer: Writer,
    role: str,
    run: RunDirectory,
    config: DistillConfig,
    callbacks: DistillCallbacks,
    stack: AsyncExitStack,
) -> Writer:
    """The writer as its requests travel: directly, or in batches that the run remembers."""
    if not has_batches(writer.engine):
        return writer
    name = f"{role}-batches.jsonl"
    if not config.batch:
        if (run.path / name).exists():
            callbacks.say(f"batches of an earlier process may be under way, see {name}; --batch would wait for them")
        return writer
    ledger = BatchLedger(stack.enter_context(run.journal(name)))
    return replace(writer, engine=batched(writer.engine, ledger, config.batching, callbacks.say))


def _identity(
    source: PairSource, task: PairTask, config: DistillConfig, teacher: Writer, repairer: Writer | None
) -> dict[str, Any]:
    """What makes two distillations the same. Budgets, prices and the way requests travel are not part of it."""
    identity = {
        "job": "distill",
        "data_sha256": source.fingerprint(),
        "shape": source.shape.name,
        "columns": dict(source.shape.columns),
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
