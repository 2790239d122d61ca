import random

import pytest
from scipy.stats import binomtest

from rmr1.stats import ClusteredShare, wilson


def share(clusters):
    counted = ClusteredShare()
    for successes, size in clusters:
        counted.add_cluster(successes, size)
    return counted.estimate()


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (3, 7), (90, 100), (40, 40)])
def test_wilson_is_scipys(successes, n):
    reference = binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes / n, n) == pytest.approx((reference.low, reference.high))


def test_single_observations_give_plain_wilson():
    estimate = share([(1, 1)] * 30 + [(0, 1)] * 10)
    assert (estimate.low, estimate.high) == pytest.approx(wilson(0.75, 40))
    assert (estimate.n, estimate.clusters) == (40, 40)


def test_identical_observations_in_a_cluster_count_once():
    estimate = share([(9, 9)] * 10 + [(0, 9)] * 10)
    assert estimate.high - estimate.low > 0.9 * (wilson(0.5, 20)[1] - wilson(0.5, 20)[0])


def test_unanimous_clusters_count_as_observations():
    assert share([(9, 9)] * 6).low == pytest.approx(wilson(1.0, 6)[0])


def test_nothing_counted():
    assert ClusteredShare().estimate() is None


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
