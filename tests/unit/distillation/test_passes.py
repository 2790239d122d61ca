"""The budget of a pass, and what its requests show."""

import pytest

from rmr1.config import Prices, cost
from rmr1.distillation.passes import Budget, shortened
from rmr1.records import Usage


def test_what_was_spent_on_faults_counts():
    budget = Budget(max_tokens=100)
    assert budget.promise((0, 0), Usage(40, 40), None)
    assert not budget.promise((0, 1), Usage(20, 1), None)
    budget.settle((0, 0), Usage(10, 0), None)
    assert budget.tokens == 10
    assert budget.promise((0, 1), Usage(45, 45), None)


def test_what_an_engine_does_not_tell_is_counted_as_all_that_was_set_aside():
    budget = Budget(max_tokens=100)
    assert budget.promise((0, 0), Usage(40, 40), None)
    assert budget.settle((0, 0), Usage(unknown=1), None) == Usage(40, 40)
    assert budget.tokens == 80


def test_unknown_tokens_stay_unknown_in_sums():
    assert Usage(10, 5) + Usage(unknown=1) + Usage(1, 2, 1, 1) == Usage(11, 7, 1, 2)


def test_cached_tokens_have_their_own_price():
    prices = Prices(prompt=2, completion=10, cached=0.5)
    assert cost(Usage(1_000_000, 100_000, 400_000), prices) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 10)


def test_long_failed_traces_lose_their_middle():
    assert shortened("a" * 10, 10) == "a" * 10
    short = shortened("a" * 200 + "b" * 800 + "c" * 100, 300)
    assert short == "a" * 200 + "\n[... 800 characters left out ...]\n" + "c" * 100
