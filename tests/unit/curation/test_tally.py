"""Lengths of responses."""

from __future__ import annotations

from rmr1.curation.tally import Lengths
from rmr1.results import LengthSummary
from tests.support.pairs import make_pair


def test_lengths() -> None:
    lengths = Lengths()
    for subject in (
        make_pair("a b", "c"),
        make_pair("a b", "ccc", label="B"),
        make_pair("a", "bcd"),
        make_pair("a", "", label=None),
    ):
        lengths.add(subject)
    found = lengths.results()
    assert found.chosen_words == LengthSummary(mean=1.33, median=1, p90=2)
    assert found.rejected_characters == LengthSummary(mean=2.33, median=3, p90=3)
    assert (found.chosen_longer, found.equally_long) == (1 / 3, 1 / 3)
    assert Lengths().results().chosen_words is None
