"""Whether a completion may become a trace: the package's one parser against the label, for both passes alike.

The code released with the paper keeps a trace whose last 100 characters hold the right letter, and never looks at those of its
second pass; here both passes are held to the verdict that the reward of stage 2 reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from rmr1.distillation.hint_leak import leaked_hints
from rmr1.judging import Completion
from rmr1.records import Generation, PreferencePair, Side, Verdict
from rmr1.sides import decisive, pair_side
from rmr1.verdict import moved, parse_verdict

RULE = "default"
Reason = Literal["wrong_verdict", "missing", "conflicting", "truncated", "refused", "format", "leaks_hint"]
_THINK_END = "</think>"


@dataclass(frozen=True, slots=True)
class Assessment:
    """What came of one completion.

    Args:
        trace: What a student would be trained on.
        reason: Why it is rejected; None if it is kept.
        side: Its verdict, in shown sides.
        gold: The right verdict, in shown sides.
        problems: What is wrong with its format, see ``rmr1.verdict.problems``.
        hints: Patterns by which it gives the hint away, see ``rmr1.distillation.hint_leak``.
    """

    trace: str
    reason: Reason | None
    side: Side | None
    gold: Side
    problems: tuple[str, ...]
    hints: tuple[str, ...] = ()


def trim(text: str, *, think_open: bool, keep_think: bool) -> str:
    """The trace in a text: without anything before the last ``</think>``, or with its whole think block."""
    start, end = _extent(text, keep_think)
    return f"<think>\n{text[start:end]}" if keep_think and think_open else text[start:end]


def read_trace(generation: Generation, *, keep_think: bool) -> Verdict:
    """The verdict of the trace in a generation; what is verified is what will be trained on.

    Args:
        generation: What the engine wrote.
        keep_think: Whether its think block becomes part of the trace.

    Returns:
        The verdict by the default rule; its offsets count from the start of the whole text.
    """
    start, end = _extent(generation.text, keep_think)
    trace = replace(generation, text=generation.text[start:end], think_open=keep_think and generation.think_open)
    return moved(parse_verdict(trace, RULE), start)


def _extent(text: str, keep_think: bool) -> tuple[int, int]:
    start = 0 if keep_think else text.rfind(_THINK_END) + len(_THINK_END) if _THINK_END in text else 0
    kept = text[start:]
    start += len(kept) - len(kept.lstrip())
    return start, start + len(kept.strip())


def assess(
    completion: Completion, *, require_format: bool, keep_think: bool, hinted: PreferencePair | None = None
) -> Assessment:
    """Check a completion against the label of its pair.

    Args:
        completion: Its pair has a better response, and the engine has not failed on it.
        require_format: Whether any problem of format rejects it.
        keep_think: Whether its think block becomes part of the trace.
        hinted: The pair, if the writer was given its label: then the trace must not give that away.
    """
    trace = trim(completion.text, think_open=completion.think_open, keep_think=keep_think)
    verdict = completion.verdict
    gold = _gold(completion)
    hints = (
        leaked_hints(trace, (*verdict.sections.quotes_a, *verdict.sections.quotes_b), _texts(hinted)) if hinted else ()
    )
    reason: Reason | None = None
    if completion.finish_reason == "length":
        reason = "truncated"
    elif verdict.invalid is not None:
        reason = verdict.invalid if verdict.invalid in ("conflicting", "refused") else "missing"
    elif verdict.side != gold:
        reason = "wrong_verdict"
    elif hints:
        reason = "leaks_hint"
    elif require_format and verdict.problems:
        reason = "format"
    return Assessment(trace, reason, verdict.side, gold, verdict.problems, hints)


def _gold(completion: Completion) -> Side:
    gold = pair_side(decisive(completion.label), completion.order)
    if gold is None:
        raise ValueError(f"{completion.request}: a pair without a better response has no traces")
    return gold


def _texts(pair: PreferencePair) -> Iterable[str]:
    return (message.content for message in (*pair.prompt, *pair.response_a, *pair.response_b))
