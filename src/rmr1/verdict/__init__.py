"""The one parser of completions: text in, ``Verdict`` out, never an exception.

>>> from rmr1.records import Generation
>>> from rmr1.verdict import parse_verdict
>>> parse_verdict(Generation("r1", "<eval>A is right.</eval><answer>[[A]]</answer>")).side
'A'
"""

from rmr1.verdict.elements import compose_chat, compose_reasoning, compose_reference
from rmr1.verdict.parse import SectionsLater, moved, parse_choice, parse_verdict, sections_of, verdict_probability
from rmr1.verdict.ratings import parse_rating, parse_score, score_text
from rmr1.verdict.rules import RULES, Rule

__all__ = [
    "RULES",
    "Rule",
    "SectionsLater",
    "compose_chat",
    "compose_reasoning",
    "compose_reference",
    "moved",
    "parse_choice",
    "parse_rating",
    "parse_score",
    "parse_verdict",
    "score_text",
    "sections_of",
    "verdict_probability",
]
