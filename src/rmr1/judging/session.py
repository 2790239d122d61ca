"""A whole judging run from a path and a configuration to ``report.html``: what the command line calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rmr1.config import JudgeConfig
from rmr1.data import PairSource, open_source
from rmr1.engines import catalogue_entry, create_engine, model_template
from rmr1.judging.job import JobResult, JudgingJob, Listener, default_run_path, job_identity
from rmr1.judging.plan import plan_judging
from rmr1.judging.report import judging_report
from rmr1.reporting.html import write_judge_report
from rmr1.runs import RunDirectory


@dataclass(frozen=True, slots=True)
class JudgeTask:
    """What to judge and where to keep it.

    Args:
        path: A file, a directory or ``hf:`` name, see ``rmr1.data.open_source``.
        name: How messages and the run call it; the path where not given.
        columns: Our field names with the columns that hold them.
        skip_invalid: Leave out rows that cannot be read.
        limit: Judge the first so many pairs.
        run: The run's directory; one that belongs to exactly this task where not given.
    """

    path: str
    name: str | None = None
    columns: Mapping[str, str] | None = None
    skip_invalid: bool = False
    limit: int | None = None
    run: Path | None = None


async def judge_source(task: JudgeTask, config: JudgeConfig, listener: Listener) -> JobResult:
    """Judge a source as a resumable run, with its results and report in the run's directory.

    All rows are read once before the engine is loaded, so that a bad one is named before any time is spent.

    Raises:
        DataError: The source or one of its rows cannot be read.
        ConfigError: The configuration does not fit the engine.
        ModelNotFoundError: The engine finds no such model.
        RunError: The run's directory is in use, or is another run's.
        EngineError: The engine is gone; what is done is kept.
    """
    source = open_source(task.path, columns=task.columns, skip_invalid=task.skip_invalid, name=task.name)
    listener.say(source.shape.describe())
    total = _count(source, task, listener)
    entry = catalogue_entry(config.model)
    engine = create_engine(config.model, config.engine, concurrency=config.concurrency)
    try:
        plan = plan_judging(config, engine, model_template=model_template(config.model))
        if entry is not None and entry.exact_template and config.template is None:
            listener.say(
                f"{entry.name} was trained with the prompt on its {entry.exact_template}; for its published results, "
                f"copy that text to a file and pass --template FILE"
            )
        identity = job_identity(source, engine, plan) | {"skip_invalid": task.skip_invalid}
        name = task.name or task.path
        with RunDirectory(task.run or default_run_path(Path(name).name.partition(".")[0], identity), identity) as run:
            job = JudgingJob(source, engine, plan, run, listener, limit=task.limit, total_pairs=total)
            result = await job.run()
            facts = {"model": config.model, "data": name, **identity}
            write_judge_report(
                judging_report(f"{config.model} on {Path(name).name}", facts, result), run.path / "report.html"
            )
    finally:
        await engine.aclose()
    return result


def _count(source: PairSource, task: JudgeTask, listener: Listener) -> int | None:
    if task.path.startswith("hf:"):  # a second pass would fetch everything twice
        return task.limit
    total = sum(1 for _ in islice(source, task.limit))
    if source.skipped.count:
        listener.say(f"{source.skipped.count} rows skipped: {'; '.join(source.skipped.messages)}")
    return total
