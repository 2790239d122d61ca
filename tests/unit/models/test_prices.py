"""The table of known prices."""

from datetime import date

import pytest

from rmr1.config import Prices
from rmr1.models import known_prices
from rmr1.models.prices import load_prices


def test_every_price_has_a_source_and_the_day_on_which_it_was_read():
    for name, prices in load_prices().items():
        assert prices.source.startswith("https://"), name
        assert date(2026, 1, 1) <= prices.read <= date.today()
        for model, known in prices.models.items():
            assert known[0] <= known[1], f"{model}: written tokens cost no less than read ones"
            assert known[2:] == () or known[2] < known[0], f"{model}: cached tokens cost less"


@pytest.mark.parametrize("model", ["openai/gpt-4o", "openai/gpt-4o-2024-08-06"])
def test_a_date_after_the_name_does_not_matter(model):
    known = known_prices(model)
    assert known is not None
    assert known.prices == Prices(prompt=2.5, completion=10)
    assert "US dollars, from https://" in known.words()


def test_prices_are_those_of_the_server_that_is_asked():
    assert known_prices("openai/claude-sonnet-5", "https://api.anthropic.com/v1") == known_prices(
        "anthropic/claude-sonnet-5"
    )
    assert known_prices("openai/claude-sonnet-5") is None
    assert known_prices("openai/gpt-4o", "http://localhost:8000/v1") is None
    assert known_prices("openai/gpt-4o", "https://api.openai.com/v1") == known_prices("openai/gpt-4o")


@pytest.mark.parametrize("model", ["openai/gpt-4o-audio", "llamacpp/gpt-4o", "openai/", "gpt-4o", "openai/my-model"])
def test_what_is_not_in_the_table_has_no_price(model):
    assert known_prices(model) is None
