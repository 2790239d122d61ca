"""The HTML report of a distillation: the counts, and the first pairs with everything that was written about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rmr1.distillation.assess import RULE
from rmr1.distillation.job import DistillResult
from rmr1.distillation.results import OUTCOMES, Concluded
from rmr1.judging import combine, report_sample
from rmr1.records import PreferencePair
from rmr1.report.console import distill_rows, share
from rmr1.report.figures import Metric
from rmr1.report.judge import JudgeReport
from rmr1.report.samples import Sample, Status
from rmr1.report.tables import Table


def distill_report(title: str, identity: Mapping[str, Any], result: DistillResult) -> JudgeReport:
    """Build the report of a run.

    Args:
        title: Heading.
        identity: The run's identity, shown as its facts.
        result: What the run left behind.
    """
    results = result.results
    total = results["comparisons"]
    with_trace = results["kept"] + results["repaired"]
    tables = [Table("Summary", ("Figure", "Value"), tuple(distill_rows(results)))]
    if set(results["by_category"]) > {""}:
        rows = tuple(
            (name or "none", *(str(counts.get(outcome, 0)) for outcome in OUTCOMES))
            for name, counts in results["by_category"].items()
        )
        tables.append(Table("Comparisons by category", ("Category", *OUTCOMES), rows))
    samples = tuple(sample for pair, concluded in result.first if (sample := _sample(pair, concluded)) is not None)
    return JudgeReport(
        title=title,
        facts=tuple((name.replace("_", " "), str(value)) for name, value in identity.items() if value is not None),
        headline=(
            _metric("Comparisons with a trace", with_trace, total, "kept from the teacher or repaired"),
            _metric("Kept from the teacher", results["kept"], total, "right at the first pass"),
            _metric("Repaired", results["repaired"], total, "right at the second pass, without leaking the hint"),
            _metric("Rejected", results["rejected"], total, "no try was right"),
        ),
        tables=tuple(tables),
        samples=samples,
        samples_total=results["pairs"],
        notes=(
            "A sample is right where every comparison of the pair has a trace, and wrong or invalid after its last try.",
            "The completion with the highest vote of an order is the repairer's, where there was a second pass.",
            f"{share(with_trace / total if total else None)} of the comparisons have a trace; rejected.jsonl has the rest.",
        ),
    )


def _metric(name: str, count: int, total: int, note: str) -> Metric:
    return Metric(name, count / total if total else None, None, None, note, "share")


def _sample(pair: PreferencePair, concluded: Sequence[Concluded]) -> Sample | None:
    # A repair has the place of the teacher's first try; the report numbers it after them.
    tries = [
        replace(a_try.sample, index=2 * a_try.sample.index + a_try.number, vote=a_try.sample.vote + a_try.number - 1)
        for one in concluded
        for a_try in one.tries
    ]
    if not tries:
        return None
    judgment = combine(tries, RULE)
    return replace(report_sample(pair, judgment), status=_status(concluded))


def _status(concluded: Sequence[Concluded]) -> Status:
    bad = [one for one in concluded if one.outcome not in ("kept", "repaired")]
    if not bad:
        return "right"
    last = [one.tries[-1].assessment.reason for one in bad if one.tries]
    return "wrong" if "wrong_verdict" in last else "invalid"
