"""The axes of a chart: a range of round numbers, and the labels on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

_FLAT = 1e-9
_TINY = 1e-300
_NEAR_ZERO = 0.5
_PLAIN_FROM, _PLAIN_TO = -4, 6


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
