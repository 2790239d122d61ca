"""What came of every comparison: the trace files, and counts that add up.

Each comparison is exactly one of ``kept`` (a trace of the teacher is right), ``repaired`` (one of the repairer), ``rejected`` (the
last try failed; ``by_reason`` says why), ``faulted`` (the engine failed on it in this process) and ``left`` (not asked yet).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rmr1.config import DistillConfig, cost
from rmr1.distillation.assess import Assessment, assess
from rmr1.distillation.requests import orders_of
from rmr1.distillation.written import WrittenPass
from rmr1.judging import Completion
from rmr1.records import Comparison, PreferencePair, Usage

Outcome = Literal["kept", "repaired", "rejected", "faulted", "left"]
OUTCOMES: tuple[Outcome, ...] = ("kept", "repaired", "rejected", "faulted", "left")
Write = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Try:
    """One written completion with what came of it. ``number`` is 1 for the teacher's pass, 2 for the repairer's."""

    number: int
    sample: Completion
    assessment: Assessment


@dataclass(frozen=True, slots=True)
class Concluded:
    """A comparison with all its tries and its outcome; ``whole`` is false where more tries could follow."""

    comparison: Comparison
    tries: tuple[Try, ...]
    outcome: Outcome
    whole: bool


def conclude(
    number: int, pair: PreferencePair, first: WrittenPass, second: WrittenPass | None, config: DistillConfig
) -> Iterator[Concluded]:
    """What came of each comparison of a pair."""
    comparisons = list(first.writer.plan.comparisons(pair))
    for order in range(orders_of(config)):
        start = order * config.samples
        tries, kept = [], 0
        for index in range(start, start + config.samples):
            sample = first.sample(number, index) if kept < config.keep else None
            if sample is None:
                break
            judged = assess(sample, require_format=config.require_format, keep_think=config.keep_think)
            tries.append(Try(1, sample, judged))
            kept += judged.reason is None
        whole = kept >= config.keep or len(tries) == config.samples
        next_place = start + len(tries)
        outcome: Outcome = "kept" if kept else "rejected"
        faulted = not whole and first.faulted(number, next_place)
        if whole and not kept and second is not None:
            sample = second.sample(number, order)
            whole, faulted = sample is not None, second.faulted(number, order)
            if sample is not None:
                judged = assess(sample, require_format=config.require_format, keep_think=config.keep_think, told=pair)
                tries.append(Try(2, sample, judged))
                outcome = "repaired" if judged.reason is None else "rejected"
        if not whole and not kept:
            outcome = "faulted" if faulted else "left"
        yield Concluded(comparisons[start], tuple(tries), outcome, whole)


class Results:
    """Counts comparisons, and writes their traces and their rejected tries.

    Args:
        first: The teacher's pass.
        second: The repairer's, if there is one.
        config: What was asked for.
        traces: Takes the rows of ``traces.jsonl``.
        rejected: Takes those of ``rejected.jsonl``.
    """

    def __init__(
        self, first: WrittenPass, second: WrittenPass | None, config: DistillConfig, traces: Write, rejected: Write
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
        self._pairs = self._traces = 0
        self._whole = True

    def add(self, number: int, pair: PreferencePair) -> list[Concluded]:
        """Count and write one pair; pairs come in the order of the source."""
        self._pairs += 1
        concluded = list(conclude(number, pair, self._first, self._second, self._config))
        for one in concluded:
            self._count(pair, one)
            for a_try in one.tries:
                if a_try.assessment.reason is None:
                    self._write_trace(self._row(pair, one.comparison, a_try))
                else:
                    self._write_rejected(self._rejected_row(one.comparison, a_try))
        return concluded

    def results(self) -> dict[str, Any]:
        """Everything as JSON; the same for the same answers, whatever happened on the way."""
        passes = {"teacher": self._pass(1, self._first)}
        if self._second is not None:
            passes["repairer"] = self._pass(2, self._second)
        return {
            "pairs": self._pairs,
            "comparisons": sum(self._outcomes.values()),
            **{outcome: self._outcomes[outcome] for outcome in OUTCOMES},
            "rejected_by_reason": dict(sorted(self._reasons.items())),
            "complete": self._whole,
            "traces": self._traces,
            "traces_by_label": dict(sorted(self._labels.items())),
            "problems": dict(sorted(self._problems.items())),
            "leaked_hints": dict(sorted(self._hints.items())),
            "by_category": {name: dict(sorted(counts.items())) for name, counts in sorted(self._categories.items())},
            "passes": passes,
            "tokens": asdict(sum((one.usage for one in self._passes.values()), Usage())),
            "cost": _total(one["cost"] for one in passes.values()),
        }

    def _count(self, pair: PreferencePair, one: Concluded) -> None:
        self._outcomes[one.outcome] += 1
        self._whole = self._whole and one.whole
        self._categories.setdefault(pair.category, Counter())[one.outcome] += 1
        if one.outcome == "rejected":
            self._reasons[str(one.tries[-1].assessment.reason)] += 1
        for a_try in one.tries:
            counted, judged = self._passes[a_try.number], a_try.assessment
            counted.usage += a_try.sample.usage
            counted.reasons[judged.reason or ""] += 1
            self._hints.update(judged.hints)
            if judged.reason is None:
                self._traces += 1
                self._labels[judged.gold] += 1
                self._problems.update(judged.problems)

    def _pass(self, number: int, written: WrittenPass) -> dict[str, Any]:
        counted = self._passes[number]
        prices = written.writer.prices
        return {
            "engine": written.writer.engine.name,
            "answered": sum(counted.reasons.values()),
            "right": counted.reasons[""],
            "rejected": {reason: count for reason, count in sorted(counted.reasons.items()) if reason},
            "tokens": asdict(counted.usage),
            "cost": None if prices is None else round(cost(counted.usage, prices), 6),
        }

    def _row(self, pair: PreferencePair, comparison: Comparison, a_try: Try) -> dict[str, Any]:
        _, prompt = self._first.writer.plan.request(comparison)
        return {
            "prompt": [{"role": message.role, "content": message.content} for message in prompt.messages],
            "completion": [{"role": "assistant", "content": a_try.assessment.trace}],
            "id": self._name(comparison, a_try),
            "label": a_try.assessment.gold,
            "origin": "teacher" if a_try.number == 1 else "repairer",
            "category": pair.category,
            "group": pair.group,
            "problems": ", ".join(a_try.assessment.problems),
        }

    def _rejected_row(self, comparison: Comparison, a_try: Try) -> dict[str, Any]:
        judged = a_try.assessment
        return {
            "id": self._name(comparison, a_try),
            "pass": a_try.number,
            "reason": judged.reason,
            "label": judged.gold,
            "verdict": judged.side,
            "problems": ", ".join(judged.problems),
            "hints": ", ".join(judged.hints),
            "trace": judged.trace,
        }

    def _name(self, comparison: Comparison, a_try: Try) -> str:
        name = f"{comparison.pair_id}/{comparison.order}"
        single = self._config.samples == 1 or (self._config.keep == 1 and a_try.assessment.reason is None)
        return name if single else f"{name}/{a_try.sample.vote}"


class _Pass:
    def __init__(self) -> None:
        self.usage = Usage()
        self.reasons: Counter[str] = Counter()


def _total(costs: Iterable[float | None]) -> float | None:
    known = [one for one in costs if one is not None]
    return round(sum(known), 6) if known else None
