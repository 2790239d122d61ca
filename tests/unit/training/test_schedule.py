"""The order of examples and the learning rate."""

import random
from collections import Counter

import pytest

from rmr1.training.schedule import example_order, rate_factor

LENGTHS = [random.Random(number).randrange(50, 600) for number in range(203)]


def order(**changes):
    settings = {"seed": 0, "epochs": 1.0, "batch_size": 16, "micro_batch_size": 4, "group": True}
    return example_order(LENGTHS, **(settings | changes))


@pytest.mark.parametrize("group", [True, False])
def test_each_epoch_has_each_example_once_in_an_order_of_its_own(group):
    three = order(epochs=3.0, group=group)
    epochs = [three[start : start + 203] for start in range(0, 609, 203)]
    assert all(sorted(epoch) == list(range(203)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[0] == order(group=group)
    assert order(seed=1, group=group) != order(group=group)


def test_a_fraction_of_an_epoch():
    assert len(order(epochs=0.5)) == 102
    assert max(Counter(order(epochs=1.5)).values()) == 2


def padding(indices, size=4):
    batches = [indices[start : start + size] for start in range(0, len(indices), size)]
    return sum(max(LENGTHS[i] for i in batch) * len(batch) for batch in batches) / sum(LENGTHS)


def test_grouping_leaves_little_padding_and_does_not_sort_the_epoch():
    grouped = order()
    assert padding(grouped) < 1.1 < 1.3 < padding(order(group=False))
    first_halves = sum(LENGTHS[i] for i in grouped[:100]) / 100
    assert abs(first_halves - sum(LENGTHS) / len(LENGTHS)) < 60


def test_the_learning_rate_rises_and_falls():
    rates = [rate_factor(step, 100, 3, "cosine") for step in range(100)]
    assert rates[0] == pytest.approx(0.25)
    assert rates[3] == 1.0 == max(rates)
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert 0 < rates[-1] < 0.001
    assert rate_factor(99, 100, 3, "linear") == pytest.approx(1 / 97)
    assert rate_factor(99, 100, 3, "constant") == 1.0
    assert rate_factor(0, 1, 0, "cosine") == 1.0
