"""What the judging verbs share: run, print, exit code."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

import typer

from rmr1.config import JudgeConfig
from rmr1.judging import JobResult, PairTask, judge_source
from rmr1.records import Judgment
from rmr1.reporting.console import judgment_as_json, print_judgment, print_summary, summary_rows
from rmr1.reporting.progress import JudgingProgress
from rmr1.runs import encode_line


@dataclass(frozen=True, slots=True)
class Output:
    """What to print, and which results are failures."""

    as_json: bool = False
    show: int = 0
    fail_under: float | None = None
    max_invalid: float | None = None


class JudgingListener(JudgingProgress):
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
    with JudgingListener(output.as_json) as progress:
        result = asyncio.run(judge_source(task, config, progress))
    if not output.as_json:
        for pair, judgment in result.first[: output.show]:
            print_judgment(sys.stdout, pair, judgment)
    rows = summary_rows(result.results, result.seconds, result.answered, result.spent.completion_tokens)
    print_summary(sys.stderr if output.as_json else sys.stdout, rows, result.results["by_category"])
    typer.echo(f"report: {result.run / 'report.html'}", err=True)
    code = _exit_code(result, output)
    if code:
        raise typer.Exit(code)


def _exit_code(result: JobResult, output: Output) -> int:
    summary, accuracy = result.summary, result.results["accuracy"]
    if summary.engine_errors:
        faults = result.run / "faults.jsonl"
        typer.echo(
            f"rmr1: the engine failed on {summary.engine_errors} judgements, see {faults}; run the same command to retry",
            err=True,
        )
        return 1
    if output.max_invalid is not None and summary.invalid_share > output.max_invalid:
        typer.echo(
            f"rmr1: {summary.invalid_share:.1%} of the verdicts are invalid, more than {output.max_invalid:.1%}",
            err=True,
        )
        return 4
    if output.fail_under is not None and (accuracy is None or accuracy["value"] < output.fail_under):
        typer.echo(f"rmr1: accuracy is below {output.fail_under}", err=True)
        return 3
    return 0
