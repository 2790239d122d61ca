"""The parser on random and hostile texts: it raises nothing, and it is fast."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmr1.records import Generation
from rmr1.verdict import RULES, parse_verdict

PIECES = (
    *(f"<{slash}{tag}>" for slash in ("", "/") for tag in ("think", "type", "rubric", "justify", "solution", "eval")),
    *(f"<{slash}{tag}_{side}>" for slash in ("", "/") for tag in ("quote", "summary") for side in "AB"),
    *(
        "<answer>",
        "</answer>",
        "<answer>[[A]]</answer>",
        "<answer>[[B]]</answer>",
        "[[A]]",
        "[[B]]",
        "[[",
        "]]",
        "Chat",
        "Reasoning",
    ),
    *(
        "1. x (40%)\n",
        "- y weight: .5\n",
        "<",
        ">",
        "\n",
        " ",
        "\r\n",
        "\0",
        "\ud800",
        "\u202e",
        "é",
        "🙂",
        "text",
        "<answer",
        "%",
    ),
)
TEXTS = 100_000


def check(text, finish="stop", think_open=False):
    for rule in RULES:
        verdict = parse_verdict(Generation("r", text, finish, think_open=think_open), rule)
        assert (verdict.side is None) == (verdict.invalid is not None)
        if verdict.side is not None:
            assert text[verdict.position] == verdict.side
            assert verdict.candidates == (verdict.side,)
    return verdict


@pytest.mark.slow
def test_a_hundred_thousand_texts_raise_nothing():
    chance = random.Random(20250502)
    for _ in range(TEXTS):
        text = "".join(chance.choices(PIECES, k=chance.randrange(0, 16)))
        check(text, chance.choice(("stop", "length")), chance.random() < 0.3)


@settings(max_examples=500, deadline=None)
@given(st.text() | st.lists(st.sampled_from(PIECES) | st.text(max_size=5)).map("".join), st.booleans())
def test_any_text_raises_nothing(text, think_open):
    check(text, think_open=think_open)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES)).map("".join), st.sampled_from(["A", "B"]))
def test_nothing_in_a_closed_think_block_changes_the_verdict(thought, side):
    thought = thought.replace("think>", "")
    verdict = parse_verdict(Generation("r", f"<think>{thought}</think><answer>[[{side}]]</answer>"))
    assert verdict.side == side


MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    "text",
    [
        "word " * (MEGABYTE // 5),
        *(
            piece * (MEGABYTE // len(piece))
            for piece in ("<answer>", "</think>", "<eval></eval>", "<rubric>- x\n</rubric>", "[[A]]")
        ),
        "<rubric>1. " + "9" * MEGABYTE + "</rubric>",
        "<answer>[[" + " " * MEGABYTE + "</answer>",
        "<rubric>" + "- x 10%\n" * (MEGABYTE // 8) + "</rubric><answer>[[A]]</answer>",
    ],
    ids=lambda text: text[:12].strip(),
)
def test_a_megabyte_is_parsed_in_no_time(text):
    def seconds():
        begin = time.process_time()
        parse_verdict(Generation("r", text))
        return time.process_time() - begin

    # Processor time, the best of three: a busy machine must not fail this, quadratic time (minutes) must.
    assert min(seconds() for _ in range(3)) < 0.5
