"""The HTML report of a judge run: what it says, and the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rmr1.records import Judgment, PreferencePair
from rmr1.report.figures import Metric, noted
from rmr1.report.page import render_page, write_page
from rmr1.report.pairs import confusion_table, interval
from rmr1.report.samples import Sample, SampleVote, Status, categories, outcome_choices
from rmr1.report.tables import Table, fact_rows
from rmr1.results import Estimate, JudgeResults

SCRIPT = "samples.js"
STOPPED = "Votes that were not needed are left out: figures of single completions and confidence are about those that were asked."
_STATUS: dict[str, Status] = {"half_judged": "half-judged", "no_verdict": "invalid", "unjudged": "unjudged"}


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """What a judge report says.

    Args:
        title: Heading of the page.
        headline: The figures that matter most.
        tables: Breakdowns of them.
        samples: The judged pairs to list; a few hundred at most make a page that opens quickly.
        samples_total: How many pairs the run has judged; the page says so if it lists fewer.
        notes: What a reader has to know to read the figures rightly.
        facts: Names and values that describe the run: model, template and its hash, data, seed, orders, votes, command.
    """

    title: str
    headline: tuple[Metric, ...]
    tables: tuple[Table, ...]
    samples: tuple[Sample, ...]
    samples_total: int
    notes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def judge_report(
    title: str,
    results: JudgeResults,
    judged: Iterable[tuple[PreferencePair, Judgment]],
    *,
    summary: Iterable[tuple[str, str]],
    facts: Mapping[str, object],
) -> JudgeReport:
    """Build the report of a judge run.

    Args:
        title: Heading.
        results: What the run concludes.
        judged: The pairs to list, with their judgments.
        summary: Lines of the summary, see ``console.summary_rows``.
        facts: What describes the run: model, data and everything else that decides the results.
    """
    tables = [Table("Summary", ("Figure", "Value"), tuple(summary))]
    if results.confusion:
        tables.append(confusion_table(results))
    if results.by_category:
        by_category = tuple((name or "none", interval(estimate)) for name, estimate in results.by_category.items())
        tables.append(Table("Accuracy by category", ("Category", "Accuracy"), by_category))
    return JudgeReport(
        title=title,
        headline=headline(results),
        tables=tuple(tables),
        samples=tuple(report_sample(pair, judgment) for pair, judgment in judged),
        samples_total=results.pairs + results.unjudged,
        notes=(
            "A and B are the sides of the data; for chosen and rejected responses, A is the chosen one.",
            "Accuracy is about pairs whose label is a side, agreement about all labelled pairs; every order has to say the label.",
            "Half-judged: one order has a valid verdict, the other has none. Unjudged: the engine failed, the pair counts nowhere.",
            "Intervals are 95 % Wilson intervals; pairs that share a prompt count as one cluster.",
            *((STOPPED,) * bool(results.spared)),
        ),
        facts=fact_rows(facts),
    )


def headline(results: JudgeResults) -> tuple[Metric, ...]:
    """The figures that matter most."""
    return (
        _metric("Accuracy", results.accuracy, "right in every order; ties, half-judged pairs and no verdict are wrong"),
        *((_metric("Agreement", results.agreement, "with labels A, B and tie, in every order"),) * results.has_ties),
        _metric("Position consistency", results.position_consistency, "pairs whose two orders agree, both being valid"),
        _metric("Single completions", results.vote_accuracy, "invalid counts as wrong; chance is 50 %"),
        Metric(
            "Invalid verdicts",
            results.invalid.share,
            None,
            None,
            f"completions in which no verdict could be read; n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{results.invalid.n:,}",
            "share",
        ),
    )


def _metric(name: str, estimate: Estimate | None, note: str) -> Metric:
    if estimate is None:
        return Metric(name, None, None, None, note, "share")
    return Metric(name, estimate.value, estimate.low, estimate.high, noted(note, estimate), "share")


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
                alone=vote.verdict.scores_one,
                score=vote.verdict.score,
            )
            for vote in judgment.votes
        ),
    )


def _status(judgment: Judgment) -> Status:
    if judgment.winner is None:
        return _STATUS[judgment.outcome]
    if judgment.label is None:
        return "unlabelled"
    if judgment.correct:
        return "right"
    return "tie" if judgment.winner == "tie" and judgment.label != "tie" else "wrong"


def render_judge_report(report: JudgeReport) -> str:
    """Return the report as one HTML document; equal reports give equal text."""
    return render_page(
        "judge_report.html.j2",
        ("page.css",),
        SCRIPT if report.samples else None,
        report=report,
        filters=outcome_choices(report.samples),
        categories=categories(report.samples),
    )


def write_judge_report(report: JudgeReport, path: Path) -> None:
    """Write the report to ``path``, whole or not at all: readers see the old file until the new one is complete."""
    write_page(render_judge_report(report), path)
