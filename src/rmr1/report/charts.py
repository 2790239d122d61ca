"""Curves as line charts: axes of round numbers, paths, points to hover over, and the same in words and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rmr1.report.tables import Table

_FLAT = 1e-9
_TINY = 1e-300
_NEAR_ZERO = 0.5
_PLAIN_FROM, _PLAIN_TO = -4, 6
VIEW_BOX = 1000
_COLOURS = 6
_POINTS = 240
_MARKS = 80
_SHOWN_MARKS = 30
_ROWS = 12
_LARGEST = 1e300
_Point = tuple[float, float | None]
_Known = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart.

    Args:
        name: What the line shows; the label of the vertical axis stands in for an empty one.
        points: x and y in any order. A y that is None or not finite leaves a gap in the line.
    """

    name: str
    points: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """A chart of lines over one horizontal axis, such as the loss over the steps.

    Args:
        title: What the chart is about.
        y_label: The vertical axis, with its unit.
        x_label: The horizontal axis, with its unit.
        series: The lines; thousands of points are thinned for drawing, peaks are kept.
    """

    title: str
    y_label: str
    x_label: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A label and its place on the axis, in percent from its low end."""

    place: float
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A range, and the ticks within it in rising order."""

    low: float
    high: float
    ticks: tuple[Tick, ...]

    def place(self, value: float) -> float:
        """Where a value stands, in percent from the low end."""
        return 100 * min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


def vertical_axis(values: Sequence[float], wanted: int = 5) -> Axis:
    """An axis that ends on ticks; it starts at zero unless the values keep far away from it.

    Args:
        values: At least one, all finite and of a size below 1e300.
        wanted: About how many ticks there should be.
    """
    low, high = min(values), max(values)
    if _is_flat(low, high) or 0 < low <= _NEAR_ZERO * high or _NEAR_ZERO * low <= high < 0:
        low, high = min(low, 0.0), max(high, 0.0)
    if _is_flat(low, high):
        low, high = 0.0, 1.0
    unit, power = _step((high - low) / wanted)
    step = float(Decimal(unit).scaleb(power))
    # A value that misses a tick by a rounding error is on it.
    first, last = math.floor(low / step + _FLAT), math.ceil(high / step - _FLAT)
    return _axis(first * step, last * step, range(first, last + 1), unit, power)


def horizontal_axis(values: Sequence[float], wanted: int = 5) -> Axis:
    """An axis that ends with its values and has its ticks within; whole numbers get whole ticks.

    Args:
        values: At least one, all finite and of a size below 1e300.
        wanted: About how many ticks there should be.
    """
    low, high = min(values), max(values)
    if _is_flat(low, high):
        room = max(1.0, abs(low) / 2)
        low, high = low - room, high + room
    elif 0 < low <= high / wanted:
        low = 0.0
    unit, power = _step((high - low) / wanted)
    if power < 0 and all(value.is_integer() for value in map(float, values)):
        unit, power = 1, 0
    step = float(Decimal(unit).scaleb(power))
    return _axis(low, high, range(math.ceil(low / step - _FLAT), math.floor(high / step + _FLAT) + 1), unit, power)


def _axis(low: float, high: float, indexes: range, unit: int, power: int) -> Axis:
    bare = Axis(low, high, ())
    exact = [Decimal(index * unit).scaleb(power) for index in indexes]
    size = max((abs(value) for value in exact), default=Decimal(0))
    is_plain = power >= _PLAIN_FROM and size < 10**_PLAIN_TO
    ticks = (Tick(round(bare.place(float(value)), 2), _label(value, power, is_plain)) for value in exact)
    return Axis(low, high, tuple(ticks))


def _label(value: Decimal, power: int, is_plain: bool) -> str:
    if is_plain or not value:
        return f"{value:,.{max(0, -power) if value else 0}f}"
    return f"{value.normalize():e}".replace("e+", "e")


def _step(raw: float) -> tuple[int, int]:
    """The next of 1, 2 and 5 times a power of ten, as the factor and the power."""
    power = math.floor(math.log10(raw))
    for unit in (1, 2, 5):
        if raw <= unit * 10.0**power * (1 + _FLAT):
            return unit, power
    return 1, power + 1


def _is_flat(low: float, high: float) -> bool:
    """Whether two values are too close to each other for ticks between them."""
    return high - low <= max(_FLAT * max(abs(low), abs(high)), _TINY)


@dataclass(frozen=True, slots=True)
class Mark:
    """A point to hover over, in percent from the left and from the top."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A drawn series.

    Args:
        name: Its name.
        colour: Number of its colour and dash, from 1.
        path: SVG path data in a view box of ``VIEW_BOX`` units each way.
        marks: Points to hover over.
        has_dots: Whether they are few enough to be seen.
        last: Its last value in words, or "" where it has none.
    """

    name: str
    colour: int
    path: str
    marks: tuple[Mark, ...]
    has_dots: bool
    last: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn curve. ``lines`` is empty where there is no point to draw."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    description: str
    table: Table
    remarks: tuple[str, ...]


def draw(curve: Curve) -> Chart:
    """Lay a curve out."""
    series = [_in_order(one) for one in curve.series]
    known = [list(_known(points)) for points in series]
    every = [point for points in known for point in points]
    remarks = tuple(_remarks(curve, series))
    table = _table(curve, known)
    if not every:
        return Chart((), (), (), "", table, remarks)
    x_axis = horizontal_axis([x for x, _ in every])
    y_axis = vertical_axis([y for _, y in every])
    lines = tuple(
        _line(_name(one, curve), number, thin(points), curve.x_label, x_axis, y_axis)
        for number, (one, points) in enumerate(zip(curve.series, series, strict=True))
    )
    return Chart(x_axis.ticks, y_axis.ticks, lines, _description(curve, known), table, remarks)


def thin(points: Sequence[_Point], limit: int = _POINTS) -> list[_Point]:
    """At most about ``limit`` of the points, with the peaks, the ends, and the long gaps."""
    if len(points) <= limit:
        return list(points)
    known = [index for index, (_, y) in enumerate(points) if y is not None]
    kept = {known[0], known[-1]} if known else set()
    size = math.ceil(2 * len(points) / limit)
    for start in range(0, len(points), size):
        bucket = range(start, min(start + size, len(points)))
        heights = {index: y for index in bucket if (y := points[index][1]) is not None}
        kept |= {min(heights, key=heights.__getitem__), max(heights, key=heights.__getitem__)} if heights else {start}
    return [points[index] for index in sorted(kept)]


def _name(series: Series, curve: Curve) -> str:
    """What to call a series; a curve of one line often leaves it without a name."""
    return series.name or curve.y_label or curve.title


def _is_drawable(value: float | None) -> bool:
    # Differences of larger numbers overflow, and NaN compares with nothing.
    return value is not None and abs(value) < _LARGEST


def _in_order(series: Series) -> list[_Point]:
    """The points from left to right, with None for every height that cannot be drawn."""
    points = ((x, y if _is_drawable(y) else None) for x, y in series.points if _is_drawable(x))
    return sorted(points, key=lambda point: point[0])


def _known(points: Sequence[_Point]) -> Iterator[_Known]:
    return ((x, y) for x, y in points if y is not None)


def _line(name: str, number: int, points: Sequence[_Point], x_label: str, x_axis: Axis, y_axis: Axis) -> Line:
    known = list(_known(points))
    every = math.ceil(len(known) / _MARKS) or 1
    chosen = [*known[:-1:every], *known[-1:]]
    marks = tuple(
        Mark(
            round(x_axis.place(x), 2),
            round(100 - y_axis.place(y), 2),
            f"{name}: {number_text(y)} ({x_label} {number_text(x)})",
        )
        for x, y in chosen
    )
    last = number_text(known[-1][1]) if known else ""
    path = _path(points, x_axis, y_axis)
    return Line(name, number % _COLOURS + 1, path, marks, len(known) <= _SHOWN_MARKS, last)


def _path(points: Sequence[_Point], x_axis: Axis, y_axis: Axis) -> str:
    """Path data; a gap begins a new stretch, and a lone point is a stretch of no length, which round caps make a dot."""
    parts: list[str] = []
    stretch = 0
    for x, y in [*points, (0.0, None)]:
        if y is None:
            parts += ["h0"] if stretch == 1 else []
            stretch = 0
            continue
        scale = VIEW_BOX / 100
        parts.append(f"{'L' if stretch else 'M'}{scale * x_axis.place(x):.1f} {VIEW_BOX - scale * y_axis.place(y):.1f}")
        stretch += 1
    return "".join(parts)


def _description(curve: Curve, known: Sequence[Sequence[_Known]]) -> str:
    """The chart in words, for those who cannot see it."""
    return f"{curve.y_label or curve.title} by {curve.x_label}. " + " ".join(
        f"{_name(one, curve)}: {_summary(points)}." for one, points in zip(curve.series, known, strict=True)
    )


def _summary(points: Sequence[_Known]) -> str:
    if not points:
        return "no points"
    heights = [y for _, y in points]
    (first_x, first), (last_x, last) = points[0], points[-1]
    return (
        f"{number_text(first)} at {number_text(first_x)}, {number_text(last)} at {number_text(last_x)}, "
        f"lowest {number_text(min(heights))}, highest {number_text(max(heights))}"
    )


def _remarks(curve: Curve, series: Sequence[Sequence[_Point]]) -> Iterator[str]:
    for one in curve.series:
        bad = sum(not _is_drawable(x) or (y is not None and not _is_drawable(y)) for x, y in one.points)
        if bad:
            yield f"{_name(one, curve)}: points that are not finite numbers are left out ({bad:,} of {len(one.points):,})."
    longest = max(map(len, series), default=0)
    if longest > _POINTS:
        yield f"Thinned for drawing, from up to {longest:,} points a line; the peaks are kept."


def _table(curve: Curve, known: Sequence[Sequence[_Known]]) -> Table:
    """A few points of every series, with all that was measured at the same place."""
    places = sorted({x for points in known for x, _ in _spread(points)})
    heights = [dict(points) for points in known]
    rows = tuple((number_text(x), *(number_text(by_x[x]) if x in by_x else "" for by_x in heights)) for x in places)
    return Table(curve.title, (curve.x_label, *(_name(one, curve) for one in curve.series)), rows)


def _spread(points: Sequence[_Known]) -> list[_Known]:
    """Up to ``_ROWS`` points at even distances, the first and the last among them."""
    if len(points) <= _ROWS:
        return list(points)
    return [points[round(index * (len(points) - 1) / (_ROWS - 1))] for index in range(_ROWS)]


def number_text(value: float) -> str:
    """A coordinate in words: whole numbers whole, others to four digits."""
    if abs(value) < 1e15 and float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.1f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
