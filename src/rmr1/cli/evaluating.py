"""What ``rmr1 eval`` prints, and with which code it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from rmr1.benchmarks import PAGE, RESULTS, SWEEP, EvalResult, Protocol, Rates, SweepResult
from rmr1.cli.outcome import Bounds, Outcome, exit_code
from rmr1.report.evaluation import plan_table, result_tables
from rmr1.report.sweep import place_text, sweep_tables
from rmr1.report.tables import print_tables


@dataclass(frozen=True, slots=True)
class EvalOutput:
    """What to show, in which form, and which results are failures."""

    protocol: Protocol
    as_json: bool
    bounds: Bounds


def print_plan(plans: Sequence[Mapping[str, Any]], rates: Rates, output: EvalOutput) -> None:
    """Print a plan."""
    if output.as_json:
        _print_json(plans)
    else:
        print_tables(sys.stdout, iter([plan_table(plans, rates.words())]))


def conclude(result: EvalResult | SweepResult, output: EvalOutput) -> None:
    """Print the results of an evaluation or a sweep, and exit with the code that they call for."""
    is_sweep = isinstance(result, SweepResult)
    tables = sweep_tables if is_sweep else result_tables
    if output.as_json:
        _print_json(result.results)
    else:
        print_tables(sys.stdout, tables(result.results, output.protocol))
    results, page = (SWEEP, PAGE) if is_sweep else (RESULTS, "report.html")
    typer.echo(f"results: {result.run / results}\nreport: {result.run / page}", err=True)
    code = exit_code(_outcome(result, output.protocol), output.bounds)
    if code:
        raise typer.Exit(code)


def _outcome(result: EvalResult | SweepResult, protocol: Protocol) -> Outcome:
    found = dict(_benchmarks(result))
    return Outcome(
        result.engine_errors,
        f"faults.jsonl of each benchmark in {result.run}",
        {name: benchmark["judged"]["invalid"]["share"] for name, benchmark in found.items()},
        dict(_score(name, benchmark, protocol) for name, benchmark in found.items()),
    )


def _benchmarks(result: EvalResult | SweepResult) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every scored benchmark; those of a sweep at each of its points."""
    if isinstance(result, EvalResult):
        yield from result.results["benchmarks"].items()
        return
    for point in result.results["points"]:
        for name, benchmark in point["benchmarks"].items():
            yield f"{place_text(result.results, point)}: {name}", benchmark


def _score(name: str, benchmark: Mapping[str, Any], protocol: Protocol) -> tuple[str, float | None]:
    """A benchmark's score under a protocol; another protocol is no substitute where a bound is set."""
    metrics = benchmark["protocols"].get(protocol, {"metrics": {}})["metrics"]
    if not metrics:
        reason = benchmark["not_computed"].get(protocol, "nothing is scored")
        return f"{name}, without a score by protocol {protocol} ({reason}),", None
    figure, estimate = next(iter(metrics.items()))
    return f"{name}: {figure}, protocol {protocol},", estimate["value"]


def _print_json(content: object) -> None:
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
