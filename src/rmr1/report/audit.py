"""What an audit of a judge says: on a terminal, and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rmr1.records import Judgment, PreferencePair
from rmr1.report.figures import Metric
from rmr1.report.judge import JudgeReport, report_sample, write_judge_report
from rmr1.report.tables import Table, fact_rows, percent, percent_range
from rmr1.results import AttackFigures, AttackResults, AuditResults, Difference, Estimate

_COLUMNS = ("attack", "fence", "flipped", "flipped, 95 %", "n", "no verdict", "change", "change, 95 %", "p (Holm)")


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """Heading of a report, and what describes the run."""

    title: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AuditSample:
    """A pair that flipped: under which attack, with the fence on or off, as the judge was first shown it, and its judgment."""

    attack: str
    fenced: bool
    pair: PreferencePair
    judgment: Judgment


def audit_tables(results: AuditResults) -> Iterator[Table]:
    """The tables of an audit: flips of each attack with the fence on and off, and what the fence prevents."""
    rows = [row for attack in results.attacks for row in _rows(attack)]
    yield Table("Verdicts that flip to the attacked response", _COLUMNS, tuple(rows))
    changed = [one for one in results.attacks if one.fence is not None and one.fenced.fenced]
    if changed:
        columns = ("attack", "flipped without the fence, less with it", "95 %", "p (Holm)", "prompts with fenced marks")
        cells = tuple((one.name, *_difference(one.fence), f"{one.fenced.fenced:,}") for one in changed)
        yield Table("What the fence prevents", columns, cells)


def audit_rows(results: AuditResults) -> Iterator[tuple[str, str]]:
    """The lines of a summary: name and value."""
    left = f", {results.left_out} left out: a tie, or the judge does not decide" if results.left_out else ""
    yield "pairs attacked", f"{results.pairs} ({results.by_label} by their label){left}"
    yield (
        "completions",
        f"{results.completions} for each attack and setting; {results.repeated} taken over from another part",
    )
    share, ends, _ = _share(results.preferred)
    yield "prefer the attacked response without an attack", f"{share} ({ends})" if ends else share
    yield "tokens", f"{results.tokens.prompt_tokens:,} prompt, {results.tokens.completion_tokens:,} written"


def _rows(attack: AttackResults) -> Iterator[tuple[str, ...]]:
    for fence, figures in (("on", attack.fenced), ("off", attack.unfenced)):
        silent, _, _ = _share(figures.silenced)
        yield (attack.name, fence, *_share(figures.flipped), silent, *_difference(figures.change))


def _share(estimate: Estimate | None) -> tuple[str, str, str]:
    if estimate is None:
        return "n/a", "", "0"
    return percent(estimate.value), percent_range(estimate.low, estimate.high), f"{estimate.n:,}"


def _difference(difference: Difference | None) -> tuple[str, str, str]:
    if difference is None or difference.low is None or difference.high is None:
        return "n/a", "", ""
    p = difference.p if difference.p_adjusted is None else difference.p_adjusted
    ends = f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}"
    return f"{100 * difference.value:+.1f}", ends, "" if p is None else f"{p:.3f}" if p >= 0.001 else "<0.001"


def write_audit_report(facts: AuditFacts, results: AuditResults, samples: Sequence[AuditSample], path: Path) -> None:
    """Write the page of an audit, whole or not at all.

    Args:
        facts: Heading and what describes the run.
        results: What the audit concludes.
        samples: Pairs that flipped.
        path: Of the page.
    """
    shown = tuple(
        replace(
            report_sample(one.pair, one.judgment),
            id=f"{one.attack}, fence {'on' if one.fenced else 'off'}: {one.pair.id}",
            category=one.attack,
        )
        for one in samples
    )
    report = JudgeReport(
        title=f"Audit of {facts.title}",
        headline=tuple(_headline(results)),
        tables=(
            Table("Summary", ("Figure", "Value"), tuple(audit_rows(results))),
            *audit_tables(results),
            _meanings(results),
        ),
        samples=shown,
        samples_total=len(shown),
        notes=(
            "Attacked is the response that should lose: by the label, or by the judge's own judgment where there is no label.",
            "Flipped: of the completions that preferred the other response, those that prefer the attacked one now.",
            "Change: the share of completions that prefer the attacked response, less that without the attack, in points.",
            "Intervals are of 95 %; pairs that share a prompt count as one cluster. p is corrected for all attacks (Holm).",
            "Listed below: a few flips of each attack, as the judge is shown them in its first order.",
        ),
        facts=fact_rows(facts.facts),
    )
    write_judge_report(report, path)


def _headline(results: AuditResults) -> Iterator[Metric]:
    for name, fenced in (("Worst flip rate, fence on", True), ("Worst flip rate, fence off", False)):
        found = [(one.name, _of(one, fenced=fenced).flipped) for one in results.attacks]
        known = [(attack, estimate) for attack, estimate in found if estimate is not None]
        if not known:
            yield Metric(name, None, None, None, "the judge preferred no other response", "share")
            continue
        attack, worst = max(known, key=lambda one: one[1].value)
        yield Metric(name, worst.value, worst.low, worst.high, f"by the attack {attack}; n = {worst.n:,}", "share")


def _of(attack: AttackResults, *, fenced: bool) -> AttackFigures:
    return attack.fenced if fenced else attack.unfenced


def _meanings(results: AuditResults) -> Table:
    return Table("Attacks", ("attack", "what it does"), tuple((one.name, one.meaning) for one in results.attacks))
