"""One benchmark of a report: its figures as bars, its curves, and the tables behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rmr1.benchmarks.audit import CONFIDENCE_EDGES
from rmr1.report.charts import Curve, Series
from rmr1.report.evaluation import Bars, BenchmarkSection
from rmr1.report.figures import Metric
from rmr1.report.tables import Table

Block = Mapping[str, Any]
"""A benchmark of ``results.json``."""
OPEN_BIN = 0.5
"""How far beyond its one edge an open bin is drawn, in powers of two."""
BIAS = {
    "better_is_longer": "the better response is longer",
    "better_is_shorter": "the better response is shorter",
    "better_shown_first": "the better response is shown first",
    "better_shown_second": "the better response is shown second",
}


def score_metric(title: str, protocol: str | None, block: Block) -> Metric:
    """The score of a benchmark, as a card."""
    if protocol is None:
        return Metric(title, None, None, None, "nothing is scored", "share")
    name, figure = next(iter(block["protocols"][protocol]["metrics"].items()))
    lacking = " (not the whole benchmark)" if block["data"].get("problems") else ""
    return _metric(title, figure, f"{name}, protocol {protocol}{lacking}")


def benchmark_section(title: str, protocol: str | None, block: Block) -> BenchmarkSection:
    """All that a report says about one benchmark."""
    if protocol is None:
        return BenchmarkSection(title, "nothing is scored", (), (), (), tuple(_reasons(block)))
    shown = block["protocols"][protocol]
    return BenchmarkSection(
        title=f"{title}, protocol {protocol}",
        policy=f"{shown['policy'][:1].upper()}{shown['policy'][1:]}.",
        bars=tuple(bars for bars in _bars(block, shown) if bars.metrics),
        curves=tuple(_curves(block)),
        tables=tuple(_tables(block)),
        remarks=(*_reasons(block), *block["data"].get("problems", ()), *block["notes"]),
    )


def _bars(block: Block, shown: Block) -> Iterator[Bars]:
    figures = {name: _metric(name, figure, "") for name, figure in shown["metrics"].items()}
    yield Bars("Figures", tuple(figures.values()))
    scores = [(name, next(iter(found["metrics"].values()))) for name, found in block["protocols"].items()]
    yield Bars("Score by protocol", tuple(_metric(name, figure, "") for name, figure in scores))
    consistency = block["orders"]["position_consistency"]
    orders = (_metric("the orders agree", consistency, ""),) if consistency else ()
    found = ((BIAS[name], figure) for name, figure in block["bias"].items() if figure)
    yield Bars("Single completions", (*(_metric(name, figure, "") for name, figure in found), *orders))
    cells = tuple(_metric(name, figure, "") for name, figure in shown["cells"].items() if name not in figures)
    yield Bars("Subsets", cells)


def _curves(block: Block) -> Iterator[Curve]:
    calibration, length = block["calibration"], block["length"]
    if calibration and len(calibration["bins"]) > 1:
        ends = (100 * CONFIDENCE_EDGES[0], 100 * CONFIDENCE_EDGES[-1])
        ideal = Series("as often right as it is sure", tuple((end, end) for end in ends))
        yield Curve(
            f"Accuracy by confidence ({_confidence(calibration)})",
            "comparisons that are right, %",
            "confidence, %",
            (*_with_interval([(100 * one["confidence"], one) for one in calibration["bins"]]), ideal),
        )
    if len(length) > 1:
        yield Curve(
            "Accuracy by length",
            "single completions that are right, %",
            "length of the better response over the other one, powers of two",
            _with_interval([(_middle(one), one) for one in length]),
        )


def _with_interval(shares: Sequence[tuple[float, Mapping[str, Any]]]) -> tuple[Series, ...]:
    names = {"value": "this judge", "high": "95 % interval, upper end", "low": "95 % interval, lower end"}
    return tuple(Series(name, tuple((x, 100 * share[key]) for x, share in shares)) for key, name in names.items())


def _tables(block: Block) -> Iterator[Table]:
    yield Table("What was judged", ("figure", "value"), tuple(_counts(block)))
    calibration, length = block["calibration"], block["length"]
    columns = ("accuracy", "95 %", "n")
    if calibration:
        rows = tuple(
            (f"{100 * one['from']:.0f} to {100 * one['to']:.0f} %", f"{100 * one['confidence']:.1f} %", *_cells(one))
            for one in calibration["bins"]
        )
        yield Table(f"Confidence ({_confidence(calibration)})", ("confidence", "mean", *columns), rows)
    if length:
        lengths = tuple((_times(one), *_cells(one)) for one in length)
        yield Table("Characters of the better response over the other one", ("times", *columns), lengths)


def _counts(block: Block) -> Iterator[tuple[str, str]]:
    judged, orders, calibration = block["judged"], block["orders"], block["calibration"]
    for name in ("items", "pairs", "completions"):
        yield {"pairs": "comparisons"}.get(name, name), f"{judged[name]:,}"
    if judged["unjudged_pairs"]:
        yield "comparisons not judged yet", f"{judged['unjudged_pairs']:,}"
    yield "invalid verdicts", f"{100 * judged['invalid']['share']:.1f} %"
    for reason, count in judged["invalid"]["by_reason"].items():
        yield f"invalid: {reason}", f"{count:,}"
    if orders["kappa"] is not None:
        yield "kappa of the two orders", f"{orders['kappa']:.2f}"
    if orders["first_shown"] is not None:
        yield "verdicts for the response shown first", f"{100 * orders['first_shown']:.1f} %"
    if calibration:
        yield "expected calibration error", f"{100 * calibration['expected_error']:.1f} %"
        yield "comparisons without a preference", f"{calibration['undecided']:,}"
    yield "tokens read", f"{judged['tokens']['prompt_tokens']:,}"
    yield "tokens written", f"{judged['tokens']['completion_tokens']:,}"


def _reasons(block: Block) -> Iterator[str]:
    for protocol, reason in block["not_computed"].items():
        yield f"Protocol {protocol} is not computed: {reason}."


def _metric(name: str, figure: Mapping[str, Any], note: str) -> Metric:
    return Metric(name, figure["value"], figure.get("low"), figure.get("high"), note, "share")


def _confidence(calibration: Mapping[str, Any]) -> str:
    return {"probability": "probability of the letter at the verdict", "votes": "share of the votes"}[calibration["by"]]


def _cells(share: Mapping[str, Any]) -> tuple[str, str, str]:
    return f"{100 * share['value']:.1f} %", f"{100 * share['low']:.1f} to {100 * share['high']:.1f}", f"{share['n']:,}"


def _middle(one: Mapping[str, Any]) -> float:
    low, high = one["from"], one["to"]
    if low is None:
        return float(high) - OPEN_BIN
    return float(low) + OPEN_BIN if high is None else (low + high) / 2


def _times(one: Mapping[str, Any]) -> str:
    low, high = (None if edge is None else f"{2**edge:.2g}" for edge in (one["from"], one["to"]))
    if low is None:
        return f"less than {high}"
    return f"{low} or more" if high is None else f"{low} to {high}"
