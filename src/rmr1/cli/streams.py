"""What all verbs share: pairs from stdin, JSON on stdout, progress on stderr, and the exit code that results call for."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from rmr1.files import storage
from rmr1.report.terminal import printable, printable_json
from rmr1.results import Estimate, Figure, InvalidVerdicts

DROP_OR_PASS = "drop the row or pass --skip-invalid"
"""What a user of a command with this option can do about a row that cannot be read."""


@contextmanager
def spooled(source: str) -> Iterator[str]:
    """Give the path of ``source``; for ``-``, that of a temporary copy of standard input: a run reads its pairs more than once."""
    if source != "-":
        yield source
        return
    with tempfile.NamedTemporaryFile(prefix="rmr1-stdin-") as copy:
        with storage(f"the copy of standard input, {copy.name}"):
            shutil.copyfileobj(sys.stdin.buffer, copy, 1 << 20)
            copy.flush()
        yield copy.name


def tell(message: str) -> None:
    """Print a sentence for the user on stderr."""
    typer.echo(printable(message), err=True)


def write_json(content: object, *, indent: int | None = 2) -> None:
    """Print a JSON value on stdout, without ``indent`` on one line and without spaces."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(content, indent=indent, separators=separators, ensure_ascii=False)
    sys.stdout.write(printable_json(text) + "\n")
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which results are failures: scores below one share, invalid verdicts above another; None for any."""

    fail_under: float | None = None
    max_invalid: float | None = None


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What is compared with the bounds.

    Args:
        engine_errors: Completions that the engine failed on.
        faults: Where they are recorded.
        invalid: Invalid verdicts, by what they are of; "" if there is only one.
        scores: Scores by name; None for a score that could not be computed, which is below every bound.
        unjudged: Pairs that lack an answer for that reason; they are in no figure.
        counted: What scores are about.
    """

    engine_errors: int
    faults: str
    invalid: Mapping[str, InvalidVerdicts]
    scores: Mapping[str, Estimate | Figure | None]
    unjudged: int = 0
    counted: str = "comparisons"


def exit_code(outcome: RunOutcome, bounds: Bounds) -> int:
    """Say on stderr what failed; 1 for engine failures, else 4 for invalid verdicts, else 3 for low scores, else 0."""
    failures = (
        (1, _faults(outcome)),
        (4, _too_many_invalid(outcome, bounds.max_invalid)),
        (3, _low_scores(outcome, bounds.fail_under)),
    )
    for code, messages in failures:
        said = list(messages)
        for message in said:
            tell(f"rmr1: {message}")
        if said:
            return code
    return 0


def end_with(outcome: RunOutcome, bounds: Bounds) -> None:
    """End the command with the code of ``exit_code``, unless that is 0."""
    code = exit_code(outcome, bounds)
    if code:
        raise typer.Exit(code)


def _faults(outcome: RunOutcome) -> Iterator[str]:
    if outcome.engine_errors:
        failed = f"the engine failed on {outcome.engine_errors} requests, see {outcome.faults}"
        pairs = f"{outcome.unjudged} pair{' is' if outcome.unjudged == 1 else 's are'}"
        yield f"{failed}; {pairs} not judged and in no figure; run the same command to retry"


def _too_many_invalid(outcome: RunOutcome, bound: float | None) -> Iterator[str]:
    for name, invalid in outcome.invalid.items():
        if bound is not None and invalid.share > bound:
            said = f"{invalid.share:.1%} of the verdicts are invalid, more than {bound:.1%} (n = {invalid.n:,})"
            yield f"{name}{': ' if name else ''}{said}"


def _low_scores(outcome: RunOutcome, bound: float | None) -> Iterator[str]:
    for name, value in outcome.scores.items():
        if bound is not None and value is None:
            yield f"{name} is below {bound}: there are no {outcome.counted}"
        elif bound is not None and value is not None and value.value < bound:
            yield f"{name} is below {bound}: it is {value.value:.4g} over {value.n} {outcome.counted}"
