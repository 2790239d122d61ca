"""``rmr1``: stdout is data, stderr is progress.

Exit codes: 0 done, 1 failed, 2 usage, 3 below ``--fail-under``, 4 too many invalid verdicts, 130 interrupted and resumable.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from rmr1.cli.compare import compare_judges
from rmr1.cli.data import make_data
from rmr1.cli.distill import distill_traces
from rmr1.cli.eval import evaluate_benchmarks
from rmr1.cli.export import export_judge
from rmr1.cli.judge import judge_file
from rmr1.cli.options import VerbCommand
from rmr1.cli.pull import pull_model
from rmr1.cli.quickstart import show_quickstart
from rmr1.cli.report import report_runs
from rmr1.cli.rl import reinforce
from rmr1.cli.sft import fine_tune
from rmr1.cli.train import train_by_recipe
from rmr1.errors import InputError, RMR1Error
from rmr1.report.terminal import printable

app = typer.Typer(
    name="rmr1",
    help="Reasoning reward models: judge which of two responses is better, with the reasons.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_VERBS: dict[str, Callable[..., None]] = {
    "judge": judge_file,
    "data": make_data,
    "distill": distill_traces,
    "sft": fine_tune,
    "rl": reinforce,
    "train": train_by_recipe,
    "export": export_judge,
    "eval": evaluate_benchmarks,
    "report": report_runs,
    "compare": compare_judges,
    "pull": pull_model,
    "quickstart": show_quickstart,
}
for _name, _verb in _VERBS.items():
    app.command(_name, cls=VerbCommand)(_verb)
app.command("grpo", cls=VerbCommand, hidden=True, help="The same as rl.")(reinforce)

_USAGE, _INTERRUPTED = 2, 130
"""130 is what typer makes of Ctrl-C."""


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"rmr1 {version('rmr1')}\n")
        raise typer.Exit


@app.callback()
def _begin(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Reasoning reward models: judge which of two responses is better, with the reasons."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(_USAGE)


def main() -> None:
    """Run the command line; errors that the user can fix are one line on stderr."""
    try:
        code = app(standalone_mode=False, prog_name="rmr1")
    except typer.TyperException as error:
        _end(_usage(error), error.exit_code)
    except InputError as error:
        _end(str(error), _USAGE)
    except RMR1Error as error:
        _end(str(error), 1)
    except BrokenPipeError:
        # The reader of stdout has gone: nothing more can be printed, and the interpreter's own flush must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except typer.Abort:
        _end("stopped", 1)
    if code == _INTERRUPTED:
        _end("interrupted; run the same command again to continue", _INTERRUPTED)
    sys.exit(code)


def _usage(error: typer.TyperException) -> str:
    """A wrong command line in one line, with where its help is."""
    context = getattr(error, "ctx", None)
    message = " ".join(error.format_message().split()).rstrip(".")
    return f"{message} (see {context.command_path} --help)" if context is not None else message


def _end(message: str, code: int) -> None:
    sys.stderr.write(f"rmr1: {printable(message)}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
