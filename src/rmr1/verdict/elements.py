"""The tags of a completion: found in one pass, linear in the length of any text, and written by teachers that are programs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from rmr1.records import Side, Span

SECTION_TAGS = (
    "type",
    "rubric",
    "justify",
    "solution",
    "eval",
    "quote_A",
    "quote_B",
    "summary_A",
    "summary_B",
    "answer",
)
QUOTES = ("quote_A", "quote_B")
MAX_TAGS = 4096
"""A text with more tags is degenerate (a model caught in a loop): the rest is not read, and ``too_many_tags`` says so."""
_TAG = re.compile(r"<(/?)(think|" + "|".join(SECTION_TAGS) + r")>")


@dataclass(frozen=True, slots=True)
class Outline:
    """The elements of a text outside its think blocks, in the order in which they close.

    ``think`` holds the content of the think blocks; ``outside`` has the stretches of text that are left. ``cut_thought``
    says that the text was cut while it was thought, ``cut_quote`` where a quotation begins that was cut.
    """

    think: tuple[Span, ...]
    outside: tuple[tuple[int, int], ...]
    elements: tuple[Span, ...]
    problems: tuple[str, ...]
    cut_thought: bool = False
    cut_quote: int | None = None

    def named(self, *names: str) -> list[Span]:
        """The elements with one of these names."""
        return [element for element in self.elements if element.name in names]

    def answers(self) -> list[Span]:
        """The answers that the judge gives: not those that it quotes from a response."""
        given: list[Span] = []
        for element in self.elements:  # in the order in which they close, so a quotation comes after what it holds
            if element.name in QUOTES:
                while given and given[-1].start > element.start:
                    given.pop()
            elif element.name == "answer" and (self.cut_quote is None or element.start < self.cut_quote):
                given.append(element)
        return given


class _ThinkScan:
    """Tells think from the rest. A first ``</think>`` without an opening tag closes a block that the chat template opened."""

    def __init__(self, think_open: bool) -> None:
        self.inside = think_open
        self.seen = think_open
        self.position = 0
        self.think: list[tuple[int, int]] = []
        self.outside: list[tuple[int, int]] = []
        self.problems: list[str] = []

    def tag(self, closing: bool, start: int, end: int) -> None:
        if closing:
            self._close(start, end)
        elif self.inside:
            self.problems.append("nested_think")
        else:
            self.outside.append((self.position, start))
            self.inside, self.seen, self.position = True, True, end

    def _close(self, start: int, end: int) -> None:
        if self.inside or not self.seen:
            self.think.append((self.position, start))
            self.inside, self.seen, self.position = False, True, end
        else:
            self.problems.append("stray_think_close")

    def finish(self, length: int) -> None:
        (self.think if self.inside else self.outside).append((self.position, length))
        if self.inside:
            self.problems.append("unclosed_think")


def outline(text: str, *, think_open: bool = False, cut: bool = False) -> Outline:
    """Find the think blocks and, outside them, every closed element of the grammar.

    An element runs from the last opening tag before its closing tag; a second opening tag makes the first one ``unclosed_<tag>``.

    Args:
        text: The completion.
        think_open: Whether the chat template opened a think block.
        cut: Whether the completion ended at the token limit.
    """
    scan = _ThinkScan(think_open)
    tags = list(islice(_TAG.finditer(text), MAX_TAGS + 1))
    if len(tags) > MAX_TAGS:
        scan.problems.append("too_many_tags")
    for tag in tags:
        if tag[2] == "think":
            scan.tag(tag[1] == "/", tag.start(), tag.end())
    scan.finish(len(text))
    elements, opened, problems = _pair_tags(tag for tag in _within(tags, scan.outside) if tag[2] != "think")
    think = tuple(Span("think", start, end) for start, end in scan.think)
    return Outline(
        think,
        tuple(scan.outside),
        tuple(elements),
        (*dict.fromkeys(scan.problems + problems),),
        cut_thought=cut and _ends_in_thought(text, scan),
        cut_quote=min((opened[name] for name in QUOTES if name in opened), default=None) if cut else None,
    )


def _ends_in_thought(text: str, scan: _ThinkScan) -> bool:
    """Whether the last that was written is a thought: an engine may close the block of a thought that was cut."""
    return scan.inside or (bool(scan.think) and not text[scan.position :].strip())


def _within(tags: list[re.Match[str]], spans: list[tuple[int, int]]) -> Iterable[re.Match[str]]:
    position = 0
    for tag in tags:
        while position < len(spans) and spans[position][1] <= tag.start():
            position += 1
        if position < len(spans) and spans[position][0] <= tag.start():
            yield tag


def _pair_tags(tags: Iterable[re.Match[str]]) -> tuple[list[Span], dict[str, int], list[str]]:
    """The elements; where those begin that never close; the problems."""
    opened: dict[str, int] = {}
    elements: list[Span] = []
    problems: list[str] = []
    for tag in tags:
        name = tag[2]
        if not tag[1]:
            if name in opened:
                problems.append(f"unclosed_{name}")
            opened[name] = tag.end()
        elif name in opened:
            elements.append(Span(name, opened.pop(name), tag.start()))
        else:
            problems.append(f"unopened_{name}")
    problems.extend(f"unclosed_{name}" for name in opened)
    return elements, opened, problems


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
