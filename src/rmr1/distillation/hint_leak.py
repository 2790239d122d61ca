"""Traces that leak the hint: the repairer is given the right verdict, and a student must not learn to say so.

The student never sees a label or an earlier attempt, so a trace that speaks of one teaches it to make things up. (The code that
was released with the paper keeps such traces.) The patterns know the verdict and its giver, not answers in general: "the correct
answer is 42" and "as given in the question" are what good completions say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice

_GIVEN = r"(?:given|provided|supplied|stated|specified|indicated|known|told|instructed|required|expected|established)"
_KNOWN = (
    r"(?:correct|right|true|actual|known|given|provided|supplied|gold(?:en)?|reference|expected|desired|intended|required|"
    r"target|preferred)"
)
_GOLD = r"(?:gold(?:en)?|human|annotated|reference|ground[\s-]+truth)"
_ATTEMPT = r"(?:attempt|judge?ment|evaluation|trace|verdict|analysis|assessment|reasoning|critique)"
_EARLIER = r"(?:previous|earlier|failed|prior|original|initial|first|flawed|faulty|incorrect|wrong|mistaken)"
_SIDE = r"(?:\(\(|\[\[)?(?:(?:chatbot|response|assistant|side|option)\s+)?(?-i:[AB])\b"
_IS = r"(?:is|was|must\s+be|should\s+be|has\s+to\s+be|being|:)"
_THE = r"(?:the|this|that|your|my|our)"

_SOURCES: Mapping[str, tuple[str, ...]] = {
    # "the correct verdict is A", "the right judgement must be B"
    "known_verdict": (
        rf"\b{_KNOWN}[\s-]+(?:final\s+)?verdicts?\b",
        rf"\b{_KNOWN}[\s-]+(?:judge?ment|decision|conclusion|label|preference|winner)\s*{_IS}\s+{_SIDE}",
    ),
    # "the gold label", "the ground truth says"
    "gold_label": (
        rf"\b{_GOLD}\s+(?:label|preference|verdict|side|choice)s?\b",
        r"\bground[\s-]+truth\s+(?:says|is\s+that)\b",
        rf"\bthe\s+labels?\s+(?:(?:says?|indicates?|states?|prefers?|favou?rs?)\b|(?:is|was)\s+{_SIDE})",
        r"\b(?:human\s+)?annotators?\s+(?:prefer|favou?r|chose|found|label)",
    ),
    # "according to the label", "given the verdict", "to match the known verdict"
    "by_the_verdict": (
        r"\b(?:according\s+to|based\s+on|given|per|consistent\s+with|in\s+line\s+with|to\s+match|matching|to\s+reach)\s+"
        rf"{_THE}\s+(?:{_KNOWN}\s+)?(?:verdict|label|gold\b|annotation|human\s+preference)",
    ),
    # "the verdict was already provided", "the label that was given"
    "verdict_was_given": (
        rf"\b(?:verdict|label)\s+(?:(?:that\s+)?(?:is|was|has\s+been|had\s+been)\s+)?(?:already\s+)?{_GIVEN}\b",
    ),
    # "I was told that B is better", "we've been asked to correct"
    "told": (
        r"\b(?:i|we)(?:\s+(?:was|were|am|are|have\s+been|had\s+been)|['\u2019](?:m|re|ve\s+been|d\s+been))\s+"
        r"(?:told|informed|instructed|asked\s+to\s+(?:correct|fix|rewrite|repair|revise|justify|support|reach))\b",
    ),
    # "it is known that A is better", "as given, B is better"
    "known_side": (
        r"\b(?:it\s+is|it['\u2019]s|we|i|is|are)\s+(?:already\s+)?(?:known?|told|given)\s+(?:that\s+)?"
        rf"{_SIDE}\s+(?:is|was|to\s+be)\s+(?:the\s+)?(?:better|best|right|correct|preferred|winner)",
        rf"\bas\s+(?:was\s+|is\s+)?{_GIVEN}(?:\s*,)?\s*{_SIDE}\s+(?:is|wins|must|should)\b",
        rf"\bas\s+(?:was\s+|is\s+)?{_GIVEN}\s+(?:by|in)\s+the\s+(?:verdict|label|hint|annotat\w+)\b",
    ),
    # "the failed judgement", "my previous attempt", "unlike the earlier analysis"
    "earlier_attempt": (
        rf"\b{_THE}\s+(?:{_EARLIER}|given|provided|above)\s+(?:judge?ment|trace|verdict|critique)s?\b",
        rf"\b(?:my|your|our)\s+{_EARLIER}\s+{_ATTEMPT}\b",
        r"\bthe\s+(?:previous|earlier|failed|prior|flawed|faulty)\s+(?:attempt|evaluation|judge|assessment|analysis)\b",
        rf"\b(?:unlike|contrary\s+to|in\s+contrast\s+to)\s+(?:the|my)\s+{_EARLIER}\s+{_ATTEMPT}\b",
    ),
    # "here is the corrected judgement", "I will fix the verdict"
    "correction": (
        rf"\b(?:corrected|revised|repaired|rewritten|fixed)\s+{_ATTEMPT}\b",
        rf"\b(?:correct|fix|rewrite|repair|revise)(?:ing)?\s+{_THE}\s+(?:judge?ment|verdict|trace)\b",
    ),
    # "the hint says", "following your hint"
    "hint": (
        r"\bthe\s+hint\s+(?:says|given|provided|that|is|was|i)\b",
        rf"\b(?:given|following|per|by)\s+{_THE}\s+hint\b",
    ),
}
PATTERNS: Mapping[str, re.Pattern[str]] = {
    name: re.compile("|".join(texts), re.IGNORECASE) for name, texts in _SOURCES.items()
}
"""What gives a hint away, by name."""
_MOST_QUOTES = 256
"""A trace that marks more is degenerate; a quotation beyond is read as the writer's word."""


def leaked_hints(trace: str, quotes: Iterable[str] = (), shown: Iterable[str] = ()) -> tuple[str, ...]:
    """Name the patterns by which a trace gives away that its writer knew more than the student will.

    Args:
        trace: The trace.
        quotes: The spans that it marks as verbatim.
        shown: The texts that it may quote: question and responses. A quotation from one of them is not the writer's word
            and is ignored.
    """
    texts = [_flat(text) for text in shown]
    for quote in islice(dict.fromkeys(quotes), _MOST_QUOTES):
        if len(quote) > 3 and any(_flat(quote) in text for text in texts):
            trace = trace.replace(quote, " \u2026 ")
    return tuple(name for name, pattern in PATTERNS.items() if pattern.search(trace))


def _flat(text: str) -> str:
    return " ".join(text.split())
