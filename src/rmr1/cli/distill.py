"""``rmr1 distill``: verified reasoning traces from a teacher."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rmr1.cli.stdin import spooled
from rmr1.config import DistillConfig, load_config
from rmr1.data import parse_columns
from rmr1.distillation import DistillResult, distill_source
from rmr1.judging import PairTask
from rmr1.report.console import distill_rows, print_summary
from rmr1.report.progress import JudgingProgress
from rmr1.runs import encode_line


def distill(
    source: Annotated[
        str, typer.Argument(help="A JSONL, JSON, CSV or Parquet file (also .gz), hf:OWNER/NAME, or - for stdin.")
    ],
    teacher: Annotated[str | None, typer.Option(help="ENGINE/MODEL that writes the traces.")] = None,
    repairer: Annotated[str | None, typer.Option(help="ENGINE/MODEL that corrects failed ones.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of the teacher's OpenAI-compatible server.")] = None,
    template: Annotated[str | None, typer.Option(help="The student's prompt template: a name or a file.")] = None,
    columns: Annotated[str | None, typer.Option(help="FIELD=COLUMN,... where columns have other names.")] = None,
    skip_invalid: Annotated[bool, typer.Option(help="Leave out bad rows and pairs without a label.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Take the first N pairs.")] = None,
    orders: Annotated[str | None, typer.Option(help="random, both, given or swapped.")] = None,
    samples: Annotated[int | None, typer.Option(help="Up to N tries of the teacher, and no second pass.")] = None,
    keep: Annotated[int | None, typer.Option(help="Right traces to keep of each comparison.")] = None,
    require_format: Annotated[bool | None, typer.Option("--require-format", help="Reject broken formats.")] = None,
    keep_think: Annotated[bool | None, typer.Option("--keep-think", help="Keep think blocks in traces.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 for one sample, 1.0 for several by default.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest trace, in tokens.")] = None,
    max_total_tokens: Annotated[int | None, typer.Option(help="Stop before more tokens are spent in all.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="Stop before more money is spent; needs prices.")] = None,
    batch: Annotated[bool | None, typer.Option("--batch", help="Use the provider's batch API (openai/).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of orders and sampling.")] = None,
    constrain: Annotated[bool | None, typer.Option("--constrain", help="Force the format with a grammar.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Requests under way at a server.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with any of these settings.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, as batching.size=500.")] = None,
    run: Annotated[Path | None, typer.Option(help="Directory of the run; the same one resumes it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The results as one JSON object on stdout.")] = False,
) -> None:
    """Distil traces: a teacher judges, its verdicts are verified, a repairer corrects what failed."""
    flags: dict[str, Any] = {
        "teacher_engine.base_url": base_url,
        "teacher": teacher,
        "repairer": repairer,
        "template": template,
    }
    flags |= {"orders": orders, "samples": samples, "keep": keep, "require_format": require_format}
    flags |= {"keep_think": keep_think, "temperature": temperature, "max_tokens": max_tokens, "max_cost": max_cost}
    flags |= {"max_total_tokens": max_total_tokens, "batch": batch, "seed": seed, "constrain": constrain}
    loaded = load_config(
        DistillConfig, file=config, settings=settings or (), flags={**flags, "concurrency": concurrency}
    )
    mapping = parse_columns(columns) if columns else None
    with spooled(source) as path, JudgingProgress(doing="distilling") as progress:
        task = PairTask(path, source if path != source else None, mapping, skip_invalid, limit, run)
        result = asyncio.run(distill_source(task, loaded, progress))
    if as_json:
        sys.stdout.buffer.write(encode_line(result.results))
    else:
        print_summary(sys.stdout, distill_rows(result.results), {})
    _tell(result)


def _tell(result: DistillResult) -> None:
    typer.echo(f"traces: {result.traces}\nreport: {result.run / 'report.html'}", err=True)
    if result.out_of_budget:
        typer.echo("the budget is used up; the same command with a larger one goes on", err=True)
    if result.results["faulted"]:
        typer.echo(
            f"rmr1: the engine failed on {result.results['faulted']} comparisons, see pass1-faults.jsonl and "
            f"pass2-faults.jsonl in {result.run}; run the same command to retry",
            err=True,
        )
        raise typer.Exit(1)
