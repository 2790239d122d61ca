"""Whether two judges differ: the intervals hold what they promise, on clustered data, too."""

import numpy
import pytest

from rmr1.stats import FEWEST_CLUSTERS, Average, cohen_kappa, paired_bootstrap
from tests.support.statistics import drawn, layout

RUNS = 1000


@pytest.mark.parametrize("per_prompt", [1, 9])
def test_the_interval_of_a_difference_holds_the_truth_in_95_of_100_runs(per_prompt):
    generator = numpy.random.default_rng(3)
    prompts = (60, 90)
    first, second = layout(prompts, per_prompt), layout(prompts, per_prompt)
    figures = {"mean": Average(("c0", "c1"))}
    held = 0
    for number in range(RUNS):
        first.sums = drawn(generator, prompts, (0.6, 0.8), per_prompt)
        second.sums = drawn(generator, prompts, (0.7, 0.8), per_prompt)
        found = paired_bootstrap(first, second, figures, seed=number, resamples=300)["mean"]
        held += found.low <= 0.05 <= found.high
    assert 0.93 <= held / RUNS <= 0.97


def test_the_same_judge_twice_does_not_differ_and_draws_depend_on_the_seed_alone():
    generator = numpy.random.default_rng(1)
    first, second = layout((40, 40), 3), layout((40, 40), 3)
    first.sums = drawn(generator, (40, 40), (0.5, 0.6), 3)
    second.sums = first.sums
    figures = {"mean": Average(("c0", "c1")), "absent": Average(("x",))}
    same = paired_bootstrap(first, second, figures)
    assert list(same) == ["mean"]
    assert (same["mean"].value, same["mean"].low, same["mean"].high, same["mean"].p) == (0.0, 0.0, 0.0, 1.0)
    second.sums = drawn(generator, (40, 40), (0.9, 0.9), 3)
    found = paired_bootstrap(first, second, figures, seed=4)["mean"]
    assert found == paired_bootstrap(first, second, figures, seed=4)["mean"]
    assert found.value > found.low > 0
    assert found.p < 0.01


def test_of_too_few_clusters_only_the_difference_is_given():
    sizes = (FEWEST_CLUSTERS - 1, FEWEST_CLUSTERS)
    first, second = layout(sizes, 3), layout(sizes, 3)
    second.sums = drawn(numpy.random.default_rng(1), sizes, (0.5, 0.5), 3)
    found = paired_bootstrap(first, second, {name: Average((name,)) for name in ("c0", "c1")})
    assert (found["c0"].low, found["c0"].high, found["c0"].p) == (None, None, None)
    assert found["c1"].low < found["c1"].value < found["c1"].high
    both = paired_bootstrap(first, second, {"mean": Average(("c0", "c1"))})["mean"]
    assert both.low is None and both.value == pytest.approx((found["c0"].value + found["c1"].value) / 2)


def test_other_items_are_not_compared():
    with pytest.raises(ValueError, match="same items"):
        paired_bootstrap(layout((3,), 1), layout((4,), 1), {"mean": Average(("c0",))})


def test_kappa():
    table = [("A", "A")] * 20 + [("A", "B")] * 5 + [("B", "A")] * 10 + [("B", "B")] * 15
    assert cohen_kappa(table) == pytest.approx(0.4)
    assert cohen_kappa([("A", "A")] * 3) is None
    assert cohen_kappa([]) is None
    assert cohen_kappa([("A", "B"), ("B", "A")]) == -1.0
