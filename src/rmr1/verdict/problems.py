"""What is wrong with the format of a completion, by name.

The grammar is the Chain-of-Rubrics (paper section 3.1 and its prompt): ``<type>``, then a ``<rubric>`` that holds a ``<justify>``
(Chat) or a ``<solution>`` (Reasoning), then an ``<eval>`` that quotes or summarises both sides, then ``<answer>`` and nothing
more. A text without any of these sections (a reasoning-native or verdict-only completion) is held to the answer's rules alone.

Names: ``missing_type``, ``unknown_type``, ``missing_rubric``, ``missing_justify``, ``justify_outside_rubric``,
``missing_solution``, ``rubric_in_reasoning``, ``solution_in_chat``, ``missing_eval``, ``empty_eval``, ``no_reference_to_A``,
``no_reference_to_B``, ``missing_answer``, ``quoted_answer``, ``malformed_answer``, ``duplicate_answer``, ``conflicting_answers``,
``answer_inside_<tag>``, ``text_after_answer``, ``verdict_outside_answer``, ``unclosed_<tag>``, ``unopened_<tag>``,
``nested_think``, ``stray_think_close``, ``unclosed_think``, ``too_many_tags``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rmr1.records import Sections, Span
from rmr1.verdict.elements import Outline
from rmr1.verdict.rules import RuleFinding, default

_MARK = re.compile(r"\[\[[AB]\]\]")
_COR_TAGS = ("type", "rubric", "solution", "eval")


def find_problems(text: str, outline: Outline, sections: Sections) -> tuple[str, ...]:
    """Name what breaks the grammar, each problem once, in reading order."""
    names = [*outline.problems]
    if outline.named(*_COR_TAGS):
        names.extend(_type_problems(outline, sections))
        names.extend(_branch_problems(outline, sections))
        names.extend(_evaluation_problems(outline, sections))
    names.extend(_answer_problems(text, outline, default(text, outline)))
    return tuple(dict.fromkeys(names))


def _type_problems(outline: Outline, sections: Sections) -> Iterator[str]:
    if not outline.named("type"):
        yield "missing_type"
    elif sections.task_type is None:
        yield "unknown_type"


def _branch_problems(outline: Outline, sections: Sections) -> Iterator[str]:
    if sections.task_type == "Reasoning":
        if not sections.solution:
            yield "missing_solution"
        if sections.rubric is not None:
            yield "rubric_in_reasoning"
        return
    if sections.task_type == "Chat" and sections.solution is not None:
        yield "solution_in_chat"
    if not sections.rubric:
        yield "missing_rubric"
    if not sections.justify:
        yield "missing_justify"
    if any(_outside(justify, outline.named("rubric")) for justify in outline.named("justify")):
        yield "justify_outside_rubric"


def _outside(inner: Span, outers: list[Span]) -> bool:
    # Elements come in the order in which they close, so a long scan would be quadratic on hostile text: look at the first few.
    return not any(outer.start <= inner.start and inner.end <= outer.end for outer in outers[:8])


def _evaluation_problems(outline: Outline, sections: Sections) -> Iterator[str]:
    if sections.evaluation is None:
        yield "missing_eval"
    elif not sections.evaluation:
        yield "empty_eval"
    # A reference without a text refers to nothing.
    if not any(sections.quotes_a + sections.summaries_a):
        yield "no_reference_to_A"
    if not any(sections.quotes_b + sections.summaries_b):
        yield "no_reference_to_B"


def _answer_problems(text: str, outline: Outline, finding: RuleFinding) -> Iterator[str]:
    answers = outline.answers()
    if len(answers) < len(outline.named("answer")):
        yield "quoted_answer"
    if not answers:
        yield "missing_answer"
        if any(_MARK.search(text, start, end) for start, end in outline.outside):
            yield "verdict_outside_answer"
        return
    if not finding.sides or (finding.conflict and len(finding.sides) == 1):
        yield "malformed_answer"
    if finding.conflict:
        yield "conflicting_answers"
    elif len(answers) > 1:
        yield "duplicate_answer"
    last = answers[-1]
    for element in outline.elements:
        if element.start < last.start and last.end < element.end:
            yield f"answer_inside_{element.name}"
    if text[last.end + len("</answer>") :].strip():
        yield "text_after_answer"
