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


def test_cached_tokens_have_their_own_price():
    prices = Prices(prompt=2, completion=10, cached=0.5)
    assert cost(Usage(1_000_000, 100_000, 400_000), prices) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 10)


def test_long_failed_traces_lose_their_middle():
    assert shortened("a" * 10, 10) == "a" * 10
    short = shortened("a" * 200 + "b" * 800 + "c" * 100, 300)
    assert short == "a" * 200 + "\n[... 800 characters left out ...]\n" + "c" * 100
