"""The programmatic teacher: a program reads the prompt, examines both responses, and writes the completion.

The trace follows the Chain-of-Rubrics (paper section 3.1) with as few tokens as its grammar allows: a small model on a CPU learns
from some hundred thousand tokens in all.
"""

from __future__ import annotations

from rmr1.curriculum.catalogue import read_demand
from rmr1.curriculum.task import Finding
from rmr1.errors import DataError
from rmr1.records import Comparison, Message, Side
from rmr1.verdict import compose_chat, compose_reasoning, compose_reference

_JUSTIFICATION = "asked"
"""Every Chat task of the curriculum states its one criterion."""


def write_trace(comparison: Comparison) -> str:
    """Judge a comparison of the curriculum, in shown sides.

    Raises:
        DataError: The prompt is of no family, or not exactly one response meets its demand.
    """
    found = read_demand(_text(comparison.prompt))
    if found is None:
        raise DataError(f"{comparison.pair_id}: the programmatic teacher knows only prompts of the curriculum")
    family, demand = found
    a, b = demand.examine(_text(comparison.shown_a)), demand.examine(_text(comparison.shown_b))
    if a.meets == b.meets:
        raise DataError(f"{comparison.pair_id}: {'both responses meet' if a.meets else 'no response meets'} the demand")
    evaluation = f"{_cite('A', a, demand.wanted)} {_cite('B', b, demand.wanted)}"
    better: Side = "A" if a.meets else "B"
    if family.task_type == "Reasoning":
        return compose_reasoning(demand.basis, evaluation, better)
    return compose_chat(demand.basis, _JUSTIFICATION, evaluation, better)


def _cite(side: Side, finding: Finding, wanted: str) -> str:
    conclusion = f"yes, so {side}" if finding.meets else "no"
    return (
        f"{compose_reference(side, finding.evidence, quoted=finding.quoted)} {finding.found} is {wanted}, {conclusion}."
    )


def _text(messages: tuple[Message, ...]) -> str:
    return messages[-1].content
