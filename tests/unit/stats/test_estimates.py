"""Shares and averages of cells: their intervals hold what they promise, on clustered data, too."""

import random

import numpy
import pytest
from scipy.stats import binomtest

from rmr1.stats import Average, Observations, estimate_share, wilson
from tests.support.statistics import drawn, layout

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


def share(clusters):
    return estimate_share(*zip(*clusters, strict=True))


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (3, 7), (90, 100), (40, 40)])
def test_wilson_is_scipys(successes, n):
    reference = binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes / n, n) == pytest.approx((reference.low, reference.high))


@pytest.mark.parametrize(("right", "n"), [(30, 40), (150, 200), (9, 10)])
def test_single_observations_give_wilsons_interval_with_the_quantile_of_t(right, n):
    estimate = share([(1, 1)] * right + [(0, 1)] * (n - right))
    assert (estimate.low, estimate.high) == pytest.approx(wilson(right / n, n, freedom=n), abs=0.3 / n)
    assert (estimate.n, estimate.clusters, estimate.fewest) == (n, n, n)


def test_wilson_with_many_degrees_of_freedom_is_wilson():
    assert wilson(0.7, 50, freedom=1e7) == pytest.approx(wilson(0.7, 50), abs=1e-6)
    assert wilson(0.7, 50, freedom=3)[0] < wilson(0.7, 50, freedom=30)[0] < wilson(0.7, 50)[0]


def test_identical_observations_in_a_cluster_count_once():
    estimate = share([(9, 9)] * 10 + [(0, 9)] * 10)
    assert estimate.high - estimate.low > 0.9 * (wilson(0.5, 20)[1] - wilson(0.5, 20)[0])


@pytest.mark.parametrize("right", [0, 9])
def test_unanimous_clusters_count_as_observations(right):
    estimate = share([(right, 9)] * 6)
    assert (estimate.low, estimate.high) == pytest.approx(wilson(right / 9, 6, freedom=6))


def test_clusters_that_agree_count_by_their_number():
    estimate = share([(2, 3)] * 10)
    assert (estimate.n, estimate.clusters) == (30, 10)
    assert (estimate.low, estimate.high) == pytest.approx(wilson(2 / 3, 10, freedom=10), abs=5e-4)


@pytest.mark.parametrize("clusters", [3, 10, 40])
def test_one_wrong_comparison_does_not_make_an_interval_much_narrower(clusters):
    """One policy: all right is the end of a scale, not a case of its own."""
    unanimous, nearly = share([(9, 9)] * clusters), share([(9, 9)] * (clusters - 1) + [(8, 9)])
    assert nearly.low < unanimous.low + 0.06
    assert nearly.high - nearly.low > 0.4 * (unanimous.high - unanimous.low)


def test_all_right_in_one_average_or_in_one_share_is_the_same_policy():
    observations = Observations([1.0] * 20, ["a"] * 10 + ["b"] * 10, [str(n) for n in range(20)])
    macro, micro = (observations.estimate(Average(("a", "b"), by_size=by_size)) for by_size in (False, True))
    assert macro.low == pytest.approx(micro.low, abs=0.02)
    same = Observations([1.0] * 20, ["a"] * 10 + ["b"] * 10, [str(n) for n in range(10)] * 2)
    assert same.estimate(Average(("a", "b"))).low == pytest.approx(share([(1, 1)] * 10).low)


def test_few_prompts_in_a_cell_are_said():
    observations = Observations([1, 0, 1, 1, 0], list("aabbb"), list("12345"))
    assert observations.estimate(Average(("a", "b"))).caveat == "from 2 prompts in a cell"
    assert observations.estimate(Average(("a", "b"), by_size=True)).caveat == ""
    assert share([(3, 9)]).caveat == "from 1 prompt in a cell"
    one = share([(9, 9)])
    assert (one.low, one.high) == (pytest.approx(0.0, abs=0.01), 1.0)


def test_empty_clusters_do_not_count():
    assert share([(2, 3), (0, 0), (1, 3)]) == share([(2, 3), (1, 3)])


def test_nothing_counted():
    assert estimate_share([], []) is None
    assert estimate_share([0], [0]) is None


def test_clustered_interval_covers_the_truth():
    chance = random.Random(7)
    covered = 0
    for _ in range(400):
        clusters = []
        for _ in range(40):
            rate = chance.betavariate(1.4, 0.6)  # mean 0.7, strong correlation within a cluster
            clusters.append((sum(chance.random() < rate for _ in range(9)), 9))
        estimate = share(clusters)
        covered += estimate.low <= 0.7 <= estimate.high
    assert covered / 400 > 0.92


@pytest.mark.parametrize(
    ("prompts", "rates", "per_prompt"),
    [((5,), (0.8,), 9), ((40,), (0.98,), 9), ((4, 4, 4), (0.6, 0.8, 0.9), 1), ((2,) * 8, (0.7,) * 8, 1)],
    ids=["five prompts", "an extreme rate", "three cells of 4", "eight cells of 2"],
)
def test_small_designs_hold_the_truth_at_least_as_often_as_they_say(prompts, rates, per_prompt):
    generator = numpy.random.default_rng(11)
    observations = layout(prompts, per_prompt)
    average = Average(tuple(observations.cells))
    held = 0
    for _ in range(400):
        observations.sums = drawn(generator, prompts, rates, per_prompt)
        estimate = observations.estimate(average)
        held += estimate.low <= sum(rates) / len(rates) <= estimate.high
    assert held / 400 >= 0.94


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
    # Thirty prompts are few: there, the doubt of a whole cluster more shows.
    assert 0.93 <= held / RUNS <= (0.985 if name == "thirty prompts" else 0.97)


@pytest.mark.parametrize(("clusters", "size", "rate"), [(200, 1, 0.8), (60, 9, 0.7), (150, 4, 0.9)])
def test_the_interval_of_a_share_holds_the_truth_in_95_of_100_runs(clusters, size, rate):
    generator = numpy.random.default_rng(7)
    held = 0
    for _ in range(RUNS):
        estimate = estimate_share(drawn(generator, (clusters,), (rate,), size)[:, 0], [size] * clusters)
        held += estimate.low <= rate <= estimate.high
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
