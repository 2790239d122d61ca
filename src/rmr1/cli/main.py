"""``rmr1``: stdout is data, stderr is progress.

Exit codes: 0 done, 1 failed, 2 usage, 3 below ``--fail-under``, 4 too many invalid verdicts, 130 interrupted (Ctrl-C
or SIGTERM) and resumable.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from typing import Annotated

import typer

from rmr1.cli.cache import tend_cache
from rmr1.cli.compare import compare_judges
from rmr1.cli.data import make_data
from rmr1.cli.distill import distill_traces
from rmr1.cli.doctor import examine_setup
from rmr1.cli.eval import evaluate_benchmarks
from rmr1.cli.export import export_judge
from rmr1.cli.judge import judge_file
from rmr1.cli.options import VerbCommand
from rmr1.cli.process import abandon_broken_streams, prepare_streams, quieten_libraries, stoppable
from rmr1.cli.pull import pull_model
from rmr1.cli.quickstart import show_quickstart
from rmr1.cli.report import report_runs
from rmr1.cli.rl import reinforce
from rmr1.cli.sft import fine_tune
from rmr1.cli.train import train_by_recipe
from rmr1.errors import InputError, RMR1Error
from rmr1.files import storage_problem
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
    "cache": tend_cache,
    "doctor": examine_setup,
    "quickstart": show_quickstart,
}
for _name, _verb in _VERBS.items():
    app.command(_name, cls=VerbCommand)(_verb)
app.command("grpo", cls=VerbCommand, hidden=True, help="The same as rl.")(reinforce)

_STDOUT = "standard output"
"""What an error of the operating system without a name is about: all files are named where they are read and written."""
_USAGE, _INTERRUPTED = 2, 130
"""130 is what typer makes of Ctrl-C; SIGTERM is made one, see ``process.stoppable``."""


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
    prepare_streams()
    quieten_libraries()
    with stoppable():
        code, message = _run()
        for close in (_flush_stdout, sys.stderr.flush):
            try:
                close()
            except BrokenPipeError:
                code, message = code or 1, None
            except OSError as error:
                code, message = code or 1, message or storage_problem(error, _STDOUT)
        if message is not None:
            _tell(message)
    abandon_broken_streams()
    sys.exit(code)


def _flush_stdout() -> None:
    sys.stdout.flush()


def _run() -> tuple[int, str | None]:
    """Run a command; gives its exit code, and what there is to say about it."""
    try:
        code = app(standalone_mode=False, prog_name="rmr1")
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = _INTERRUPTED
    except Exception as error:
        ended = _ending(error)
        if ended is None:
            raise
        return ended
    if code == _INTERRUPTED:
        return code, "interrupted; run the same command again to continue"
    return code or 0, None


def _ending(error: Exception) -> tuple[int, str | None] | None:
    """The exit code of an error and its line; None for an error of ours, whose traceback is wanted."""
    if isinstance(error, typer.TyperException):
        return error.exit_code, _usage(error)
    if isinstance(error, BrokenPipeError):  # the reader of stdout has gone: nothing more can be printed
        return 1, None
    known: tuple[tuple[type[Exception], int, str], ...] = (
        (InputError, _USAGE, str(error)),
        (RMR1Error, 1, str(error)),
        (OSError, 1, storage_problem(error, error.filename or _STDOUT) if isinstance(error, OSError) else ""),
        (RecursionError, 1, "the input is nested too deeply to be worked on; make it flatter"),
        (MemoryError, 1, "out of memory; take a smaller model, or fewer requests at once (--concurrency)"),
        (typer.Abort, 1, "stopped"),
    )
    return next(((code, message) for kind, code, message in known if isinstance(error, kind)), None)


def _usage(error: typer.TyperException) -> str:
    """A wrong command line in one line, with where its help is."""
    context = getattr(error, "ctx", None)
    message = " ".join(error.format_message().split()).rstrip(".")
    return f"{message} (see {context.command_path} --help)" if context is not None else message


def _tell(message: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"rmr1: {printable(message)}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    main()
