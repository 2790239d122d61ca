"""Rules that turn a text into a verdict, by name.

``default`` is this project's, and ``rewardbench`` that of the benchmark. The other three repeat what the released code of RM-R1
does, each in another place, so that its published numbers can be derived again; the released code has no single rule (it keeps
a distilled trace by one, rewards by another and evaluates by a third).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rmr1.records import Side
from rmr1.verdict.elements import Outline

_VALUE = re.compile(r"\s*\[\[\s*([AB])\s*\]\]\s*")
_SIDES: tuple[Side, Side] = ("A", "B")
_REWARD_WINDOW = 80
_DISTILL_WINDOW = 100


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What a rule found: each distinct side with the offset of the letter that names it, in order of appearance."""

    sides: Mapping[Side, int]
    conflict: bool = False


Rule = Callable[[str, Outline], RuleFinding]


def default(text: str, outline: Outline) -> RuleFinding:
    """The only ``<answer>`` value outside the think block; equal ones count once, anything else beside them is a conflict.

    An answer inside a quotation is a response's word, not the judge's, and does not count. A text with too many tags to be a
    completion has no verdict, because what was not read could contradict what was.
    """
    if "too_many_tags" in outline.problems:
        return RuleFinding({})
    sides: dict[Side, int] = {}
    malformed = False
    for element in outline.answers():
        value = _VALUE.fullmatch(text, element.start, element.end)
        if value is None:
            malformed = True
        else:
            sides.setdefault("A" if value[1] == "A" else "B", value.start(1))
    return RuleFinding(sides, conflict=len(sides) > 1 or (malformed and bool(sides)))


def released_evaluation(text: str, outline: Outline) -> RuleFinding:
    """The released evaluation: ``[[A]]`` or ``[[B]]`` anywhere, the think block included; both are an error."""
    return _marks(text, "[[{}]]", 0)


def rewardbench(text: str, outline: Outline) -> RuleFinding:
    """RewardBench's own code for judges that write: ``[[A]]`` anywhere, else ``[[B]]`` anywhere; so it never finds a conflict."""
    found = _marks(text, "[[{}]]", 0).sides
    side = next((side for side in _SIDES if side in found), None)
    return RuleFinding({side: found[side]} if side else {})


def released_reward(text: str, outline: Outline) -> RuleFinding:
    """The released RL reward: ``<answer>[[X]]</answer>``, and not the other one, in the last 80 characters."""
    return _marks(text, "<answer>[[{}]]</answer>", max(0, len(text) - _REWARD_WINDOW))


def released_distillation(text: str, outline: Outline) -> RuleFinding:
    """The released trace filter looks for the gold ``[[X]]`` in the last 100 characters and never for the other one.

    It knows the label, this parser does not: a trace is kept exactly where the label is among ``Verdict.candidates``.
    """
    return _marks(text, "[[{}]]", max(0, len(text) - _DISTILL_WINDOW))


def _marks(text: str, pattern: str, start: int) -> RuleFinding:
    offset = pattern.index("{")
    places = {side: text.find(pattern.format(side), start) for side in _SIDES}
    found = sorted((place, side) for side, place in places.items() if place >= 0)
    return RuleFinding({side: place + offset for place, side in found}, conflict=len(found) > 1)


RULES: Mapping[str, Rule] = {
    "default": default,
    "rm-r1-eval": released_evaluation,
    "rm-r1-reward": released_reward,
    "rm-r1-distill": released_distillation,
    "rewardbench": rewardbench,
}
"""Every rule by its name."""
