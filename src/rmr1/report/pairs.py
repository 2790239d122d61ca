"""The figures of judged pairs in words: the same lines for ``rmr1 judge`` and ``rmr1 eval``, on a terminal and on a page."""

from __future__ import annotations

from collections.abc import Iterator

from rmr1.report.tables import Table, percent, percent_range
from rmr1.results import Estimate, InvalidVerdicts, PairFigures, Spending

ACCURACY = "accuracy (tie, half-judged, no verdict are wrong)"
OUTCOMES = {
    "A": "A",
    "B": "B",
    "tie": "tie",
    "inconsistent": "orders disagree",
    "half_judged": "half-judged",
    "no_verdict": "no verdict",
}
"""What the completions of a judged pair say together, for people."""
_MISSING = "n/a"


def share(value: float | None) -> str:
    """A share in per cent."""
    return _MISSING if value is None else percent(value)


def interval(estimate: Estimate | None) -> str:
    """A share with its 95 % interval, what qualifies that, and what it is a share of."""
    if estimate is None:
        return _MISSING
    ends = percent_range(estimate.low, estimate.high)
    caveat = f", {estimate.caveat}" if estimate.caveat else ""
    return f"{percent(estimate.value)} (95 %: {ends}{caveat}; {counted(estimate)})"


def counted(estimate: Estimate) -> str:
    """How many observations an estimate has, and how many prompts they are about."""
    return f"n = {estimate.n:,}, {estimate.clusters:,} prompt{'s' * (estimate.clusters != 1)}"


def invalid_text(invalid: InvalidVerdicts) -> str:
    """The share of completions without a verdict, and the reasons."""
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in invalid.by_reason.items())
    return f"{percent(invalid.share)} (n = {invalid.n:,}{'; ' if reasons else ''}{reasons})"


def figure_rows(figures: PairFigures) -> Iterator[tuple[str, str]]:
    """The figures as lines: name and value.

    Args:
        figures: Of a judge run, or of a benchmark.
    """
    yield "pairs judged", f"{figures.pairs:,} ({figures.completions:,} completions)"
    if figures.spared:
        planned = figures.completions + figures.spared
        yield (
            "completions spared by stopping early",
            f"{figures.spared:,} of {planned:,} ({percent(figures.spared / planned)})",
        )
    if figures.unjudged:
        yield "pairs not judged (the engine failed)", f"{figures.unjudged:,}; in no figure"
    if figures.from_cache:
        yield "completions from the cache", f"{figures.from_cache:,}; they cost nothing"
    if figures.retried:
        yield "completions asked for again, having been cut", f"{figures.retried:,}; tokens are those of both"
    if figures.labelled_pairs:
        yield ACCURACY, interval(figures.accuracy)
        counts = (figures.right, figures.wrong, figures.ties, figures.half_judged, figures.no_winner)
        yield "right / wrong / tie / half-judged / no verdict", " / ".join(f"{count:,}" for count in counts)
        if figures.has_ties:
            yield "agreement (label A, B or tie; in every order)", interval(figures.agreement)
        if figures.kappa is not None:
            yield "kappa of label and judge", f"{figures.kappa:.2f} (n = {figures.labelled_pairs:,})"
        yield "accuracy of single completions (invalid is wrong)", interval(figures.vote_accuracy)
    yield "position consistency (both orders valid)", interval(figures.position_consistency)
    yield "verdicts for the response shown first", interval(figures.first_shown)
    yield "invalid verdicts", invalid_text(figures.invalid)


def spending_rows(spending: Spending | None) -> Iterator[tuple[str, str]]:
    """The lines of a summary about what a run has spent; none if nothing is known about prices, and nothing is limited."""
    if spending is None:
        return
    tokens = f"{spending.tokens.prompt_tokens + spending.tokens.completion_tokens:,} tokens in all processes"
    if spending.cost is None:
        yield "spent", tokens
    else:
        lower = "at least " if spending.tokens.unknown else ""
        yield "spent", f"{lower}{spending.cost:.4f} for {tokens} ({spending.prices})"


def confusion_table(figures: PairFigures) -> Table:
    """Labelled pairs by label and by what the judge says in all orders together."""
    rows = (
        (f"label {label}", *(f"{row.get(outcome, 0):,}" for outcome in OUTCOMES), f"{sum(row.values()):,}")
        for label, row in figures.confusion.items()
    )
    columns = ("people", *(f"judge: {name}" for name in ("A", "B", "tie")), *list(OUTCOMES.values())[3:], "n")
    return Table("What people and the judge say", columns, tuple(rows))
