"""Judged pairs for the tests of pages."""

from __future__ import annotations

import dataclasses
from typing import Any

from rmr1.records import Message, RubricItem, Sections
from rmr1.report.samples import Sample, SampleVote

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"' onclick=alert(3) \u2028\u2029</style><!-- {{ 7 }}"
SECTIONS = Sections(
    think="a thought",
    task_type="Chat",
    rubric="the rubric as text",
    rubric_items=(RubricItem("accuracy", 0.6), RubricItem("tone", None)),
    justify="because",
    solution="my solution",
    evaluation="First. <quote_A>a quote</quote_A> Then. <summary_B>a summary</summary_B> Last.",
    quotes_a=("a quote",),
    quotes_b=("a stray quote",),
    summaries_b=("a summary",),
)


def say(text: str, role: str = "assistant") -> tuple[Message, ...]:
    return (Message(role, text),)


def make_vote(**changes: Any) -> SampleVote:
    vote = SampleVote("ab", 0, "A", "raw completion <answer>[[A]]</answer>", Sections(), (), 12)
    return dataclasses.replace(vote, **changes)


def make_sample(**changes: Any) -> Sample:
    sample = Sample(
        id="pair-1",
        category="chat",
        status="right",
        winner="A",
        label="A",
        confidence=0.75,
        position_consistent=True,
        prompt=say("the question", "user"),
        response_a=say("the first answer"),
        response_b=say("the second answer"),
        votes=(make_vote(), make_vote(order="ba")),
    )
    return dataclasses.replace(sample, **changes)
