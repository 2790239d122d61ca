"""Evaluating a judge: one run directory, with a judging run for each benchmark inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, get_args

from rmr1.arguments import expect_count, expect_events, expect_texts, expect_word, optional_path
from rmr1.benchmarks.benchmark import Benchmark, entry_of
from rmr1.benchmarks.benchmark import Protocol as BenchmarkProtocol
from rmr1.benchmarks.eval_runs import DATA, PAIRS, RESULTS, SPENDING, EvalRun, known_benchmarks, read_run
from rmr1.benchmarks.loading import Loaded, load
from rmr1.benchmarks.planning import Rates, plan_evaluation
from rmr1.benchmarks.report import report_of
from rmr1.benchmarks.suite.registry import chosen_benchmarks
from rmr1.config import JudgeConfig, resolve_config
from rmr1.engines import Engine, LoadedModel, open_model
from rmr1.errors import ConfigError
from rmr1.judging import (
    SPENT,
    Account,
    Budget,
    JudgeCallbacks,
    JudgeRun,
    JudgeRunResult,
    JudgingPlan,
    keep_texts,
    plan_choice,
    plan_judging,
    prices_of_judge,
    run_blocking,
    spending,
    template_advice,
)
from rmr1.models import ModelPrices
from rmr1.report.evaluation import plan_line, write_eval_report
from rmr1.results import EvalResults, plain
from rmr1.runs import NullCallbacks, RunDirectory, default_run_name

REPORT = "report.html"


class EvalCallbacks(JudgeCallbacks, Protocol):
    """Events of an evaluation, and those of judging each of its benchmarks."""

    def benchmark(self, name: str, number: int, of: int) -> None:
        """The judging of a benchmark begins, the first one being number 1."""


@dataclass(frozen=True, slots=True)
class EvalTask:
    """What to evaluate on, and where to keep it.

    Args:
        benchmarks: Which.
        data: The folder that holds them; the hub where None.
        columns: Our field names with the columns that hold them, for own pairs.
        limit: Judge this many items (prompts) of each benchmark.
        run: The run's directory; one that belongs to exactly this task where not given.
        rates: Prices and throughput for the plan.
        protocol: What the report shows; ``results.json`` has all.
    """

    benchmarks: tuple[Benchmark, ...]
    data: Path | None = None
    columns: Mapping[str, str] | None = None
    limit: int | None = None
    run: Path | None = None
    rates: Rates = field(default_factory=Rates)
    protocol: BenchmarkProtocol = "official"

    def load(self, callbacks: JudgeCallbacks) -> list[Loaded]:
        """Read all benchmarks, and say of each what it holds and what it lacks.

        Raises:
            DataError: One of them is not there, or cannot be read.
            ConfigError: One of them is not on the hub, and no folder is given.
            DownloadError: The hub cannot be reached.
        """
        found = [load(benchmark, self.data, self.columns) for benchmark in self.benchmarks]
        for loaded in found:
            callbacks.say(
                f"{loaded.benchmark.title}: {sum(loaded.items.values())} items, {len(loaded.pairs)} comparisons"
            )
            for problem in loaded.problems:
                callbacks.say(f"{loaded.benchmark.title}: not the whole benchmark: {problem}")
        return found

    def say_plan(self, found: Sequence[Loaded], configs: Sequence[JudgeConfig], callbacks: JudgeCallbacks) -> None:
        """Say in a line what will be judged.

        Raises:
            TemplateError: A template does not exist.
            ConfigError: The model argument names no engine.
        """
        callbacks.say(plan_line(plan_evaluation(found, configs, self.limit, self.rates), self.rates.words()))

    def directory(self, verb: str, found: Sequence[Loaded], identity: Mapping[str, object]) -> Path:
        """The run's directory; the same job always takes the same one, and no other job does."""
        subject = "-".join(loaded.benchmark.name for loaded in found)
        data = {loaded.benchmark.name: loaded.fingerprint for loaded in found}
        return self.run or Path("runs") / default_run_name(verb, subject, {**identity, **data})


@dataclass(frozen=True, slots=True)
class EvalRunResult:
    """What an evaluation leaves behind.

    Args:
        run: Its directory.
        results: What it concludes.
        engine_errors: Completions that the engine failed on.
        out_of_budget: Whether a request was not made because the budget did not cover it.
    """

    run: Path
    results: EvalResults
    engine_errors: int
    out_of_budget: bool = False


def evaluate(
    model: str | Engine,
    benchmarks: str | Benchmark | Sequence[str | Benchmark],
    *,
    data: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    limit: int | None = None,
    run: str | Path | None = None,
    protocol: BenchmarkProtocol = "official",
    config: JudgeConfig | None = None,
    callbacks: EvalCallbacks | None = None,
    **settings: Any,
) -> EvalRunResult:
    """Evaluate a judge on benchmarks: judge what is not judged yet, score it, and write ``results.json`` and ``report.html``.

    ``evaluate("openai/gpt-4o", "rm-bench", data="benchmarks", votes=3).results`` has the figures of every protocol.

    Args:
        model: ``ENGINE/MODEL``, a path, a catalogue name, or an engine that is loaded; such an engine stays open.
        benchmarks: Names as in ``--bench``, or benchmarks of your own.
        data: The folder that holds them; the hub where not given.
        columns: Our field names with the columns that hold them, for own pairs.
        limit: Judge this many items (prompts) of each benchmark.
        run: The run's directory; the same one resumes it. Where not given, ``runs/eval-...``, which belongs to exactly this
            evaluation.
        protocol: What the report shows.
        config: How to judge, but for its model; the defaults if neither it nor ``settings`` are given.
        callbacks: Receive progress; the default reports nothing.
        settings: Instead of ``config``, any field of ``JudgeConfig``; those of the engine as ``engine={"slots": 2}``.

    Raises:
        DataError: Data are missing or cannot be read.
        ConfigError: A setting or a name is wrong, or the configuration does not fit the engine.
        ModelNotFoundError: The engine finds no such model.
        RunError: The run's directory is in use, or is another run's.
        EngineError: The engine is gone; what is done is kept.
    """
    expect_texts("columns", columns)
    expect_count("limit", limit)
    expect_word("protocol", protocol, get_args(BenchmarkProtocol))
    expect_events(callbacks, EvalCallbacks)
    task = EvalTask(
        benchmarks=chosen_benchmarks(benchmarks),
        data=optional_path("data", data),
        columns=columns,
        limit=limit,
        run=optional_path("run", run),
        protocol=protocol,
    )
    config = resolve_config(JudgeConfig, config, settings)
    engine = None if isinstance(model, str) else open_model(model).engine
    if isinstance(model, str):
        config = config.model_copy(update={"model": model})
    return run_blocking(evaluate_task(task, config, callbacks or NullCallbacks(), engine=engine))


async def evaluate_task(
    task: EvalTask, config: JudgeConfig, callbacks: EvalCallbacks, *, engine: Engine | None = None
) -> EvalRunResult:
    """Judge every benchmark of a task that is not judged yet, score all that the run directory holds, and write the report.

    Each benchmark is a judging run in a directory of its own, with its journal; the same call resumes it. ``results.json``
    depends on the completions alone, not on interruptions.

    Args:
        task: What to evaluate on.
        config: How to judge.
        callbacks: Receive progress.
        engine: A loaded engine in place of the one that ``config`` names; it stays open.

    Raises:
        RMR1Error: As ``evaluate``.
    """
    found = task.load(callbacks)
    task.say_plan(found, [config], callbacks)
    judge = open_model(engine or config.model, config.engine, concurrency=config.concurrency)
    if engine is not None:
        config = config.model_copy(update={"model": engine.name})
    try:
        run, result = await judge_and_score(found, task, config, judge, callbacks)
    finally:
        if engine is None:
            await judge.engine.aclose()
    callbacks.say("writing the report")
    write_eval_report(report_of(run, result.results, task.protocol), result.run / REPORT)
    return result


async def judge_and_score(
    found: Sequence[Loaded],
    task: EvalTask,
    config: JudgeConfig,
    judge: LoadedModel,
    callbacks: EvalCallbacks,
    budget: Budget | None = None,
) -> tuple[EvalRun, EvalRunResult]:
    """As ``evaluate_task``, with benchmarks and a model that are loaded; the model stays open, and no report is written.

    ``budget`` is for several evaluations that share one.

    Raises:
        RMR1Error: As ``evaluate``.
    """
    engine = judge.engine
    plan = plan_judging(config, engine, model_template=judge.template)
    for remark in plan.remarks:
        callbacks.say(remark)
    for sentence in template_advice(judge, config):
        callbacks.say(sentence)
    identity = eval_identity(engine, plan)
    path = task.directory("eval", found, identity)
    prices = prices_of_judge(config, engine.name)
    with RunDirectory(path, identity) as run, run.ledger(SPENT) as ledger:
        account = Account(ledger)
        if budget is None:
            budget = Budget(config.max_total_tokens, config.max_cost)
            budget.spend(account.total, None if prices is None else prices.prices)
        known_benchmarks(path, task.benchmarks)  # what cannot be scored afterwards is said before anything is judged
        runs = []
        for number, loaded in enumerate(found, 1):
            callbacks.benchmark(loaded.benchmark.title, number, len(found))
            runs.append(await _judge(loaded, task.limit, engine, plan, run, callbacks, budget, prices, account))
        spent = spending(budget, prices)
        if spent is not None:
            run.write_json(SPENDING, plain(spent))
        judged = read_run(path, benchmarks=task.benchmarks)
        results = judged.score()
        run.write_json(RESULTS, results.to_json())
    errors = sum(one.results.unanswered for one in runs)
    stopped = any(one.out_of_budget for one in runs)
    return judged, EvalRunResult(path, results, errors, stopped)


def eval_identity(engine: Engine, plan: JudgingPlan) -> dict[str, object]:
    """What makes two evaluations the same. Which benchmarks is not part of it: they may be added to a run."""
    return {"job": "eval", "engine": engine.name, **engine.identity(), **plan.identity()}


async def _judge(
    loaded: Loaded,
    limit: int | None,
    engine: Engine,
    plan: JudgingPlan,
    run: RunDirectory,
    callbacks: JudgeCallbacks,
    budget: Budget,
    prices: ModelPrices | None,
    account: Account,
) -> JudgeRunResult:
    pairs = loaded.limited(limit)
    if loaded.benchmark.observe_scores is not None and not plan.scores_one:
        raise ConfigError(
            f"--bench {loaded.benchmark.name}: it asks for a score of each response by itself; take a scalar reward model "
            f"(--model scalar/MODEL) or --template pointwise"
        )
    if loaded.benchmark.choice:
        plan = plan_choice(plan)
    identity = {
        **run.identity,
        **plan.identity(),
        "benchmark": loaded.benchmark.name,
        "data_sha256": loaded.fingerprint,
    }
    with RunDirectory(run.path / loaded.benchmark.name, identity) as inner:
        with inner.rewrite(PAIRS, sealed=True) as add:
            for pair in islice(loaded.pairs, pairs):
                add(entry_of(pair).to_record())
        inner.write_json(DATA, plain(loaded.data))
        keep_texts(inner.path, islice(loaded.pairs, pairs))
        judging = JudgeRun(
            engine,
            plan,
            inner,
            callbacks,
            limit=pairs,
            total_pairs=pairs,
            budget=budget,
            prices=prices,
            account=account,
            name=loaded.benchmark.name,
        )
        return await judging.conclude(loaded.pairs)
