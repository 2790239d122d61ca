"""What came of every comparison: the trace files, counts that add up, and the report.

Each comparison is exactly one of ``kept`` (a trace of the teacher is right), ``repaired`` (one of the repairer), ``rejected`` (the
last attempt failed; ``by_reason`` says why), ``faulted`` (the engine failed on it in this process) and ``left`` (not tried yet).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rmr1.config import DistillConfig, cost
from rmr1.distillation.assessment import RULE, Assessment, assess
from rmr1.distillation.passes import DistillPass, orders_of
from rmr1.judging import Completion, combine
from rmr1.records import Comparison, PreferencePair, Usage
from rmr1.report.console import distill_rows
from rmr1.report.figures import Metric
from rmr1.report.judge import JudgeReport, report_sample
from rmr1.report.pairs import share
from rmr1.report.samples import Sample, Status
from rmr1.report.tables import Table, fact_rows
from rmr1.results import DistillPassResults, DistillResults

Outcome = Literal["kept", "repaired", "rejected", "faulted", "left"]
OUTCOMES: tuple[Outcome, ...] = ("kept", "repaired", "rejected", "faulted", "left")
Write = Callable[[Mapping[str, object]], None]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One completion with what came of it. ``number`` is 1 for the teacher's pass, 2 for the repairer's."""

    number: int
    completion: Completion
    assessment: Assessment


@dataclass(frozen=True, slots=True)
class ComparisonOutcome:
    """A comparison with all its attempts and its outcome; ``whole`` is false where more attempts could follow."""

    comparison: Comparison
    attempts: tuple[Attempt, ...]
    outcome: Outcome
    whole: bool


def conclude(
    number: int, pair: PreferencePair, first: DistillPass, second: DistillPass | None, config: DistillConfig
) -> Iterator[ComparisonOutcome]:
    """What came of each comparison of a pair."""
    comparisons = list(first.writer.plan.comparisons(pair))
    for order in range(orders_of(config)):
        start = order * config.samples
        attempts, kept = [], 0
        for index in range(start, start + config.samples):
            completion = first.completion(number, index) if kept < config.keep else None
            if completion is None:
                break
            judged = assess(completion, require_format=config.require_format, keep_think=config.keep_think)
            attempts.append(Attempt(1, completion, judged))
            kept += judged.reason is None
        whole = kept >= config.keep or len(attempts) == config.samples
        next_place = start + len(attempts)
        outcome: Outcome = "kept" if kept else "rejected"
        faulted = not whole and first.faulted(number, next_place)
        if whole and not kept and second is not None:
            completion = second.completion(number, order)
            whole, faulted = completion is not None, second.faulted(number, order)
            if completion is not None:
                judged = assess(
                    completion, require_format=config.require_format, keep_think=config.keep_think, hinted=pair
                )
                attempts.append(Attempt(2, completion, judged))
                outcome = "repaired" if judged.reason is None else "rejected"
        if not whole and not kept:
            outcome = "faulted" if faulted else "left"
        yield ComparisonOutcome(comparisons[start], tuple(attempts), outcome, whole)


class TraceWriter:
    """Counts comparisons, and writes their traces and their rejected attempts.

    Args:
        first: The teacher's pass.
        second: The repairer's, if there is one.
        config: How to distil.
        traces: Takes the rows of ``traces.jsonl``.
        rejected: Takes those of ``rejected.jsonl``.

    Attributes:
        pairs: Pairs that were added.
    """

    def __init__(
        self, first: DistillPass, second: DistillPass | None, config: DistillConfig, traces: Write, rejected: Write
    ) -> None:
        self._first = first
        self._second = second
        self._config = config
        self._write_trace = traces
        self._write_rejected = rejected
        self._outcomes: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._categories: dict[str, Counter[str]] = {}
        self._passes = {1: _Pass(), 2: _Pass()}
        self._labels: Counter[str] = Counter()
        self._problems: Counter[str] = Counter()
        self._hints: Counter[str] = Counter()
        self.pairs = self._traces = 0
        self._whole = True

    def add(self, number: int, pair: PreferencePair) -> list[ComparisonOutcome]:
        """Count and write one pair; pairs come in the order of the source."""
        self.pairs += 1
        concluded = list(conclude(number, pair, self._first, self._second, self._config))
        for one in concluded:
            self._count(pair, one)
            for attempt in one.attempts:
                if attempt.assessment.reason is None:
                    self._write_trace(self._row(pair, one.comparison, attempt))
                else:
                    self._write_rejected(self._rejected_row(one.comparison, attempt))
        return concluded

    def results(self) -> DistillResults:
        """What the distillation comes to; the same for the same answers, whatever happened on the way."""
        passes = {"teacher": self._pass(1, self._first)}
        if self._second is not None:
            passes["repairer"] = self._pass(2, self._second)
        known = [one.cost for one in passes.values() if one.cost is not None]
        return DistillResults(
            pairs=self.pairs,
            comparisons=sum(self._outcomes.values()),
            kept=self._outcomes["kept"],
            repaired=self._outcomes["repaired"],
            rejected=self._outcomes["rejected"],
            faulted=self._outcomes["faulted"],
            left=self._outcomes["left"],
            rejected_by_reason=dict(sorted(self._reasons.items())),
            complete=self._whole,
            traces=self._traces,
            traces_by_label=dict(sorted(self._labels.items())),
            problems=dict(sorted(self._problems.items())),
            leaked_hints=dict(sorted(self._hints.items())),
            by_category={name: dict(sorted(counts.items())) for name, counts in sorted(self._categories.items())},
            passes=passes,
            tokens=sum((one.usage for one in self._passes.values()), Usage()),
            cost=round(sum(known), 6) if known else None,
        )

    def _count(self, pair: PreferencePair, one: ComparisonOutcome) -> None:
        self._outcomes[one.outcome] += 1
        self._whole = self._whole and one.whole
        self._categories.setdefault(pair.category, Counter())[one.outcome] += 1
        if one.outcome == "rejected":
            self._reasons[str(one.attempts[-1].assessment.reason)] += 1
        for attempt in one.attempts:
            counted, judged = self._passes[attempt.number], attempt.assessment
            counted.usage += Usage() if attempt.completion.from_cache else attempt.completion.usage
            counted.reasons[judged.reason or ""] += 1
            self._hints.update(judged.hints)
            if judged.reason is None:
                self._traces += 1
                self._labels[judged.gold] += 1
                self._problems.update(judged.problems)

    def _pass(self, number: int, distilling: DistillPass) -> DistillPassResults:
        counted, prices = self._passes[number], distilling.writer.prices
        return DistillPassResults(
            engine=distilling.writer.engine.name,
            answered=sum(counted.reasons.values()),
            right=counted.reasons[""],
            rejected={reason: count for reason, count in sorted(counted.reasons.items()) if reason},
            tokens=counted.usage,
            cost=None if prices is None else round(cost(counted.usage, prices), 6),
        )

    def _row(self, pair: PreferencePair, comparison: Comparison, attempt: Attempt) -> dict[str, object]:
        _, prompt = self._first.writer.plan.request(comparison)
        return {
            "prompt": [{"role": message.role, "content": message.content} for message in prompt.messages],
            "completion": [{"role": "assistant", "content": attempt.assessment.trace}],
            "id": self._name(comparison, attempt),
            "label": attempt.assessment.gold,
            "origin": "teacher" if attempt.number == 1 else "repairer",
            "category": pair.category,
            "group": pair.group,
            "problems": ", ".join(attempt.assessment.problems),
        }

    def _rejected_row(self, comparison: Comparison, attempt: Attempt) -> dict[str, object]:
        judged = attempt.assessment
        return {
            "id": self._name(comparison, attempt),
            "pass": attempt.number,
            "reason": judged.reason,
            "label": judged.gold,
            "verdict": judged.side,
            "problems": ", ".join(judged.problems),
            "hints": ", ".join(judged.hints),
            "trace": judged.trace,
        }

    def _name(self, comparison: Comparison, attempt: Attempt) -> str:
        name = f"{comparison.pair_id}/{comparison.order}"
        single = self._config.samples == 1 or (self._config.keep == 1 and attempt.assessment.reason is None)
        return name if single else f"{name}/{attempt.completion.vote}"


class _Pass:
    def __init__(self) -> None:
        self.usage = Usage()
        self.reasons: Counter[str] = Counter()


def distill_report(
    title: str,
    results: DistillResults,
    distilled: Iterable[tuple[PreferencePair, Sequence[ComparisonOutcome]]],
    facts: Mapping[str, object],
) -> JudgeReport:
    """Build the report of a run.

    Args:
        title: Heading.
        results: What the run concludes.
        distilled: The pairs to list, with what came of their comparisons.
        facts: What describes the run.
    """
    total = results.comparisons
    with_trace = results.kept + results.repaired
    tables = [Table("Summary", ("Figure", "Value"), tuple(distill_rows(results)))]
    if set(results.by_category) > {""}:
        rows = tuple(
            (name or "none", *(str(counts.get(outcome, 0)) for outcome in OUTCOMES))
            for name, counts in results.by_category.items()
        )
        tables.append(Table("Comparisons by category", ("Category", *OUTCOMES), rows))
    samples = tuple(sample for pair, outcomes in distilled if (sample := _sample(pair, outcomes)) is not None)
    return JudgeReport(
        title=title,
        headline=(
            _metric("Comparisons with a trace", with_trace, total, "kept from the teacher or repaired"),
            _metric("Kept from the teacher", results.kept, total, "right at the first pass"),
            _metric("Repaired", results.repaired, total, "right at the second pass, without leaking the hint"),
            _metric("Rejected", results.rejected, total, "no attempt was right"),
        ),
        tables=tuple(tables),
        samples=samples,
        samples_total=results.pairs,
        notes=(
            "A pair is right if all its comparisons have a trace, else wrong or invalid by their last attempts.",
            "The completion with the highest vote of an order is the repairer's, if there was a second pass.",
            f"{share(with_trace / total if total else None)} of the comparisons have a trace; rejected.jsonl has the rest.",
        ),
        facts=fact_rows(facts),
    )


def _metric(name: str, count: int, total: int, note: str) -> Metric:
    return Metric(name, count / total if total else None, None, None, note, "share")


def _sample(pair: PreferencePair, outcomes: Sequence[ComparisonOutcome]) -> Sample | None:
    # A repair has the place of the teacher's first attempt; the report numbers it after them.
    attempts = [
        replace(
            attempt.completion,
            index=2 * attempt.completion.index + attempt.number,
            vote=attempt.completion.vote + attempt.number - 1,
        )
        for one in outcomes
        for attempt in one.attempts
    ]
    if not attempts:
        return None
    judgment = combine(attempts, RULE)
    return replace(report_sample(pair, judgment), status=_status(outcomes))


def _status(outcomes: Sequence[ComparisonOutcome]) -> Status:
    bad = [one for one in outcomes if one.outcome not in ("kept", "repaired")]
    if not bad:
        return "right"
    last = [one.attempts[-1].assessment.reason for one in bad if one.attempts]
    return "wrong" if "wrong_verdict" in last else "invalid"
