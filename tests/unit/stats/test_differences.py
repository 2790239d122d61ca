"""Whether two judges differ: intervals and tests hold what they promise, on clustered data and on few, too."""

import itertools
import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from rmr1.stats import Average, Observations, adjusted, cohen_kappa, paired_differences, sign_test
from tests.support.statistics import drawn, layout

RUNS = 1000


@pytest.mark.parametrize("per_prompt", [1, 9])
def test_the_interval_of_a_difference_holds_the_truth_in_95_of_100_runs(per_prompt):
    generator = numpy.random.default_rng(3)
    prompts = (60, 90)
    first, second = layout(prompts, per_prompt), layout(prompts, per_prompt)
    figures = {"mean": Average(("c0", "c1"))}
    held = 0
    for _ in range(RUNS):
        first.sums = drawn(generator, prompts, (0.6, 0.8), per_prompt)
        second.sums = drawn(generator, prompts, (0.7, 0.8), per_prompt)
        found = paired_differences(first, second, figures)["mean"]
        held += found.low <= 0.05 <= found.high
    assert 0.93 <= held / RUNS <= 0.97


@pytest.mark.parametrize(("prompts", "per_prompt"), [((8,), 9), ((3, 10, 40), 1), ((300,), 1), ((4,) * 5, 3)])
def test_equal_judges_are_seldom_told_apart_however_few_the_prompts(prompts, per_prompt):
    generator = numpy.random.default_rng(5)
    first, second = layout(prompts, per_prompt), layout(prompts, per_prompt)
    figures = {"mean": Average(tuple(first.cells))}
    held = rejected = 0
    for _ in range(400):
        first.sums, second.sums = (drawn(generator, prompts, (0.8,) * len(prompts), per_prompt) for _ in range(2))
        found = paired_differences(first, second, figures)["mean"]
        held += found.low <= 0 <= found.high
        rejected += found.p < 0.05
    assert held / 400 >= 0.93
    assert rejected / 400 <= 0.07


def test_the_same_judge_twice_does_not_differ_and_that_few_prompts_agree_leaves_doubt():
    figures = {"mean": Average(("c0", "c1")), "absent": Average(("x",))}
    ends = []
    for size in (4, 40, 400):
        first = layout((size, size), 3)
        first.sums = drawn(numpy.random.default_rng(1), (size, size), (0.5, 0.6), 3)
        same = paired_differences(first, first, figures)
        assert list(same) == ["mean"]
        assert (same["mean"].value, same["mean"].p) == (0.0, 1.0)
        assert same["mean"].low == -same["mean"].high < 0
        ends.append(same["mean"].high)
    assert ends[0] > ends[1] > ends[2] and ends[2] < 0.01


def test_judges_that_differ_are_told_apart():
    first, second = layout((40, 40), 3), layout((40, 40), 3)
    generator = numpy.random.default_rng(1)
    first.sums = drawn(generator, (40, 40), (0.5, 0.6), 3)
    second.sums = drawn(generator, (40, 40), (0.9, 0.9), 3)
    found = paired_differences(first, second, {"mean": Average(("c0", "c1"))})["mean"]
    assert found.value > found.low > 0
    assert found.p < 0.01
    assert found.second - found.first == pytest.approx(found.value)


def test_a_micro_average_does_not_need_prompts_in_every_cell():
    first, second = layout((2, 60), 1), layout((2, 60), 1)
    generator = numpy.random.default_rng(1)
    first.sums, second.sums = (drawn(generator, (2, 60), (rate, rate), 1) for rate in (0.6, 0.8))
    cells = tuple(first.cells)
    micro = paired_differences(first, second, {"all": Average(cells, by_size=True)})["all"]
    pooled = [
        Observations(one.sums.sum(axis=1), ["all"] * 62, [f"{row:03}" for row in range(62)]) for one in (first, second)
    ]
    assert micro.caveat == ""
    assert micro == paired_differences(*pooled, {"all": Average(("all",))})["all"]
    macro = paired_differences(first, second, {"mean": Average(cells)})["mean"]
    assert macro.caveat == "from 2 prompts in a cell"
    assert macro.high - macro.low > micro.high - micro.low


@pytest.mark.parametrize(("better", "worse"), [(0, 1), (3, 0), (5, 5), (9, 2), (60, 30)])
def test_pairs_by_themselves_give_mcnemars_exact_test(better, worse):
    changes = numpy.array([0.01] * better + [-0.01] * worse + [0.0] * 7)
    assert sign_test(changes) == pytest.approx(binomtest(better, better + worse).pvalue)


@given(st.lists(st.integers(-3, 3), max_size=9))
@settings(max_examples=60, deadline=None)
def test_few_clusters_give_the_exact_test_over_all_signs(changes):
    given_sum = abs(sum(changes))
    signs = itertools.product((-1, 1), repeat=len(changes))
    sums = [abs(sum(sign * change for sign, change in zip(each, changes, strict=True))) for each in signs]
    expected = sum(one >= given_sum for one in sums) / len(sums)
    assert sign_test(numpy.array(changes, dtype=float)) == pytest.approx(expected)


def test_many_clusters_give_about_what_the_exact_test_would():
    changes = numpy.array([1.0, 2.0] * 7 + [-1.0] * 4)
    few = sign_test(changes[:14] * 1.0)
    assert 0 < few < 1e-3
    draws = numpy.random.default_rng(0).choice((-1.0, 1.0), (20_000, len(changes))) * numpy.abs(changes)
    assert sign_test(changes) == pytest.approx((numpy.abs(draws.sum(axis=1)) >= changes.sum() - 1e-9).mean(), abs=0.005)


def test_holms_correction():
    assert adjusted([0.01, 0.04, None, 0.03]) == [pytest.approx(0.03), 0.06, None, 0.06]
    assert adjusted([]) == []
    assert adjusted([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=12))
def test_corrected_chances_keep_their_order_and_are_never_smaller(chances):
    found = adjusted(chances)
    assert all(chance <= one <= 1 for chance, one in zip(chances, found, strict=True))
    pairs = sorted(zip(chances, found, strict=True))
    assert all(math.isclose(one, other) or one < other for (_, one), (_, other) in itertools.pairwise(pairs))


def test_other_items_are_not_compared():
    with pytest.raises(ValueError, match="same items"):
        paired_differences(layout((3,), 1), layout((4,), 1), {"mean": Average(("c0",))})


def test_kappa():
    table = [("A", "A")] * 20 + [("A", "B")] * 5 + [("B", "A")] * 10 + [("B", "B")] * 15
    assert cohen_kappa(table) == pytest.approx(0.4)
    assert cohen_kappa([("A", "A")] * 3) is None
    assert cohen_kappa([]) is None
    assert cohen_kappa([("A", "B"), ("B", "A")]) == -1.0
