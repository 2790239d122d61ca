"""``rmr1 distill``: verified reasoning traces from a teacher."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rmr1.cli.judge import Columns, RunDirectoryOption, Source
from rmr1.cli.options import DATA, OUTPUT, Layers, takes_config
from rmr1.cli.streams import DROP_OR_PASS, spooled, tell, write_json
from rmr1.config import DistillConfig
from rmr1.data import parse_columns
from rmr1.distillation import DistillRunResult, distill
from rmr1.judging import PairTask
from rmr1.report.console import distill_rows, print_summary
from rmr1.report.progress import JudgingProgress


@takes_config(DistillConfig)
def distill_traces(
    layers: Layers[DistillConfig],
    source: Source,
    columns: Columns = None,
    skip_invalid: Annotated[
        bool,
        typer.Option(
            "--skip-invalid", help="Leave out unreadable rows and pairs without a label.", rich_help_panel=DATA
        ),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Take the first N pairs.", rich_help_panel=DATA, metavar="N")
    ] = None,
    run: RunDirectoryOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as one JSON object.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Distil traces: a teacher judges, its verdicts are verified, a repairer corrects what failed."""
    config = layers.load()
    mapping = parse_columns(columns) if columns else None
    with spooled(source) as path, JudgingProgress(doing="distilling") as progress:
        task = PairTask(
            path, source if path != source else None, mapping, skip_invalid, limit, run, advice=DROP_OR_PASS
        )
        result = distill(task, config, callbacks=progress)
    if as_json:
        write_json(result.results.to_json(), indent=None)
    else:
        print_summary(sys.stdout, distill_rows(result.results))
    _conclude(result)


def _conclude(result: DistillRunResult) -> None:
    tell(f"traces: {result.traces}\nreport: {result.run / 'report.html'}")
    if result.results.faulted:
        tell(
            f"rmr1: the engine failed on {result.results.faulted} comparisons, see pass1-faults.jsonl and "
            f"pass2-faults.jsonl in {result.run}; run the same command to retry"
        )
        raise typer.Exit(1)
