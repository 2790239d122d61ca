"""``rmr1 judge``: judge a file of pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rmr1.cli.judging import Output, run_and_print
from rmr1.cli.outcome import Bounds
from rmr1.cli.stdin import spooled
from rmr1.config import JudgeConfig, load_config
from rmr1.data import parse_columns
from rmr1.judging import PairTask


def judge(
    source: Annotated[
        str, typer.Argument(help="A JSONL, JSON, CSV or Parquet file (also .gz), hf:OWNER/NAME, or - for stdin.")
    ],
    model: Annotated[
        str | None, typer.Option(help="ENGINE/MODEL, a GGUF file, or a name from 'rmr1 pull --list'.")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.")] = None,
    template: Annotated[str | None, typer.Option(help="Prompt template: a name or a file.")] = None,
    columns: Annotated[str | None, typer.Option(help="FIELD=COLUMN,... where columns have other names.")] = None,
    skip_invalid: Annotated[bool, typer.Option(help="Leave out rows that cannot be read.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Judge the first N pairs.")] = None,
    orders: Annotated[str | None, typer.Option(help="both, given, swapped or random.")] = None,
    votes: Annotated[int | None, typer.Option(help="Completions of each order.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 for one vote and 1.0 for several by default.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest completion, in tokens.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of orders and sampling.")] = None,
    constrain: Annotated[
        bool | None, typer.Option("--constrain", help="Force the output format with a grammar.")
    ] = None,
    fence: Annotated[
        bool | None, typer.Option("--fence/--no-fence", help="Disarm prompt marks inside responses.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Rule that reads the verdict.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Requests under way at a server.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with any of these settings.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, such as engine.slots=2.")] = None,
    run: Annotated[Path | None, typer.Option(help="Directory of the run; the same one resumes it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a pair on stdout.")] = False,
    show: Annotated[int, typer.Option(min=0, help="Print the first N judgments in full.")] = 0,
    fail_under: Annotated[float | None, typer.Option(min=0, max=1, help="Exit with 3 below this accuracy.")] = None,
    max_invalid: Annotated[float | None, typer.Option(min=0, max=1, help="Exit with 4 above this share.")] = None,
) -> None:
    """Judge pairs of responses: both orders, every completion journalled, resumed by the same command."""
    flags = {
        "model": model,
        "engine.base_url": base_url,
        "template": template,
        "orders": orders,
        "votes": votes,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "seed": seed,
        "constrain": constrain,
        "fence": fence,
        "rule": rule,
        "concurrency": concurrency,
    }
    loaded = load_config(JudgeConfig, file=config, settings=settings or (), flags=flags)
    mapping = parse_columns(columns) if columns else None
    with spooled(source) as path:
        task = PairTask(path, source if path != source else None, mapping, skip_invalid, limit, run)
        run_and_print(task, loaded, Output(as_json, show, Bounds(fail_under, max_invalid)))
