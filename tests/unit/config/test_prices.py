"""What tokens cost."""

import pytest

from rmr1.config import Prices, cost
from rmr1.records import Usage


def test_cached_tokens_have_their_own_price():
    prices = Prices(prompt=2, completion=10, cached=0.5)
    assert cost(Usage(1_000_000, 100_000, 400_000), prices) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 10)
    assert cost(Usage(1_000_000, 0, 400_000), Prices(prompt=2, completion=10)) == pytest.approx(2)
    assert cost(Usage(1, 1), None) == 0


def test_unknown_tokens_stay_unknown_in_sums():
    assert Usage(10, 5) + Usage(unknown=1) + Usage(1, 2, 1, 1) == Usage(11, 7, 1, 2)
