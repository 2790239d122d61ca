"""``rmr1 judge``: judge a file of pairs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from rmr1.cli.options import AUDIT, DATA, OUTPUT, RUN, Layers, takes_config
from rmr1.cli.streams import DROP_OR_PASS, Bounds, RunOutcome, end_with, spooled, tell, write_json
from rmr1.config import JudgeConfig
from rmr1.data import parse_columns
from rmr1.judging import PairTask, judge_pairs
from rmr1.records import Judgment
from rmr1.report.audit import audit_rows, audit_tables
from rmr1.report.console import judgment_as_json, print_judgment, print_summary, summary_rows
from rmr1.report.progress import JudgingProgress
from rmr1.report.tables import print_tables
from rmr1.robustness import audit_judge

Source = Annotated[
    str,
    typer.Argument(
        help="A JSONL, JSON, CSV or Parquet file, a folder or pattern of them, hf:OWNER/NAME, or - for stdin."
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(help="Columns with other names: FIELD=COLUMN,...", rich_help_panel=DATA, metavar="TEXT"),
]
RunDirectoryOption = Annotated[
    Path | None,
    typer.Option(help="Directory of the run; the same one resumes it.", rich_help_panel=RUN, metavar="PATH"),
]
FailUnder = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Exit with code 3 below this: accuracy of judge, first figure of each benchmark of eval.",
        rich_help_panel=OUTPUT,
        metavar="X",
    ),
]
MaxInvalid = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Exit with code 4 above this share of invalid verdicts among completions.",
        rich_help_panel=OUTPUT,
        metavar="X",
    ),
]


@takes_config(JudgeConfig)
def judge_file(
    layers: Layers[JudgeConfig],
    source: Source,
    columns: Columns = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out rows that cannot be read.", rich_help_panel=DATA)
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Judge the first N pairs.", rich_help_panel=DATA, metavar="N")
    ] = None,
    run: RunDirectoryOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per pair.", rich_help_panel=OUTPUT)
    ] = False,
    show: Annotated[
        int, typer.Option(min=0, help="Print the first N judgments in full.", rich_help_panel=OUTPUT, metavar="N")
    ] = 0,
    fail_under: FailUnder = None,
    max_invalid: MaxInvalid = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Attack the losing responses, and count flips.", rich_help_panel=AUDIT)
    ] = False,
    attacks: Annotated[
        str | None, typer.Option(help="Attacks of --audit; all by default.", rich_help_panel=AUDIT, metavar="NAME,...")
    ] = None,
) -> None:
    """Judge pairs of responses in both orders. Each completion is journalled; the same command resumes."""
    config = layers.load()
    if attacks and not audit:
        raise typer.BadParameter("--attacks is for --audit; add it")
    if audit and (show or fail_under is not None or max_invalid is not None):
        raise typer.BadParameter("--show, --fail-under and --max-invalid do not go with --audit; leave them out")
    mapping = parse_columns(columns) if columns else None
    with spooled(source) as path:
        task = PairTask(
            path, source if path != source else None, mapping, skip_invalid, limit, run, advice=DROP_OR_PASS
        )
        if audit:
            audit_and_print(task, config, attacks.split(",") if attacks else (), as_json=as_json)
        else:
            judge_and_print(task, config, JudgeOutput(as_json, show, Bounds(fail_under, max_invalid)))


@dataclass(frozen=True, slots=True)
class JudgeOutput:
    """What to print, and which results are failures."""

    as_json: bool = False
    show: int = 0
    bounds: Bounds = field(default_factory=Bounds)


def audit_and_print(task: PairTask, config: JudgeConfig, attacks: Sequence[str], *, as_json: bool) -> None:
    """Attack a judge, print flips, and exit with code 1 if the engine failed on requests."""
    with JudgingProgress(doing="auditing") as progress:
        result = audit_judge(task, config, attacks=attacks, callbacks=progress)
    if as_json:
        write_json(result.results.to_json())
    print_summary(sys.stderr if as_json else sys.stdout, audit_rows(result.results))
    if not as_json:
        print_tables(sys.stdout, audit_tables(result.results))
    tell(f"report: {result.run / 'report.html'}")
    faults = f"faults.jsonl in {result.run}"
    end_with(RunOutcome(result.unanswered, faults, {}, {}, 0), Bounds())


class PrintingProgress(JudgingProgress):
    """Shows progress; prints judgments as they come if JSON is wanted."""

    def __init__(self, as_json: bool = False) -> None:
        super().__init__()
        self._as_json = as_json

    def judged(self, judgment: Judgment) -> None:
        """One more pair is judged."""
        if self._as_json:
            write_json(judgment_as_json(judgment), indent=None)


def judge_and_print(task: PairTask, config: JudgeConfig, output: JudgeOutput) -> None:
    """Judge, print judgments and summary, and exit with the code that the results call for."""
    with PrintingProgress(output.as_json) as progress:
        result = judge_pairs(task, config, callbacks=progress)
    if not output.as_json:
        for pair, judgment in result.first[: output.show]:
            print_judgment(sys.stdout, pair, judgment)
    rows = summary_rows(result.results, result.seconds, result.answered, result.spent.completion_tokens)
    print_summary(sys.stderr if output.as_json else sys.stdout, rows, result.results.by_category)
    tell(f"report: {result.run / 'report.html'}")
    results = result.results
    outcome = RunOutcome(
        results.unanswered,
        str(result.run / "faults.jsonl"),
        {"": results.invalid},
        {"accuracy": results.accuracy},
        results.unjudged,
        "judged pairs whose label is a side",
    )
    end_with(outcome, output.bounds)
