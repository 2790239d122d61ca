"""Which part of a text becomes the trace, and its verdict."""

import pytest

from rmr1.distillation.assessment import read_trace, trim
from rmr1.records import Generation
from rmr1.verdict import parse_verdict


@pytest.mark.parametrize(
    ("text", "think_open", "keep", "trace"),
    [
        (" <think>\nhm\n</think>\n\nx ", False, False, "x"),
        ("hm</think>x", True, False, "x"),
        ("hm</think>x", True, True, "<think>\nhm</think>x"),
        ("<think>hm</think>x", False, True, "<think>hm</think>x"),
        ("x\n", False, False, "x"),
    ],
)
def test_think_blocks(text, think_open, keep, trace):
    assert trim(text, think_open=think_open, keep_think=keep) == trace


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("think_open", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        " <think>\nhm <answer>[[B]]</answer>\n</think>\n\n<eval>so</eval><answer>[[A]]</answer> ",
        "hm</think><type>Chat</type><answer>[[B]]</answer>\n",
        "<answer>[[A]]</answer>",
        "nothing",
        "",
    ],
)
def test_the_verdict_is_that_of_the_trace_with_places_in_the_whole_text(text, think_open, keep):
    found = read_trace(Generation("r", text, think_open=think_open), keep_think=keep)
    alone = parse_verdict(Generation("r", trim(text, think_open=think_open, keep_think=keep)))
    assert (found.side, found.invalid, found.sections, found.problems) == (
        alone.side,
        alone.invalid,
        alone.sections,
        alone.problems,
    )
    if found.side is not None:
        assert text[found.position] == found.side
