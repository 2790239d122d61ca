"""A whole judging run from a path and a configuration to ``report.html``: what the command line calls."""

from __future__ import annotations

from itertools import islice

from rmr1.config import JudgeConfig
from rmr1.data import PairSource
from rmr1.engines import open_model
from rmr1.judging.job import JobResult, JudgeCallbacks, JudgingJob, job_identity
from rmr1.judging.plan import plan_judging
from rmr1.judging.report import judging_report
from rmr1.judging.task import PairTask
from rmr1.report.judge import write_judge_report
from rmr1.runs import RunDirectory


async def judge_source(task: PairTask, config: JudgeConfig, callbacks: JudgeCallbacks) -> JobResult:
    """Judge a source as a resumable run, with its results and report in the run's directory.

    All rows are read once before the engine is loaded, so that a bad one is named before any time is spent.

    Raises:
        DataError: The source or one of its rows cannot be read.
        ConfigError: The configuration does not fit the engine.
        ModelNotFoundError: The engine finds no such model.
        RunError: The run's directory is in use, or is another run's.
        EngineError: The engine is gone; what is done is kept.
    """
    source = task.open()
    callbacks.say(source.shape.describe())
    total = _count(source, task, callbacks)
    loaded = open_model(config.model, config.engine, concurrency=config.concurrency)
    engine, entry = loaded.engine, loaded.entry
    try:
        plan = plan_judging(config, engine, model_template=loaded.template)
        if entry is not None and entry.exact_template and config.template is None:
            callbacks.say(
                f"{entry.name} was trained with the prompt on its {entry.exact_template}; for its published results, "
                f"copy that text to a file and pass --template FILE"
            )
        identity = job_identity(source, engine, plan) | {"skip_invalid": task.skip_invalid}
        with RunDirectory(task.run_path("judge", identity), identity) as run:
            job = JudgingJob(source, engine, plan, run, callbacks, limit=task.limit, total_pairs=total)
            result = await job.run()
            facts = {"model": config.model, "data": task.called, **identity}
            report = judging_report(f"{config.model} on {task.title}", facts, result)
            write_judge_report(report, run.path / "report.html")
    finally:
        await engine.aclose()
    return result


def _count(source: PairSource, task: PairTask, callbacks: JudgeCallbacks) -> int | None:
    if task.read_once:  # a second pass would fetch everything twice
        return task.limit
    total = sum(1 for _ in islice(source, task.limit))
    if source.skipped.count:
        callbacks.say(f"{source.skipped.count} rows skipped: {'; '.join(source.skipped.messages)}")
    return total
