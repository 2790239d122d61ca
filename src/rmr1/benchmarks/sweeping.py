"""Sweeps: a judge evaluated with several numbers of votes, token limits and templates, as one run.

Inside the sweep's directory is an evaluation like any other for each template with each limit, made with the most votes. The
point with fewer votes counts the first ones of each order, so no token is written twice. So all points of a sweep over votes are
sampled at one temperature, also the one with a single vote; the paper's figures of single completions are greedy.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rmr1.benchmarks.benchmark import Benchmark
from rmr1.benchmarks.eval_runs import (
    DATA,
    SPENDING,
    check_votes,
    judge_settings,
    read_identity,
    read_run,
    read_spending,
)
from rmr1.benchmarks.running import EvalCallbacks, EvalTask, eval_identity, judge_and_score
from rmr1.config import JudgeConfig
from rmr1.engines import Engine, LoadedModel, open_model
from rmr1.errors import ConfigError, RunError
from rmr1.judging import Budget, paid_before, plan_judging, prices_of_judge, spending
from rmr1.report.sweep import write_sweep_page
from rmr1.results import BenchmarkResults, SweepPoint, SweepResults, plain
from rmr1.runs import RunDirectory

SWEEP = "sweep.json"
PAGE = "sweep.html"
_PLACE = ("template", "template_sha256", "max_tokens")
"""What tells apart the judging runs of a sweep."""
_SHOWN = ("engine", "orders", "temperature", "rule", "seed", "stop", "stop_error")


@dataclass(frozen=True, slots=True)
class Axes:
    """The values that a sweep takes; none for a setting that stays as it is.

    Args:
        votes: Completions of each order, rising. They do not take runs of their own: fewer votes are the first ones of more.
        max_tokens: Longest completion, rising.
        template: Prompt templates, as they were given.
    """

    votes: tuple[int, ...] = ()
    max_tokens: tuple[int, ...] = ()
    template: tuple[str, ...] = ()

    @classmethod
    def parse(cls, *, votes: str | None, max_tokens: str | None, template: str | None) -> Axes:
        """Axes of the texts of ``--votes``, ``--max-tokens`` and ``--template``; one with a single value is none.

        Raises:
            ConfigError: A value is empty, no number, or there twice.
        """
        return cls(
            tuple(sorted(_numbers("votes", votes))),
            tuple(sorted(_numbers("max-tokens", max_tokens))),
            # a file may have a comma in its name
            () if template and Path(template).is_file() else _values("template", template),
        )

    def __bool__(self) -> bool:
        return bool(self.votes or self.max_tokens or self.template)

    def flags(self) -> dict[str, int | str]:
        """One value of each axis, for a configuration to be checked with: the largest number, the first template."""
        numbers = {name: found[-1] for name in ("votes", "max_tokens") if (found := getattr(self, name))}
        return {**numbers, **({"template": self.template[0]} if self.template else {})}

    def configs(self, config: JudgeConfig) -> Iterator[JudgeConfig]:
        """The configuration of each judging run: every template with every limit, each with the most votes.

        Args:
            config: One that was made with ``flags``.
        """
        for template in self.template or (config.template,):
            for max_tokens in self.max_tokens or (config.max_tokens,):
                yield config.model_copy(update={"template": template, "max_tokens": max_tokens})

    def name(self, identity: Mapping[str, object]) -> str:
        """The directory of the judging run that has this identity: its place on the axes."""
        stem = re.sub(r"[^\w.]+", "-", Path(str(identity["template"])).stem).strip("-.")
        parts = [stem or "template"] if self.template else []
        parts += [f"{identity['max_tokens']}-tokens"] if self.max_tokens else []
        parts += [f"{identity['votes']}-votes"] if self.votes else []
        return "-".join(parts)


def _numbers(flag: str, text: str | None) -> tuple[int, ...]:
    values = _values(flag, text)
    if not all(re.fullmatch("[0-9]+", value) and int(value) for value in values):
        raise ConfigError(f"--{flag} {text}: expected whole numbers from 1 on, such as --{flag} 1,4,16")
    numbers = tuple(map(int, values))
    _refuse_repeated(flag, text, numbers)
    return numbers


def _values(flag: str, text: str | None) -> tuple[str, ...]:
    if text is None or "," not in text:
        return ()
    values = tuple(value.strip() for value in text.split(","))
    if not all(values):
        raise ConfigError(f"--{flag} {text}: a value is empty; a sweep takes values with commas between them")
    _refuse_repeated(flag, text, values)
    return values


def _refuse_repeated(flag: str, text: str | None, values: tuple[Any, ...]) -> None:
    value, times = Counter(values).most_common(1)[0] if values else (None, 1)
    if times > 1:
        raise ConfigError(f"--{flag} {text}: {value} is there {times} times")


@dataclass(frozen=True, slots=True)
class SweepRunResult:
    """What a sweep leaves behind: its directory, what it concludes, completions that the engine failed on, and whether the budget
    did not cover a request.
    """

    run: Path
    results: SweepResults
    engine_errors: int
    out_of_budget: bool = False


async def sweep(
    task: EvalTask, axes: Axes, config: JudgeConfig, callbacks: EvalCallbacks, *, engine: Engine | None = None
) -> SweepRunResult:
    """Do the judging runs of a sweep that are not done yet, and score all points.

    Args:
        task: What to evaluate on.
        axes: The values to take.
        config: How to judge, made with ``axes.flags``.
        callbacks: Receive progress.
        engine: A loaded engine in place of the one that ``config`` names; it stays open.

    Raises:
        RMR1Error: As ``evaluate``; what is done is kept.
    """
    if axes.votes and config.stop == "sequential":
        raise ConfigError(
            "--stop sequential decides by what all votes would say; for a sweep over --votes take --stop early"
        )
    found = task.load(callbacks)
    configs = list(axes.configs(config))
    task.say_plan(found, configs, callbacks)
    judge = open_model(engine or config.model, config.engine, concurrency=config.concurrency)
    if engine is not None:
        configs = [one.model_copy(update={"model": engine.name}) for one in configs]
    try:
        identity, names = _identity(axes, configs, judge)
        path = task.directory("sweep", found, identity)
        with RunDirectory(path, identity) as run:
            errors, stopped = 0, False
            prices = prices_of_judge(config, judge.engine.name)
            budget = Budget(config.max_total_tokens, config.max_cost)
            for name in names:
                budget.spend(paid_before(path / name), None if prices is None else prices.prices)
            for number, (name, one) in enumerate(zip(names, configs, strict=True), 1):
                callbacks.say(f"judging run {number} of {len(names)}: {name}")
                _, result = await judge_and_score(found, replace(task, run=path / name), one, judge, callbacks, budget)
                errors += result.engine_errors
                stopped = stopped or result.out_of_budget
            spent = spending(budget, prices)
            if spent is not None:
                run.write_json(SPENDING, plain(spent))
            results = score_sweep(path, benchmarks=task.benchmarks)
            run.write_json(SWEEP, results.to_json())
            write_sweep_page(results, task.protocol, path / PAGE)
    finally:
        if engine is None:
            await judge.engine.aclose()
    return SweepRunResult(path, results, errors, stopped)


def is_sweep(path: Path) -> bool:
    """Tell whether a directory holds a sweep."""
    try:
        return read_identity(path).get("job") == "sweep"
    except RunError:
        return False


def score_sweep(
    path: str | Path, votes: Sequence[int] | None = None, benchmarks: Iterable[Benchmark] = ()
) -> SweepResults:
    """Score all points of a sweep from its journals, also of one that is under way.

    Args:
        path: Its directory.
        votes: Numbers of votes to make points of, in place of those that the sweep was made for.
        benchmarks: Benchmarks that no installed package offers.

    Raises:
        RunError: The directory is no sweep, or one of its benchmarks is not installed.
        ConfigError: There are fewer votes.
        JournalError: A journal is damaged.
    """
    path, own = Path(path), tuple(benchmarks)
    identity = read_identity(path)
    if identity.get("job") != "sweep":
        raise RunError(f"{path}: not a sweep; name the directory that rmr1 eval printed, such as runs/sweep-...")
    counted = tuple(sorted(set(votes or identity["votes"])))
    for number in counted:
        check_votes(path, number, identity)
    points = tuple(
        point for name, place in identity["runs"].items() for point in _points(path / name, place, counted, own)
    )
    values: dict[str, tuple[int | str, ...]] = {
        "template": tuple(dict.fromkeys(point.template for point in points)),
        "max_tokens": tuple(dict.fromkeys(point.max_tokens for point in points)),
        "votes": counted,
    }
    axes = {name: found for name, found in values.items() if len(found) > 1}
    return SweepResults(
        judge_settings({name: identity[name] for name in _SHOWN if name in identity}), axes, points, read_spending(path)
    )


def _identity(axes: Axes, configs: Sequence[JudgeConfig], judge: LoadedModel) -> tuple[dict[str, object], list[str]]:
    """What identifies a sweep, and the directories of its judging runs."""
    of_runs = [
        eval_identity(judge.engine, plan_judging(config, judge.engine, model_template=judge.template))
        for config in configs
    ]
    names = [axes.name(identity) for identity in of_runs]
    if len(set(names)) < len(names):
        raise ConfigError(f"--template {','.join(axes.template)}: give template files different names")
    shared = {name: value for name, value in of_runs[0].items() if name not in _PLACE}
    places = {name: {key: identity[key] for key in _PLACE} for name, identity in zip(names, of_runs, strict=True)}
    votes = axes.votes or (configs[0].votes,)
    return {**shared, "job": "sweep", "votes": list(votes), "runs": places}, names


def _points(
    run: Path, place: Mapping[str, object], votes: Sequence[int], benchmarks: Sequence[Benchmark]
) -> Iterator[SweepPoint]:
    """The points of a judging run; ``place`` is what tells it apart."""
    is_begun = any(run.glob(f"*/{DATA}"))
    found = read_run(run, benchmarks=benchmarks).benchmarks if is_begun else ()
    for number in votes:
        scored = {judged.benchmark.name: judged.first(number).score() for judged in found}
        yield SweepPoint(
            template=str(place["template"]),
            max_tokens=int(str(place["max_tokens"])),
            votes=number,
            run=run.name,
            benchmarks={name: _short(one) for name, one in scored.items()},
            written_per_pair={
                name: one.judged.tokens.completion_tokens / one.judged.pairs
                for name, one in scored.items()
                if one.judged and one.judged.pairs and not one.judged.tokens.unknown
            },
        )


def _short(scored: BenchmarkResults) -> BenchmarkResults:
    """Results without cells and audits."""
    protocols = {name: replace(scores, cells={}) for name, scores in scored.protocols.items()}
    return replace(scored, protocols=protocols, pairs=None, bias=None, length=(), calibration=None)
