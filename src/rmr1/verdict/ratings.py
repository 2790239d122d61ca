"""Scores of one response: the rating that a judge writes, the number that a scalar reward model gives."""

from __future__ import annotations

import math
import re

from rmr1.records import FinishReason, Generation, InvalidReason, Verdict
from rmr1.verdict.elements import Outline, outline
from rmr1.verdict.parse import sections_of

LOWEST, HIGHEST = 1.0, 10.0
"""The ends of the scale that ``pointwise`` asks for."""
_RATING = re.compile(r"\s*\[\[\s*(\d{1,2}(?:\.\d{1,4})?)\s*\]\]\s*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
_WITHOUT: dict[FinishReason, InvalidReason] = {"length": "truncated", "refused": "refused", "error": "engine_error"}


def parse_rating(generation: Generation) -> Verdict:
    """Read a completion that rates one response: ``<answer>[[7]]</answer>``.

    The only ``<answer>`` value outside the think block counts, as in the rule ``default`` for verdicts: equal ones count once,
    anything else beside them is a conflict, and one inside a quotation is a response's word. A rating off the scale from 1 to 10 is
    no rating, and is named as a problem of format.

    Args:
        generation: What the engine wrote.

    Returns:
        A verdict without a side, whose ``score`` is the rating or whose ``invalid`` says why there is none. No text raises
        anything.
    """
    if generation.finish_reason == "error":
        return Verdict(None, "engine_error", rule="rating")
    text = generation.text
    parts = outline(text, think_open=generation.think_open, cut=generation.finish_reason == "length")
    spans = (*parts.think, *parts.elements)
    readable = not parts.cut_thought and "too_many_tags" not in parts.problems
    ratings, malformed, off_scale = _ratings(text, parts) if readable else ({}, False, False)
    invalid: InvalidReason | None = None
    if generation.finish_reason == "refused" or not ratings:
        invalid = _WITHOUT.get(generation.finish_reason, "missing")
    elif len(ratings) > 1 or malformed:
        invalid = "conflicting"
    score, position = next(iter(ratings.items())) if invalid is None else (None, None)
    return Verdict(
        side=None,
        invalid=invalid,
        sections=sections_of(text, spans),
        problems=(*parts.problems, *(("rating_off_scale",) if off_scale else ())),
        position=position,
        rule="rating",
        spans=spans,
        score=score,
    )


def parse_score(generation: Generation) -> Verdict:
    """Read the answer of a scalar reward model, which is a number and nothing else.

    Args:
        generation: Its text is the number, as ``score_text`` writes it.
    """
    invalid = _WITHOUT.get(generation.finish_reason)
    if invalid is not None:
        return Verdict(None, invalid, rule="score")
    number = _NUMBER.fullmatch(generation.text.strip())
    score = float(number[0]) if number else math.nan
    if not math.isfinite(score):
        return Verdict(None, "missing", rule="score")
    return Verdict(None, None, rule="score", score=score)


def score_text(score: float) -> str:
    """The text of a score, from which the same number is read back."""
    return repr(float(score))


def _ratings(text: str, parts: Outline) -> tuple[dict[float, int], bool, bool]:
    """Each distinct rating with its offset, whether an answer holds something else, and whether a rating is off the scale."""
    ratings: dict[float, int] = {}
    malformed = off_scale = False
    for element in parts.answers():
        value = _RATING.fullmatch(text, element.start, element.end)
        if value is None or not LOWEST <= float(value[1]) <= HIGHEST:
            malformed = True
            off_scale |= value is not None
        else:
            ratings.setdefault(float(value[1]), value.start(1))
    return ratings, malformed, off_scale
