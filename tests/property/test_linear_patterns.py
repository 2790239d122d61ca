"""Every regular expression of the package takes time in proportion to the text, whatever the text repeats."""

import time
from functools import partial

import pytest

from rmr1.curriculum.families import FAMILIES, load_family
from rmr1.distillation.hint_leak import leaked_hints
from rmr1.prompts import fence
from rmr1.records import Generation
from rmr1.verdict import parse_verdict
from tests.support.patterns import attacks, package_patterns

SHORT, LONG = 10_000, 1_000_000
PATTERNS, UNREAD = package_patterns()
PIECES = (
    *(" ", "\n", "\u2028", "\u200b", "a", "1", "1, ", "-", '"', "*", "é", "&lt;", "&lt;answer>", "\ud800"),
    *("[", "[[", "[[A]]", "]", "<", "</", "<|a", "<answer>[[", "<think>", "</think>", "<quote_A>"),
    *("User:", "\nUser:", "[The End of ", "[[\"'", "as given ", "known ", "- x 10%\n", "```\n"),
)
PROMPTS = {
    "sums": "What is 1 + 2?",
    "sorting": "Sort from smallest to largest: 2, 1",
    "spelling": "Spell this word backwards: abc",
    "contains": 'Write a sentence with the word "cup".',
    "ending": 'Write a sentence that ends with the word "cup".',
    "case": 'Write a sentence with only the word "cup" in capital letters.',
    "items": "Name exactly 2 tools.",
    "layout": "List three tools with commas.",
}


def seconds(call, *arguments, **named):
    """Processor time, the better of two: a busy machine must not fail this."""
    taken = []
    while len(taken) < 2 and (not taken or taken[0] > 0.2):
        begin = time.process_time()
        call(*arguments, **named)
        taken.append(time.process_time() - begin)
    return min(taken)


def is_linear(call, text, limit, **named):
    """Whether ``call`` takes time in proportion to the text.

    A slow machine may take longer than ``limit`` seconds; then a fourth of the text must have taken a fourth of the time, give or
    take a factor of two. In quadratic time it takes a sixteenth.
    """
    taken = seconds(call, text, **named)
    return taken < limit or taken < 8 * seconds(call, text[: len(text) // 4], **named)


def test_every_pattern_of_the_package_is_known():
    assert not UNREAD, "write the pattern as a constant or a global, so that it can be tried here"
    assert len(PATTERNS) > 50


def use(pattern, method, text):
    if method in ("sub", "subn"):
        pattern.sub("", text)
    elif method == "finditer":
        for _ in pattern.finditer(text):
            pass
    else:
        getattr(pattern, method)(text)


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_backtracks_far(name):
    pattern, methods = PATTERNS[name]
    for text in attacks(pattern, SHORT):
        for method in methods:
            assert is_linear(partial(use, pattern, method), text, 0.2), (method, text[:40])


@pytest.mark.parametrize("piece", PIECES, ids=ascii)
def test_a_megabyte_passes_in_a_second(piece):
    text = piece * (LONG // len(piece))
    assert is_linear(fence, text, 1, conversation=True)
    assert is_linear(lambda text: parse_verdict(Generation("r", text)), text, 1)
    assert is_linear(lambda text: leaked_hints(f"as given {text}", [text[:100]], [text]), text, 1)
    for name, prompt in PROMPTS.items():
        demand = load_family(name).read(prompt)
        assert is_linear(demand.examine, text, 1), name


def test_every_family_is_tried():
    assert set(PROMPTS) == set(FAMILIES.names())


@pytest.mark.parametrize("name", PROMPTS)
def test_long_prompts_are_read_in_no_time(name):
    prompt = PROMPTS[name]
    for piece in ("1", " + 1", ", 1", ' and "cup"', "a", " "):
        for place in (len(prompt) - 1, prompt.rindex(" ")):
            text = prompt[:place] + piece * (LONG // 10 // len(piece)) + prompt[place:]

            def read(middle, before=prompt[:place], after=prompt[place:]):
                return load_family(name).read(before + middle + after)

            assert is_linear(read, piece * (LONG // 10 // len(piece)), 1)
            demand = load_family(name).read(text)
            if demand is not None:
                assert is_linear(demand.examine, "cup " * 20_000, 1)
