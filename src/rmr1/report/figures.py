"""Figures as a page shows them: in words, and as positions of a drawing."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rmr1.report.tables import Table
from rmr1.results import Estimate, Figure

Unit = Literal["share", "number"]
MISSING = "n/a"
_FIXED = "\N{NO-BREAK SPACE}"
_WITH_INTERVAL = 3
_NUMBER = r"<?[-+−±]?\d[\d,.]*([eE][-+]?\d+)?( ?(%|s|ms|/s))?"
_NUMERIC = re.compile(rf"{_NUMBER}( (to|±) {_NUMBER})?|[-–—]|n/a|")


@dataclass(frozen=True, slots=True)
class Metric:
    """A headline figure.

    Args:
        name: What is measured.
        value: The figure; None (or a number that is not finite) is shown as not available.
        low: Lower end of the 95 % interval; the interval is drawn where both ends are known.
        high: Upper end of the 95 % interval.
        note: The policy behind the figure, such as "ties and invalid count as wrong".
        unit: "share" is a part of 1, drawn on a scale from 0 to 100 %; "number" has a scale of its own.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    note: str
    unit: Unit


@dataclass(frozen=True, slots=True)
class Bar:
    """A drawn metric: positions on its axis in percent, and the labels of the axis."""

    start: float
    end: float
    low: float | None
    high: float | None
    ticks: tuple[str, ...]


def noted(note: str, estimate: Estimate | Figure) -> str:
    """The note of a metric, with what it is a share of and what qualifies its interval."""
    size = f"n{_FIXED}={_FIXED}{estimate.n:,}" if estimate.n else ""
    prompts = "" if not estimate.clusters else f", {estimate.clusters:,} prompt{'s' * (estimate.clusters != 1)}"
    caveat = f"interval {estimate.caveat}" if estimate.caveat else ""
    return "; ".join(part for part in (note, size + prompts, caveat) if part)


def is_known(value: float | None) -> bool:
    """Whether there is a value, and a finite one."""
    return value is not None and math.isfinite(value)


def figure(value: float | None, unit: Unit) -> str:
    """A value in words; an unknown one is not available."""
    if value is None or not math.isfinite(value):
        return MISSING
    if unit == "share":
        return f"{100 * value:.1f} %"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def interval(metric: Metric) -> str:
    """The interval in words, or "" where there is none."""
    if not (is_known(metric.value) and is_known(metric.low) and is_known(metric.high)):
        return ""
    return f"{figure(metric.low, metric.unit)} to {figure(metric.high, metric.unit)}"


def bars(metrics: Sequence[Metric | None]) -> tuple[Bar | None, ...]:
    """The drawings of metrics of one unit on one scale.

    A bare number alone is not drawn: it has no scale to be drawn on.
    """
    known = [_known_values(metric) for metric in metrics]
    scale = _scale(known, {metric.unit for metric in metrics if metric is not None})
    return tuple(_draw(values, *scale) if scale and values else None for values in known)


def bar(metric: Metric) -> Bar | None:
    """The drawing of a metric on a scale of its own."""
    return bars([metric])[0]


def _known_values(metric: Metric | None) -> tuple[float, ...]:
    """The value with the known ends of its interval, or nothing where the value is unknown."""
    if metric is None or not is_known(metric.value):
        return ()
    return tuple(x for x in (metric.value, metric.low, metric.high) if x is not None and math.isfinite(x))


def _scale(known: Sequence[tuple[float, ...]], units: set[Unit]) -> tuple[float, float, tuple[str, ...]] | None:
    """Bottom, top and labels of an axis for all values."""
    if "share" in units:
        return 0.0, 1.0, ("0", "50", "100 %")
    values = [value for one in known for value in one]
    has_scale = any(len(one) == _WITH_INTERVAL for one in known) or sum(map(bool, known)) > 1
    if not has_scale or not any(values):
        return None
    bottom, top = 0.0 - _round_up(-min(values)), _round_up(max(values))
    return bottom, top, tuple(figure(tick, "number") for tick in (bottom, (bottom + top) / 2, top))


def _draw(values: tuple[float, ...], bottom: float, top: float, ticks: tuple[str, ...]) -> Bar:
    def place(value: float) -> float:
        return round(100 * min(max((value - bottom) / (top - bottom), 0.0), 1.0), 2)

    start, end = sorted((place(0.0), place(values[0])))
    low, high = (place(values[1]), place(values[2])) if len(values) == _WITH_INTERVAL else (None, None)
    return Bar(start, end, low, high, ticks)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 and 10 times a power of ten, or 0 where ``value`` is not positive."""
    if value <= 0:
        return 0.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 4, 6, 8) if value <= step * power), 10 * power)


def numeric_columns(table: Table) -> tuple[bool, ...]:
    """Which columns to set flush right; the first, which names the rows, never."""
    return tuple(
        index > 0
        and any(row[index] for row in table.rows)
        and all(_NUMERIC.fullmatch(row[index]) for row in table.rows)
        for index in range(len(table.columns))
    )
