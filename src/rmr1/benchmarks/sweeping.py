"""Sweeps: a judge evaluated with several numbers of votes, token limits and templates, as one run.

Inside the sweep's directory is an evaluation like any other for each template with each limit, made with the most votes. The
point with fewer votes counts the first ones of each order, so no token is written twice. So all points of a sweep over votes are
sampled at one temperature, also the one with a single vote; the paper's figures of single completions are greedy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rmr1.benchmarks.axes import Axes
from rmr1.benchmarks.benchmark import Protocol
from rmr1.benchmarks.results import JudgedBenchmark, check_votes, read_identity, read_run, score_judged
from rmr1.benchmarks.running import EvalCallbacks, EvalTask, eval_identity, evaluate_loaded
from rmr1.config import JudgeConfig
from rmr1.engines import Engine, LoadedModel, open_model
from rmr1.errors import ConfigError, RunError
from rmr1.judging import plan_judging
from rmr1.report.sweep import write_sweep_page
from rmr1.runs import RunDirectory

SWEEP = "sweep.json"
PAGE = "sweep.html"
_PLACE = ("template", "template_sha256", "max_tokens")
"""What tells apart the judging runs of a sweep."""
_SHOWN = ("engine", "orders", "temperature", "rule", "seed")
_LEFT_OUT = ("cells", "bias", "length", "calibration")


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep leaves behind: its directory, ``sweep.json``, and completions that the engine failed on."""

    run: Path
    results: Mapping[str, Any]
    engine_errors: int


async def sweep(
    task: EvalTask,
    axes: Axes,
    config: JudgeConfig,
    callbacks: EvalCallbacks,
    protocol: Protocol,
    *,
    engine: Engine | None = None,
) -> SweepResult:
    """Do the judging runs of a sweep that are not done yet, and score all points.

    Args:
        task: What to evaluate on.
        axes: The values to take.
        config: How to judge, made with ``axes.flags``.
        callbacks: Told of progress.
        protocol: What ``sweep.html`` shows; ``sweep.json`` has all.
        engine: A loaded engine in place of the one that ``config`` names; it is closed at the end, too.

    Raises:
        RMR1Error: As ``evaluate``; what is done is kept.
    """
    found = task.load(callbacks)
    configs = list(axes.configs(config))
    task.say_plan(found, configs, callbacks)
    judge = open_model(engine or config.model, config.engine, concurrency=config.concurrency)
    try:
        identity, names = _identity(axes, configs, judge)
        path = task.directory("sweep", found, identity)
        with RunDirectory(path, identity) as run:
            errors = 0
            for number, (name, one) in enumerate(zip(names, configs, strict=True), 1):
                callbacks.say(f"judging run {number} of {len(names)}: {name}")
                result = await evaluate_loaded(found, replace(task, run=path / name), one, judge, callbacks)
                errors += result.engine_errors
            results = score_sweep(path)
            run.write_json(SWEEP, results)
            write_sweep_page(results, protocol, path / PAGE)
    finally:
        await judge.engine.aclose()
    return SweepResult(path, results, errors)


def is_sweep(path: Path) -> bool:
    """Tell whether a directory holds a sweep."""
    try:
        return read_identity(path).get("job") == "sweep"
    except RunError:
        return False


def score_sweep(path: Path, votes: Sequence[int] | None = None) -> dict[str, Any]:
    """Score all points of a sweep from its journals, also of one that is under way.

    Args:
        path: Its directory.
        votes: Numbers of votes to make points of, in place of those that the sweep was made for.

    Returns:
        ``judge``: what all points share; ``axes``: the values of each setting that has several; ``points``: for each its
        ``template``, ``max_tokens`` and ``votes``, the directory ``run`` of its completions inside the sweep's, and
        ``benchmarks``: what ``results.json`` of such a run has, without cells and audits, with ``written_per_pair``, the mean
        number of tokens that all completions of a comparison took.

    Raises:
        RunError: The directory is no sweep.
        ConfigError: There are not so many votes.
        JournalError: A journal is damaged.
    """
    identity = read_identity(path)
    if identity.get("job") != "sweep":
        raise RunError(f"{path}: not a sweep; name the directory that rmr1 eval printed, such as runs/sweep-...")
    counted = sorted(set(votes or identity["votes"]))
    for number in counted:
        check_votes(path, number, max(identity["votes"]))
    places: Mapping[str, Any] = identity["runs"]
    values = {
        name: list(dict.fromkeys(place[name] for place in places.values())) for name in ("template", "max_tokens")
    }
    values["votes"] = counted
    return {
        "judge": {name: identity[name] for name in _SHOWN if name in identity},
        "axes": {name: found for name, found in values.items() if len(found) > 1},
        "points": [point for name, place in places.items() for point in _points(path / name, place, counted)],
    }


def _identity(axes: Axes, configs: Sequence[JudgeConfig], judge: LoadedModel) -> tuple[dict[str, Any], list[str]]:
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


def _points(run: Path, place: Mapping[str, Any], votes: Sequence[int]) -> Iterator[dict[str, Any]]:
    is_begun = any(run.glob("*/benchmark.json"))
    found = read_run(run)[1] if is_begun else []
    for number in votes:
        scored = {judged.benchmark.name: _point(judged.first(number)) for judged in found}
        yield {
            "template": place["template"],
            "max_tokens": place["max_tokens"],
            "votes": number,
            "run": run.name,
            "benchmarks": scored,
        }


def _point(judged: JudgedBenchmark) -> dict[str, Any]:
    scored = score_judged(judged)
    counts = scored["judged"]
    written = counts["tokens"]["completion_tokens"] / counts["pairs"] if counts["pairs"] else None
    protocols = {
        name: {key: value for key, value in block.items() if key not in _LEFT_OUT}
        for name, block in scored["protocols"].items()
    }
    kept = {name: value for name, value in scored.items() if name not in _LEFT_OUT}
    return {**kept, "protocols": protocols, "written_per_pair": written}
