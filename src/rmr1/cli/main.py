"""``rmr1``: stdout is data, stderr is progress.

Exit codes: 0 done, 1 failed, 2 usage, 3 below ``--fail-under``, 4 too many invalid verdicts, 130 interrupted and resumable.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from rmr1.cli.data import data
from rmr1.cli.distill import distill
from rmr1.cli.eval import evaluate_benchmarks
from rmr1.cli.export import export
from rmr1.cli.judge import judge
from rmr1.cli.pull import pull
from rmr1.cli.quickstart import quickstart
from rmr1.cli.report import report
from rmr1.cli.rl import rl_command
from rmr1.cli.sft import sft
from rmr1.cli.train import train
from rmr1.errors import InputError, RMR1Error

app = typer.Typer(
    name="rmr1",
    help="Reasoning reward models: judge which of two responses is better, with the reasons.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(judge)
app.command()(distill)
app.command()(sft)
app.command("rl")(rl_command)
app.command("grpo", hidden=True, help="The same as rl.")(rl_command)
app.command()(train)
app.command()(data)
app.command("eval")(evaluate_benchmarks)
app.command()(report)
app.command()(export)
app.command()(pull)
app.command()(quickstart)

_INTERRUPTED = 130
"""What typer makes of Ctrl-C."""


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"rmr1 {version('rmr1')}\n")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Reasoning reward models: judge which of two responses is better, with the reasons."""


def main() -> None:
    """Run the command line; errors that the user can mend are one line on stderr."""
    try:
        app(standalone_mode=True)
    except InputError as error:
        _end(str(error), 2)
    except RMR1Error as error:
        _end(str(error), 1)
    except BrokenPipeError:
        # The reader of stdout has gone: nothing more can be told, and the interpreter's own flush must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            _end("interrupted; run the same command again to go on", _INTERRUPTED)
        raise


def _end(message: str, code: int) -> None:
    sys.stderr.write(f"rmr1: {message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
