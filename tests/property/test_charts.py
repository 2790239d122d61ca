"""A chart of any numbers stays in its frame, with ticks that rise and labels that differ."""

from __future__ import annotations

import itertools
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from rmr1.report.charts import VIEW_BOX, Axis, Curve, Series, draw, horizontal_axis, vertical_axis

ANY = st.floats() | st.integers(-(10**7), 10**7).map(float)
SIZED = st.floats(-1e299, 1e299) | st.integers(-1000, 1000).map(float)
POINTS = st.lists(st.tuples(ANY, st.none() | ANY), max_size=300)


@given(st.lists(POINTS, max_size=3))
@settings(max_examples=100, deadline=None)
def test_any_points_are_drawn_inside_the_frame(lines: list[list[tuple[float, float | None]]]) -> None:
    chart = draw(Curve("c", "y", "x", tuple(Series(str(number), tuple(points)) for number, points in enumerate(lines))))
    for line in chart.lines:
        assert re.fullmatch(r"(M[\d.]+ [\d.]+(L[\d.]+ [\d.]+|h0)*)*", line.path)
        assert all(0 <= float(number) <= VIEW_BOX for number in re.findall(r"\d+\.\d", line.path))
        assert all(0 <= mark.x <= 100 and 0 <= mark.y <= 100 for mark in line.marks)


@given(st.lists(SIZED, min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_ticks_rise_and_differ(values: list[float]) -> None:
    for axis in (horizontal_axis(values), vertical_axis(values)):
        check(axis)
        # A value may miss the last tick by less than can be seen.
        slack = 1e-8 * (axis.high - axis.low)
        assert axis.low <= min(values) + slack
        assert axis.high >= max(values) - slack


def check(axis: Axis) -> None:
    assert 2 <= len(axis.ticks) <= 9
    assert all(0 <= tick.place <= 100 for tick in axis.ticks)
    assert all(one.place < other.place for one, other in itertools.pairwise(axis.ticks))
    assert len({tick.label for tick in axis.ticks}) == len(axis.ticks)
