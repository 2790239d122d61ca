"""A completion from its parts: the inverse of parsing, for teachers that are programs."""

from __future__ import annotations

from rmr1.records import Side


def compose_reasoning(solution: str, evaluation: str, side: Side) -> str:
    """A Reasoning completion (paper section 3.1): own solution, evaluation, verdict."""
    return f"<type>Reasoning</type>\n<solution>{solution}</solution>\n{_end(evaluation, side)}"


def compose_chat(rubric: str, justify: str, evaluation: str, side: Side) -> str:
    """A Chat completion (paper section 3.1): rubric with its justification, evaluation, verdict."""
    return f"<type>Chat</type>\n<rubric>{rubric}<justify>{justify}</justify></rubric>\n{_end(evaluation, side)}"


def compose_reference(side: Side, text: str, *, quoted: bool = True) -> str:
    """A quotation from a response, or a summary of it."""
    tag = f"{'quote' if quoted else 'summary'}_{side}"
    return f"<{tag}>{text}</{tag}>"


def _end(evaluation: str, side: Side) -> str:
    return f"<eval>{evaluation}</eval>\n<answer>[[{side}]]</answer>"
