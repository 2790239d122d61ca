"""Averages of cells: their intervals hold what they promise, on clustered data, too."""

import numpy
import pytest

from rmr1.stats import FEWEST_CLUSTERS, Average, ClusteredShare, Observations, cohen_kappa, paired_bootstrap

RUNS = 1000
REWARDBENCH_CHAT = ((100, 95, 95, 28, 40), (0.95,) * 5, (100.0, 95.0, 95.0, 28.0, 40.0), 1)
DESIGNS = {
    "subsets weighted by size": REWARDBENCH_CHAT,
    "plain mean of subsets": ((475, 495, 183, 160, 450), (0.8, 0.9, 0.7, 0.4, 0.9), (1.0,) * 5, 1),
    "unequal subsets": ((100, 134, 92, 47, 46), (0.95, 0.75, 0.8, 0.7, 0.8), (1.0,) * 5, 1),
    "nearly all right": ((100, 100, 50), (0.99, 0.97, 0.98), (1.0,) * 3, 1),
    "nine comparisons a prompt": ((129, 228, 441), (0.65, 0.6, 0.9), (1.0,) * 3, 9),
    "thirty prompts": ((10, 10, 10), (0.65, 0.6, 0.9), (1.0,) * 3, 9),
}


def layout(prompts, per_prompt):
    """Observations of nothing right: prompts in cells, several comparisons of each."""
    cells, clusters = [], []
    for number, count in enumerate(prompts):
        for prompt in range(count):
            cells += [f"c{number}"] * per_prompt
            clusters += [f"{number}-{prompt:04}"] * per_prompt
    return Observations([0.0] * len(cells), cells, clusters)


def drawn(generator, prompts, rates, per_prompt, correlation=0.3):
    """Right ones of each prompt; the comparisons of a prompt are correlated."""
    table = numpy.zeros((sum(prompts), len(prompts)))
    start = 0
    for number, (count, rate) in enumerate(zip(prompts, rates, strict=True)):
        chance = numpy.full(count, rate)
        if per_prompt > 1:
            spread = (1 - correlation) / correlation
            chance = generator.beta(rate * spread, (1 - rate) * spread, count)
        table[start : start + count, number] = generator.binomial(per_prompt, chance)
        start += count
    return table


@pytest.mark.parametrize("name", DESIGNS)
def test_the_interval_of_an_average_holds_the_truth_in_95_of_100_runs(name):
    prompts, rates, weights, per_prompt = DESIGNS[name]
    generator = numpy.random.default_rng(2)
    observations = layout(prompts, per_prompt)
    average = Average(tuple(observations.cells), weights)
    truth = float(numpy.dot(rates, weights) / sum(weights))
    held = 0
    for _ in range(RUNS):
        observations.sums = drawn(generator, prompts, rates, per_prompt)
        estimate = observations.estimate(average)
        held += estimate.low <= truth <= estimate.high
    assert 0.93 <= held / RUNS <= 0.97


@pytest.mark.parametrize(("clusters", "size", "rate"), [(200, 1, 0.8), (60, 9, 0.7), (150, 4, 0.9)])
def test_the_interval_of_a_share_holds_the_truth_in_95_of_100_runs(clusters, size, rate):
    generator = numpy.random.default_rng(7)
    held = 0
    for _ in range(RUNS):
        share = ClusteredShare()
        for right in drawn(generator, (clusters,), (rate,), size)[:, 0].tolist():
            share.add_cluster(right, size)
        estimate = share.estimate()
        held += estimate.low <= rate <= estimate.high
    assert 0.93 <= held / RUNS <= 0.97


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


def test_an_average_is_the_weighted_mean_of_the_means():
    observations = Observations([1, 0, 1, 1, 0.5], ["a", "a", "b", "b", "c"], list("12345"))
    sizes, means = observations.sizes, observations.means
    assert (sizes, means) == ({"a": 2, "b": 2, "c": 1}, {"a": 0.5, "b": 1.0, "c": 0.5})
    nested = Average((Average(("a", "b"), (3.0, 1.0)), "c"))
    assert nested.value(means, sizes) == pytest.approx(((3 * 0.5 + 1) / 4 + 0.5) / 2)
    micro = Average(("a", "b", "c"), by_size=True)
    assert observations.estimate(micro).value == pytest.approx(3.5 / 5)


def test_cells_that_are_not_there_leave_their_level_to_the_others():
    average = Average((Average(("a", "b")), Average(("c", "d")), Average(("e",))))
    assert average.cell_weights({"a": 1, "c": 1, "d": 5}) == {"a": 0.5, "c": 0.25, "d": 0.25}
    assert average.cell_weights({}) == {}
    assert average.value({}, {}) is None
    assert average.cells() == set("abcde")


def test_a_cell_of_right_ones_alone_is_not_taken_for_certain():
    observations = Observations([1.0] * 10 + [1.0] * 20, ["a"] * 10 + ["b"] * 20, [str(n) for n in range(30)])
    estimate = observations.estimate(Average(("a", "b")))
    assert estimate.value == estimate.high == 1.0
    assert estimate.low < 0.9
    assert observations.estimate(Average(("x",))) is None


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
