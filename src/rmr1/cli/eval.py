"""``rmr1 eval``: a judge on public benchmarks."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from rmr1.benchmarks import (
    JUDGES,
    JUDGES_PAGE,
    PAGE,
    REPORT,
    RESULTS,
    SWEEP,
    Axes,
    EvalRunResult,
    EvalTask,
    JudgesRunResult,
    Protocol,
    Rates,
    SweepRunResult,
    evaluate_judges,
    evaluate_task,
    find_benchmarks,
    fitting,
    parse_judges,
    plan_evaluation,
    plan_prices,
    sweep,
)
from rmr1.cli.judge import Columns, FailUnder, MaxInvalid, RunDirectoryOption
from rmr1.cli.options import DATA, OUTPUT, Layers, default_text, takes_config
from rmr1.cli.report import ProtocolOption, checked_protocol
from rmr1.cli.streams import Bounds, RunOutcome, end_with, tell, write_json
from rmr1.config import JudgeConfig, list_keys, parse_prices
from rmr1.data import parse_columns
from rmr1.errors import ConfigError
from rmr1.report.comparison import comparison_tables
from rmr1.report.console import trouble_rows
from rmr1.report.evaluation import plan_table, result_tables
from rmr1.report.progress import EvalProgress
from rmr1.report.sweep import place_text, sweep_tables
from rmr1.report.tables import print_tables
from rmr1.results import BenchmarkPlan, BenchmarkResults, Figure, plain

AnyResult: TypeAlias = EvalRunResult | SweepRunResult | JudgesRunResult
_FILES: Mapping[type[object], tuple[str, str]] = {
    EvalRunResult: (RESULTS, REPORT),
    SweepRunResult: (SWEEP, PAGE),
    JudgesRunResult: (JUDGES, JUDGES_PAGE),
}
PLAN, SWEEP_PANEL = "Plan", "Sweep"
_DEFAULTS = {key.name: default_text(key) for key in list_keys(JudgeConfig)}


@takes_config(JudgeConfig, without=("votes", "max_tokens", "template"))
def evaluate_benchmarks(
    layers: Layers[JudgeConfig],
    bench: Annotated[
        str,
        typer.Option(
            help="Benchmarks, such as rewardbench,rm-bench,rmb; custom for your own pairs.",
            rich_help_panel=DATA,
            metavar="NAME,...",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder that holds the benchmarks; the hub if not given.", rich_help_panel=DATA, metavar="PATH"
        ),
    ] = None,
    columns: Columns = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="Judge N prompts per benchmark, from all subsets in turn.", rich_help_panel=DATA, metavar="N"
        ),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            help="Judges to set side by side, as MODEL or MODEL@TEMPLATE, or a YAML file of judges.",
            rich_help_panel="Model",
            metavar="MODEL,...",
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            help="Prompt template: a name or a file; several make a sweep.",
            rich_help_panel=SWEEP_PANEL,
            metavar="NAME,...",
        ),
    ] = None,
    votes: Annotated[
        str | None,
        typer.Option(
            help=f"Completions per order; 1,3,9 makes a sweep. [default: {_DEFAULTS['votes']}]",
            rich_help_panel=SWEEP_PANEL,
            metavar="N,...",
        ),
    ] = None,
    max_tokens: Annotated[
        str | None,
        typer.Option(
            help=f"Longest completion, in tokens; 512,2048 makes a sweep. [default: {_DEFAULTS['max_tokens']}]",
            rich_help_panel=SWEEP_PANEL,
            metavar="N,...",
        ),
    ] = None,
    run: RunDirectoryOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and stop.", rich_help_panel=PLAN)] = False,
    prices: Annotated[
        str | None,
        typer.Option(help="Prices per million tokens, in short.", rich_help_panel=PLAN, metavar="PROMPT,COMPLETION"),
    ] = None,
    tokens_per_second: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="Completion tokens per second in all, for the plan.", rich_help_panel=PLAN, metavar="X"
        ),
    ] = None,
    protocol: ProtocolOption = "official",
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print results.json, sweep.json, judges.json or the plan.", rich_help_panel=OUTPUT),
    ] = False,
    fail_under: FailUnder = None,
    max_invalid: MaxInvalid = None,
) -> None:
    """Evaluate a judge on benchmarks, by every protocol that applies; lists make a sweep. The same command resumes.

    With --models, several judges are evaluated and compared in one run.
    """
    axes = Axes.parse(votes=votes, max_tokens=max_tokens, template=template)
    flags: dict[str, object] = {"votes": votes, "max_tokens": max_tokens, "template": template}
    if prices is not None:
        flags |= {f"prices.{name}": value for name, value in parse_prices(prices)}
    if axes and models:
        raise ConfigError("--models and a list of values (--votes, --max-tokens, --template): give one or the other")
    judges = {} if models is None else judge_configs(models, layers, flags)
    config = next(iter(judges.values())) if judges else layers.load({**flags, **axes.flags()})
    output = EvalOutput(checked_protocol(protocol), as_json, Bounds(fail_under, max_invalid))
    rates = Rates(plan_prices(config), tokens_per_second)
    mapping = parse_columns(columns) if columns else None
    task = EvalTask(find_benchmarks(bench), data, mapping, limit, run, rates, output.protocol)
    result: AnyResult
    with EvalProgress() as progress:
        if dry_run:
            configs = [fitting(one, progress.say) for one in judges.values()] or list(axes.configs(config))
            plans = plan_evaluation(task.load(progress), configs, limit, rates)
        elif judges:
            result = asyncio.run(evaluate_judges(task, judges, progress))
        elif axes:
            result = asyncio.run(sweep(task, axes, config, progress))
        else:
            result = asyncio.run(evaluate_task(task, config, progress))
    if dry_run:
        _print_plan(plans, rates, output)
    else:
        _conclude(result, output)


def judge_configs(models: str, layers: Layers[JudgeConfig], flags: Mapping[str, object]) -> dict[str, JudgeConfig]:
    """The configuration of each judge of ``--models``: its own settings over those that all share.

    Raises:
        ConfigError: The option is not understood, or the settings of a judge are wrong; the message names the judge.
    """
    if layers.flags.get("model") is not None:
        raise ConfigError("--model and --models: give one or the other")
    found = {}
    for entry in parse_judges(models):
        try:
            found[entry.name] = layers.load({**flags, **entry.settings})
        except ConfigError as error:
            raise ConfigError(f"--models, judge {entry.name}: {error}") from error
    return found


@dataclass(frozen=True, slots=True)
class EvalOutput:
    """What to show, in which form, and which results are failures."""

    protocol: Protocol
    as_json: bool
    bounds: Bounds


def _print_plan(plans: Sequence[BenchmarkPlan], rates: Rates, output: EvalOutput) -> None:
    """Print a plan."""
    if output.as_json:
        write_json(plain(plans))
    else:
        print_tables(sys.stdout, iter([plan_table(plans, rates.words())]))


def _conclude(result: AnyResult, output: EvalOutput) -> None:
    """Print the results of an evaluation, a sweep or several judges, and exit with the code that they call for."""
    if output.as_json:
        write_json(result.results.to_json())
    elif isinstance(result, SweepRunResult):
        print_tables(sys.stdout, sweep_tables(result.results, output.protocol))
    elif isinstance(result, JudgesRunResult):
        print_tables(sys.stdout, comparison_tables(result.results, listed=0))
    else:
        print_tables(sys.stdout, result_tables(result.results, output.protocol))
    results, page = next(files for kind, files in _FILES.items() if isinstance(result, kind))
    evaluated = (one.results for one in _evaluations(result).values())
    for found in [result.results] if isinstance(result, SweepRunResult) else evaluated:
        for name, said in trouble_rows(found.faults, found.engine_notes):
            tell(f"{name}: {said}")
    tell(f"results: {result.run / results}\nreport: {result.run / page}")
    end_with(_outcome(result, output.protocol), output.bounds)


def _evaluations(result: AnyResult) -> Mapping[str, EvalRunResult]:
    """The evaluations of a run by the name of the judge, "" for one that is alone."""
    if isinstance(result, JudgesRunResult):
        return result.evals
    return {"": result} if isinstance(result, EvalRunResult) else {}


def _outcome(result: AnyResult, protocol: Protocol) -> RunOutcome:
    found = dict(_benchmarks(result))
    evaluations = _evaluations(result).values()
    errors = (
        result.engine_errors if isinstance(result, SweepRunResult) else sum(one.engine_errors for one in evaluations)
    )
    return RunOutcome(
        errors,
        f"faults.jsonl of each benchmark in {result.run}",
        {name: one.judged.invalid for name, one in found.items() if one.judged},
        dict(_score(name, one, protocol) for name, one in found.items()),
        sum(one.judged.unjudged_pairs for one in found.values() if one.judged),
    )


def _benchmarks(result: AnyResult) -> Iterator[tuple[str, BenchmarkResults]]:
    """Every scored benchmark; those of a sweep at each of its points, those of several judges for each."""
    for judge, one in _evaluations(result).items():
        for name, benchmark in one.results.benchmarks.items():
            yield (f"{judge}: {name}" if judge else name), benchmark
    if not isinstance(result, SweepRunResult):
        return
    for point in result.results.points:
        for name, benchmark in point.benchmarks.items():
            yield f"{place_text(result.results, point)}: {name}", benchmark


def _score(name: str, benchmark: BenchmarkResults, protocol: Protocol) -> tuple[str, Figure | None]:
    """A benchmark's score under a protocol; another protocol is no substitute where a bound is set."""
    scores = benchmark.protocols.get(protocol)
    if scores is None or scores.headline is None:
        reason = benchmark.not_computed.get(protocol, "nothing is scored")
        return f"{name}, without a score by protocol {protocol} ({reason}),", None
    figure, value = scores.headline
    return f"{name}: {figure}, protocol {protocol},", value
