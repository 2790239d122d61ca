"""What the judging verbs share: run, print, exit code."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field

import typer

from rmr1.cli.outcome import Bounds, Outcome, exit_code
from rmr1.config import JudgeConfig
from rmr1.judging import PairTask, judge_source
from rmr1.records import Judgment
from rmr1.report.console import judgment_as_json, print_judgment, print_summary, summary_rows
from rmr1.report.progress import JudgingProgress
from rmr1.runs import encode_line


@dataclass(frozen=True, slots=True)
class Output:
    """What to print, and which results are failures."""

    as_json: bool = False
    show: int = 0
    bounds: Bounds = field(default_factory=Bounds)


class JudgingOutput(JudgingProgress):
    """Shows progress; prints judgments as they come where JSON is wanted."""

    def __init__(self, as_json: bool = False) -> None:
        super().__init__()
        self._as_json = as_json

    def judged(self, judgment: Judgment) -> None:
        """One more pair is judged."""
        if self._as_json:
            sys.stdout.buffer.write(encode_line(judgment_as_json(judgment)))
            sys.stdout.buffer.flush()


def run_and_print(task: PairTask, config: JudgeConfig, output: Output) -> None:
    """Judge, print judgments and summary, and exit with the code that the results call for."""
    with JudgingOutput(output.as_json) as progress:
        result = asyncio.run(judge_source(task, config, progress))
    if not output.as_json:
        for pair, judgment in result.first[: output.show]:
            print_judgment(sys.stdout, pair, judgment)
    rows = summary_rows(result.results, result.seconds, result.answered, result.spent.completion_tokens)
    print_summary(sys.stderr if output.as_json else sys.stdout, rows, result.results["by_category"])
    typer.echo(f"report: {result.run / 'report.html'}", err=True)
    accuracy = result.results["accuracy"]
    outcome = Outcome(
        result.summary.engine_errors,
        str(result.run / "faults.jsonl"),
        {"": result.summary.invalid_share},
        {"accuracy": accuracy and accuracy["value"]},
    )
    code = exit_code(outcome, output.bounds)
    if code:
        raise typer.Exit(code)
