"""``parse_verdict`` turns one generation into one verdict."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

from rmr1.arguments import expect, expect_word
from rmr1.records import (
    FinishReason,
    Generation,
    InvalidReason,
    RubricItem,
    Sections,
    Side,
    Span,
    TaskType,
    TokenLogprob,
    Verdict,
)
from rmr1.verdict.elements import outline
from rmr1.verdict.problems import find_problems
from rmr1.verdict.rules import RULES, RuleFinding

_ITEM = re.compile(r"^[ \t]*(?:\d{1,3}[.)]|[-*\u2022])[ \t]+(\S.*)$", re.MULTILINE)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)[ \t]{0,4}%")
_FRACTION = re.compile(r"weight[ \t]{0,4}[:=]?[ \t]{0,4}(0?\.\d{1,4}|1(?:\.0{1,4})?)(?!\d)", re.IGNORECASE)
_MAX_ITEMS = 64
_SETTLED = math.log(0.01 / 0.99)
_ROUNDING = 1e-4
"""Servers round log-probabilities; what is left over below this is not told from nothing."""
_WEIGHT_WITHIN = 400
_WITHOUT: dict[FinishReason, InvalidReason] = {"length": "truncated", "refused": "refused"}
_TASK_TYPES: dict[str, TaskType] = {"Chat": "Chat", "Reasoning": "Reasoning"}


def parse_verdict(generation: Generation, rule: str = "default") -> Verdict:
    """Read a completion: its verdict by ``rule``, its sections, and what is wrong with its format.

    Args:
        generation: What the engine wrote. Its ``think_open`` and ``finish_reason`` matter.
        rule: A name in ``RULES``.

    Returns:
        The verdict, in shown sides. ``invalid`` is ``engine_error`` if the engine failed, ``refused`` if the model or a filter
        would not answer, ``conflicting`` if the rule found two
        values, ``truncated`` if it found none in a text that was cut, and ``missing`` if it found none in any other text. A text
        that was cut while the judge still thought is ``truncated`` by every rule, whatever the thought holds.

    Raises:
        InputError: The rule is unknown. No text raises anything.
    """
    expect("generation", generation, Generation, "a Generation")
    expect_word("rule", rule, RULES)
    decide = RULES[rule]
    if generation.finish_reason == "error":
        return Verdict(None, "engine_error", rule=rule)
    text = generation.text
    parts = outline(text, think_open=generation.think_open, cut=generation.finish_reason == "length")
    spans = (*parts.think, *parts.elements)
    sections = sections_of(text, spans)
    finding = RuleFinding({}) if parts.cut_thought else decide(text, parts)
    invalid = _invalid(finding, generation)
    side = next(iter(finding.sides)) if invalid is None else None
    return Verdict(
        side=side,
        invalid=invalid,
        candidates=tuple(finding.sides),
        sections=sections,
        problems=find_problems(text, parts, sections),
        position=finding.sides[side] if side else None,
        rule=rule,
        spans=spans,
    )


def parse_choice(generation: Generation, best: str, letters: str, rule: str = "default") -> Verdict:
    """Read a completion that chooses one of several responses, as the authors of RewardBench 2 read it.

    The mark of the first letter, in the order of the alphabet, that occurs anywhere in the text is the choice, so a text is never
    in conflict with itself. Think blocks are no part of it: the authors see the answers of reasoning models without them. A text
    that was cut while the judge still thought has no verdict, as by every rule.

    Args:
        generation: What the engine wrote.
        best: The letter of the response that is side A.
        letters: All letters, in the order of the alphabet.
        rule: The rule that the run reads comparisons by; it is noted in the verdict, and decides nothing here.

    Returns:
        A verdict whose side is A where ``best`` is chosen, and B where another letter is. It has no position: the letter in the
        text is no side.
    """
    if generation.finish_reason == "error":
        return Verdict(None, "engine_error", rule=rule)
    text = generation.text
    parts = outline(text, think_open=generation.think_open, cut=generation.finish_reason == "length")
    spans = (*parts.think, *parts.elements)
    said = "\n".join(text[start:end] for start, end in parts.outside)
    letters = "" if parts.cut_thought else letters
    chosen = next((letter for letter in letters if f"[[{letter}]]" in said), None)
    side: Side | None = None if chosen is None else "A" if chosen == best else "B"
    if generation.finish_reason == "refused":
        side = None
    return Verdict(
        side=side,
        invalid=None if side else _WITHOUT.get(generation.finish_reason, "missing"),
        candidates=(side,) if side else (),
        sections=sections_of(text, spans),
        rule=rule,
        spans=spans,
    )


def moved(verdict: Verdict, by: int) -> Verdict:
    """The verdict of a part of a text, with its offsets in the whole text.

    Args:
        verdict: The verdict; its offsets count from the start of the part.
        by: Where the part starts in the whole text.
    """
    return replace(
        verdict,
        position=None if verdict.position is None else verdict.position + by,
        spans=tuple(Span(span.name, span.start + by, span.end + by) for span in verdict.spans),
    )


def _invalid(finding: RuleFinding, generation: Generation) -> InvalidReason | None:
    if generation.finish_reason != "refused":
        if finding.conflict:
            return "conflicting"
        if finding.sides:
            return None
    return _WITHOUT.get(generation.finish_reason, "missing")


def sections_of(text: str, spans: Iterable[Span]) -> Sections:
    """Cut the sections out of a text; nothing is parsed.

    Args:
        text: The completion.
        spans: Where its parts stand, as in ``Verdict.spans``.
    """
    contents: dict[str, list[str]] = {}
    for span in spans:
        contents.setdefault(span.name, []).append(span.content(text))
    think = contents.pop("think", None)
    contents = {name: [content.strip() for content in parts] for name, parts in contents.items()}

    def joined(name: str) -> str | None:
        return "\n\n".join(contents[name]) if name in contents else None

    rubric = joined("rubric")
    return Sections(
        think=None if think is None else "".join(think).strip(),
        task_type=_TASK_TYPES.get(contents.get("type", [""])[0]),
        rubric=rubric,
        rubric_items=_rubric_items(rubric or ""),
        justify=joined("justify"),
        solution=joined("solution"),
        evaluation=joined("eval"),
        quotes_a=tuple(contents.get("quote_A", ())),
        quotes_b=tuple(contents.get("quote_B", ())),
        summaries_a=tuple(contents.get("summary_A", ())),
        summaries_b=tuple(contents.get("summary_B", ())),
    )


class SectionsLater(Sections):
    """The sections of a text, cut out when one of them is first looked at.

    A journal has many completions, of which a run looks at the verdict alone. An attribute whose slot is empty is asked of
    ``__getattr__``.
    """

    __slots__ = ("_source",)

    def __init__(self, text: str, spans: tuple[Span, ...]) -> None:
        object.__setattr__(self, "_source", (text, spans))

    def __getattr__(self, name: str) -> Any:
        if name not in Sections.__dataclass_fields__:
            raise AttributeError(name)
        found = self.now()
        for one in Sections.__dataclass_fields__:
            object.__setattr__(self, one, getattr(found, one))
        return getattr(found, name)

    def now(self) -> Sections:
        """The same as plain sections."""
        text, spans = self._source
        return sections_of(text, spans)

    def __eq__(self, other: object) -> bool:
        return self.now() == (other.now() if isinstance(other, SectionsLater) else other)

    def __hash__(self) -> int:
        return hash(self.now())

    def __reduce__(self) -> tuple[Any, ...]:
        return SectionsLater, self._source


def _rubric_items(rubric: str) -> tuple[RubricItem, ...]:
    criteria = rubric.partition("<justify>")[0]
    return tuple(
        RubricItem(match[1].strip(), _weight(match[1])) for match in islice(_ITEM.finditer(criteria), _MAX_ITEMS)
    )


def _weight(line: str) -> float | None:
    line = line[:_WEIGHT_WITHIN]
    percent = _PERCENT.search(line)
    if percent:
        return float(percent[1]) / 100
    fraction = _FRACTION.search(line)
    return float(fraction[1]) if fraction else None


def verdict_probability(generation: Generation, verdict: Verdict) -> float | None:
    """Probability that the judge says "A" rather than "B" at the letter that decided, in shown sides.

    The two letters are compared with each other only, so their probabilities sum to 1. If the other letter is not among the
    alternatives, it is at most as likely as the least of them, and as all that they leave over; that bound stands for it where it
    settles the probability to within 0.01. To leave such completions out would leave out the surest ones.

    Returns:
        The probability. None if the verdict is invalid, the engine gave no log-probabilities, or the bound settles nothing.
    """
    if verdict.position is None or not generation.tokens:
        return None
    token, offset = _token_at(generation.tokens, verdict.position)
    if token is None:
        return None
    before, after = token.text[:offset], token.text[offset + 1 :]
    logprobs: dict[Side, float] = {}
    for text, logprob in ((token.text, token.logprob), *token.top):
        if text == f"{before}A{after}":
            logprobs.setdefault("A", logprob)
        elif text == f"{before}B{after}":
            logprobs.setdefault("B", logprob)
    if len(logprobs) == 1:
        ((known, logprob),) = logprobs.items()
        bound = _most_of_others(token) - logprob
        if bound > _SETTLED:
            return None
        logprobs["B" if known == "A" else "A"] = logprob + bound
    if len(logprobs) < 2:
        return None
    difference = min(max(logprobs["B"] - logprobs["A"], -700.0), 700.0)
    return 1.0 / (1.0 + math.exp(difference))


def _most_of_others(token: TokenLogprob) -> float:
    """The log-probability that a token has at most which is neither the chosen one nor among the alternatives."""
    others = [logprob for text, logprob in token.top if text != token.text]
    if not others:
        return math.inf
    rest = 1.0 - math.exp(token.logprob) - sum(math.exp(logprob) for logprob in others)
    return min(min(others), math.log(max(rest, _ROUNDING)))


def _token_at(tokens: tuple[TokenLogprob, ...], position: int) -> tuple[TokenLogprob | None, int]:
    start = 0
    for token in tokens:
        if start <= position < start + len(token.text):
            return token, position - start
        start += len(token.text)
    return None, 0
