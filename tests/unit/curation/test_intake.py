"""Normalised texts."""

from __future__ import annotations

import pytest

from rmr1.curation.intake import normalise_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\x85d", "a\nb\nc\nd"),
        ("\ufeff \n\n  indented\tx  y \n\n", "  indented\tx  y"),
        ("e\u0301 \x00\x1b[0m", "é [0m"),
        ("ﬁ ² １\u200b", "ﬁ ² １\u200b"),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise_text(text) == expected
