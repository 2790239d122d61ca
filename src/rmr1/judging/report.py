"""The HTML report of a judging run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rmr1.judging.job import JobResult
from rmr1.records import Judgment, PreferencePair
from rmr1.report.console import interval, summary_rows
from rmr1.report.figures import Metric
from rmr1.report.judge import JudgeReport
from rmr1.report.samples import Sample, SampleVote, Status
from rmr1.report.tables import Table


def judging_report(title: str, identity: Mapping[str, Any], result: JobResult) -> JudgeReport:
    """Build the report of a run.

    Args:
        title: Heading.
        identity: The run's identity, shown as its facts.
        result: What the run left behind.
    """
    results = result.results
    rows = summary_rows(results, result.seconds, result.answered, result.spent.completion_tokens)
    tables = [Table("Summary", ("Figure", "Value"), tuple(rows))]
    if results["by_category"]:
        by_category = tuple((name or "none", interval(estimate)) for name, estimate in results["by_category"].items())
        tables.append(Table("Accuracy by category", ("Category", "Accuracy"), by_category))
    return JudgeReport(
        title=title,
        facts=tuple((name.replace("_", " "), _fact(value)) for name, value in identity.items() if value is not None),
        headline=headline(results),
        tables=tuple(tables),
        samples=tuple(report_sample(pair, judgment) for pair, judgment in result.first),
        samples_total=results["pairs"],
        notes=(
            "A and B are the sides of the data; for chosen and rejected responses, A is the chosen one.",
            "Intervals are 95 % Wilson intervals; pairs that share a prompt count as one cluster.",
        ),
    )


def headline(results: Mapping[str, Any]) -> tuple[Metric, ...]:
    """The figures that matter most, from a run's ``results.json``."""
    invalid = results["invalid"]["share"]
    return (
        _metric(
            "Accuracy", results["accuracy"], "both orders combined; ties and pairs without a winner count as wrong"
        ),
        _metric(
            "Position consistency", results["position_consistency"], "pairs whose two orders agree, both being valid"
        ),
        Metric(
            "Single completions",
            results["vote_accuracy"],
            None,
            None,
            "invalid counts as wrong; chance is 50 %",
            "share",
        ),
        Metric("Invalid verdicts", invalid, None, None, "completions in which no verdict could be read", "share"),
    )


def _metric(name: str, estimate: Mapping[str, Any] | None, note: str) -> Metric:
    if estimate is None:
        return Metric(name, None, None, None, note, "share")
    return Metric(name, estimate["value"], estimate["low"], estimate["high"], note, "share")


def _fact(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def report_sample(pair: PreferencePair, judgment: Judgment) -> Sample:
    """One judged pair as reports list it."""
    return Sample(
        id=pair.id,
        category=pair.category,
        status=_status(judgment),
        winner=judgment.winner or "",
        label=pair.label or "",
        confidence=judgment.confidence,
        position_consistent=judgment.position_consistent,
        prompt=pair.prompt,
        response_a=pair.response_a,
        response_b=pair.response_b,
        votes=tuple(
            SampleVote(
                order=vote.order,
                vote=vote.vote,
                side=vote.side or vote.verdict.invalid or "",
                text=vote.error or vote.text,
                sections=vote.verdict.sections,
                problems=vote.verdict.problems,
                tokens=vote.usage.completion_tokens,
            )
            for vote in judgment.votes
        ),
    )


def _status(judgment: Judgment) -> Status:
    if judgment.winner is None:
        return "invalid"
    if judgment.label is None:
        return "unlabelled"
    if judgment.winner == "tie":
        return "tie"
    return "right" if judgment.correct else "wrong"
