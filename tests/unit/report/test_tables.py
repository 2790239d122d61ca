"""Settings as reports show them: in words, never as Python writes them."""

import pytest

from rmr1.report.tables import fact_rows, fact_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        ({"prompt": "question", "chosen": "good"}, "prompt=question,chosen=good"),
        ({"engine": "hf/judge", "think_open": False}, "engine=hf/judge,think_open=no"),
        (["temperature", "seed"], "temperature, seed"),
    ],
)
def test_a_setting_is_shown_in_words(value, text):
    assert fact_text(value) == text


def test_settings_without_a_value_are_left_out():
    assert fact_rows({"base_url": None, "columns": {}, "max_tokens": 12, "fence": False}) == (
        ("max tokens", "12"),
        ("fence", "no"),
    )
