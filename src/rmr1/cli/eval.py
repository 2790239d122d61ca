"""``rmr1 eval``: a judge on public benchmarks."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from rmr1.benchmarks import (
    PAGE,
    REPORT,
    RESULTS,
    SWEEP,
    Axes,
    EvalRunResult,
    EvalTask,
    Protocol,
    Rates,
    SweepRunResult,
    evaluate_task,
    find_benchmarks,
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
from rmr1.report.console import trouble_rows
from rmr1.report.evaluation import plan_table, result_tables
from rmr1.report.progress import EvalProgress
from rmr1.report.sweep import place_text, sweep_tables
from rmr1.report.tables import print_tables
from rmr1.results import BenchmarkPlan, BenchmarkResults, Figure, plain

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
        typer.Option("--json", help="Print results.json, sweep.json or the plan.", rich_help_panel=OUTPUT),
    ] = False,
    fail_under: FailUnder = None,
    max_invalid: MaxInvalid = None,
) -> None:
    """Evaluate a judge on benchmarks, by every protocol that applies; lists make a sweep. The same command resumes."""
    axes = Axes.parse(votes=votes, max_tokens=max_tokens, template=template)
    given = {} if prices is None else {f"prices.{name}": value for name, value in parse_prices(prices)}
    config = layers.load({"votes": votes, "max_tokens": max_tokens, "template": template, **axes.flags(), **given})
    output = EvalOutput(checked_protocol(protocol), as_json, Bounds(fail_under, max_invalid))
    rates = Rates(plan_prices(config), tokens_per_second)
    mapping = parse_columns(columns) if columns else None
    task = EvalTask(find_benchmarks(bench), data, mapping, limit, run, rates, output.protocol)
    result: EvalRunResult | SweepRunResult
    with EvalProgress() as progress:
        if dry_run:
            plans = plan_evaluation(task.load(progress), list(axes.configs(config)), limit, rates)
        elif axes:
            result = asyncio.run(sweep(task, axes, config, progress))
        else:
            result = asyncio.run(evaluate_task(task, config, progress))
    if dry_run:
        _print_plan(plans, rates, output)
    else:
        _conclude(result, output)


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


def _conclude(result: EvalRunResult | SweepRunResult, output: EvalOutput) -> None:
    """Print the results of an evaluation or a sweep, and exit with the code that they call for."""
    if output.as_json:
        write_json(result.results.to_json())
    elif isinstance(result, SweepRunResult):
        print_tables(sys.stdout, sweep_tables(result.results, output.protocol))
    else:
        print_tables(sys.stdout, result_tables(result.results, output.protocol))
    results, page = (SWEEP, PAGE) if isinstance(result, SweepRunResult) else (RESULTS, REPORT)
    if isinstance(result, EvalRunResult):
        for name, said in trouble_rows(result.faults, result.notes):
            tell(f"{name}: {said}")
    tell(f"results: {result.run / results}\nreport: {result.run / page}")
    end_with(_outcome(result, output.protocol), output.bounds)


def _outcome(result: EvalRunResult | SweepRunResult, protocol: Protocol) -> RunOutcome:
    found = dict(_benchmarks(result))
    return RunOutcome(
        result.engine_errors,
        f"faults.jsonl of each benchmark in {result.run}",
        {name: one.judged.invalid for name, one in found.items() if one.judged},
        dict(_score(name, one, protocol) for name, one in found.items()),
        sum(one.judged.unjudged_pairs for one in found.values() if one.judged),
    )


def _benchmarks(result: EvalRunResult | SweepRunResult) -> Iterator[tuple[str, BenchmarkResults]]:
    """Every scored benchmark; those of a sweep at each of its points."""
    if isinstance(result, EvalRunResult):
        yield from result.results.benchmarks.items()
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
