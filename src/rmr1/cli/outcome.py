"""The exit code that results call for, and the sentence that says why; the same for all verbs that judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import typer


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which results are failures: scores below one share, invalid verdicts above another; None for any."""

    fail_under: float | None = None
    max_invalid: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is held against the bounds.

    Args:
        engine_errors: Completions that the engine failed on.
        faults: Where they stand.
        invalid: Shares of invalid verdicts, by what they are of; "" where there is one only.
        scores: Scores by name; None for one that there is not, which is below every bound.
    """

    engine_errors: int
    faults: str
    invalid: Mapping[str, float]
    scores: Mapping[str, float | None]


def exit_code(outcome: Outcome, bounds: Bounds) -> int:
    """Say on stderr what failed; 1 for engine failures, else 4 for invalid verdicts, else 3 for low scores, else 0."""
    failures = (
        (1, _faults(outcome)),
        (4, _too_many_invalid(outcome, bounds.max_invalid)),
        (3, _low_scores(outcome, bounds.fail_under)),
    )
    for code, messages in failures:
        said = list(messages)
        for message in said:
            typer.echo(f"rmr1: {message}", err=True)
        if said:
            return code
    return 0


def _faults(outcome: Outcome) -> Iterator[str]:
    if outcome.engine_errors:
        failed = f"the engine failed on {outcome.engine_errors} completions, see {outcome.faults}"
        yield f"{failed}; run the same command to retry"


def _too_many_invalid(outcome: Outcome, bound: float | None) -> Iterator[str]:
    for name, share in outcome.invalid.items():
        if bound is not None and share > bound:
            yield f"{name}{': ' if name else ''}{share:.1%} of the verdicts are invalid, more than {bound:.1%}"


def _low_scores(outcome: Outcome, bound: float | None) -> Iterator[str]:
    for name, value in outcome.scores.items():
        if bound is not None and (value is None or value < bound):
            yield f"{name} is below {bound}"
