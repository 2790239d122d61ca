"""``rmr1 eval``: a judge on public benchmarks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from rmr1.benchmarks import (
    Axes,
    EvalResult,
    EvalTask,
    Rates,
    SweepResult,
    evaluate,
    find_benchmarks,
    plan_evaluation,
    sweep,
    write_evaluation_report,
)
from rmr1.cli.evaluating import EvalOutput, conclude, print_plan
from rmr1.cli.outcome import Bounds
from rmr1.cli.report import checked_protocol
from rmr1.config import JudgeConfig, load_config, parse_prices
from rmr1.data import parse_columns
from rmr1.report.progress import EvalProgress


def evaluate_benchmarks(
    bench: Annotated[str, typer.Option(help="Benchmarks, as rewardbench,rm-bench,rmb; custom for your own pairs.")],
    data: Annotated[Path | None, typer.Option(help="Folder that holds them; the hub where not given.")] = None,
    model: Annotated[str | None, typer.Option(help="ENGINE/MODEL, a path, or a name from 'rmr1 pull --list'.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.")] = None,
    protocol: Annotated[str, typer.Option(help="official, rm-r1 or strict: what is shown; all are kept.")] = "official",
    template: Annotated[
        str | None, typer.Option(help="Prompt template: a name or a file; several make a sweep.")
    ] = None,
    columns: Annotated[str | None, typer.Option(help="FIELD=COLUMN,... of your own pairs.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Judge N prompts of each, all subsets in turn.")] = None,
    orders: Annotated[str | None, typer.Option(help="both, given, swapped or random.")] = None,
    votes: Annotated[str | None, typer.Option(help="Completions of each order; 1,3,9 makes a sweep.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 for one vote and 1.0 for several by default.")] = None,
    max_tokens: Annotated[
        str | None, typer.Option(help="Longest completion, in tokens; 512,2048 makes a sweep.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of orders and sampling.")] = None,
    constrain: Annotated[bool | None, typer.Option("--constrain", help="Force the format with a grammar.")] = None,
    fence: Annotated[bool | None, typer.Option("--fence/--no-fence", help="Disarm prompt marks in responses.")] = None,
    rule: Annotated[str | None, typer.Option(help="Rule that reads the verdict.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Requests under way at a server.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with any of these settings.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, such as engine.slots=2.")] = None,
    run: Annotated[Path | None, typer.Option(help="Directory of the run; the same one resumes it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked, and stop.")] = False,
    prices: Annotated[str | None, typer.Option(help="PROMPT,COMPLETION per million tokens, for the plan.")] = None,
    tokens_per_second: Annotated[
        float | None, typer.Option(min=0.001, help="Written tokens a second in all, for the plan.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="results.json, sweep.json or the plan on stdout.")] = False,
    fail_under: Annotated[float | None, typer.Option(min=0, max=1, help="Exit with 3 below this score.")] = None,
    max_invalid: Annotated[float | None, typer.Option(min=0, max=1, help="Exit with 4 above this share.")] = None,
) -> None:
    """Evaluate a judge on benchmarks: one resumable run, every protocol that its completions allow; lists make a sweep."""
    axes = Axes.parse(votes=votes, max_tokens=max_tokens, template=template)
    flags: dict[str, Any] = {"model": model, "engine.base_url": base_url, "template": template, "orders": orders}
    flags |= {"votes": votes, "temperature": temperature, "max_tokens": max_tokens, "seed": seed, "rule": rule}
    flags |= {"constrain": constrain, "fence": fence, "concurrency": concurrency} | axes.flags()
    loaded = load_config(JudgeConfig, file=config, settings=settings or (), flags=flags)
    output = EvalOutput(checked_protocol(protocol), as_json, Bounds(fail_under, max_invalid))
    rates = Rates(parse_prices(prices) if prices else None, tokens_per_second)
    task = EvalTask(find_benchmarks(bench), data, parse_columns(columns) if columns else None, limit, run, rates)
    result: EvalResult | SweepResult
    with EvalProgress() as progress:
        if dry_run:
            plans = plan_evaluation(task.load(progress), list(axes.configs(loaded)), limit, rates)
        elif axes:
            result = asyncio.run(sweep(task, axes, loaded, progress, output.protocol))
        else:
            result = asyncio.run(evaluate(task, loaded, progress))
            progress.say("writing the report")
            write_evaluation_report(result.run, result.run / "report.html", output.protocol)
    if dry_run:
        print_plan(plans, rates, output)
    else:
        conclude(result, output)
