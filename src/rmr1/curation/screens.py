"""Screens that look at one pair alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from rmr1.curation.decontaminate import BenchmarkIndex
from rmr1.curation.recipe import OverLong, Screens
from rmr1.curation.words import text_of, words_of
from rmr1.records import PreferencePair

Screen = Callable[[PreferencePair], bool]
"""Tells whether a pair is unfit."""

Reason = Literal[
    "filtered",
    "invalid",
    "unlabelled",
    "empty",
    "identical",
    "over_long",
    "marker",
    "benchmark",
    "too_easy",
    "too_hard",
    "not_judged",
    "duplicate",
    "contradiction",
    "near_duplicate",
    "not_drawn",
]
"""Why something that was read is not in the result, in the order in which it is looked for."""


def pair_screens(screens: Screens, benchmarks: BenchmarkIndex | None) -> list[tuple[Reason, Screen]]:
    """The screens of a recipe that look at one pair alone, in the order in which they are asked."""
    chosen: list[tuple[Reason, Screen]] = []
    if screens.unlabelled:
        chosen.append(("unlabelled", lambda pair: pair.label is None))
    if screens.empty:
        chosen.append(("empty", _is_empty))
    if screens.identical:
        chosen.append(("identical", lambda pair: pair.response_a == pair.response_b))
    if screens.over_long is not None:
        chosen.append(("over_long", _longer_than(screens.over_long)))
    if screens.markers:
        chosen.append(("marker", _holding(screens.markers)))
    if benchmarks is not None:
        chosen.append(("benchmark", lambda pair: benchmarks.overlaps(pair.prompt)))
    return chosen


def whole_text(pair: PreferencePair) -> str:
    """Prompt and both responses."""
    return "\n".join((text_of(pair.prompt), text_of(pair.response_a), text_of(pair.response_b)))


def _is_empty(pair: PreferencePair) -> bool:
    return not all(text_of(turns).strip() for turns in (pair.prompt, pair.response_a, pair.response_b))


def _longer_than(bounds: OverLong) -> Screen:
    def is_over_long(pair: PreferencePair) -> bool:
        text = whole_text(pair)
        if bounds.max_chars is not None and len(text) > bounds.max_chars:
            return True
        return bounds.max_words is not None and len(words_of(text)) > bounds.max_words

    return is_over_long


def _holding(markers: tuple[str, ...]) -> Screen:
    folded = [marker.casefold() for marker in markers]

    def holds_marker(pair: PreferencePair) -> bool:
        text = whole_text(pair).casefold()
        return any(marker in text for marker in folded)

    return holds_marker
