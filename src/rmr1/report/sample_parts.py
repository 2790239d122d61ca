"""The parts of a judged sample as a page shows them: messages, fenced code, quoted spans, verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rmr1.records import Message, Side
from rmr1.report.judge_report import SampleVote
from rmr1.sides import pair_side

_LONG = 2500
_LINE = 80
_FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
# The body stops at the next opening tag: a judge stuck in a loop of opening tags would otherwise cost quadratic time.
_TAGGED = re.compile(
    r"<(?P<kind>quote|summary)_(?P<side>[AB])>(?P<body>(?:(?!<(?:quote|summary)_[AB]>).)*?)</(?P=kind)_(?P=side)>",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of an evaluation. ``shown`` is the side as the judge saw it, ``side`` the pair's; text has neither."""

    kind: Literal["text", "quote", "summary"]
    shown: Side | None
    side: Side | None
    text: str


def is_tall(messages: tuple[Message, ...]) -> bool:
    """Whether the messages need a box that scrolls."""
    return sum(_height(message.content) for message in messages) > _LONG


def is_long(vote: SampleVote) -> bool:
    """Whether a completion needs a box that scrolls where it stands beside others."""
    return _height(vote.text) > _LONG


def _height(text: str) -> int:
    """How much room a text takes, in characters of full lines."""
    return len(text) + _LINE * text.count("\n")


def blocks(text: str) -> Iterator[tuple[Literal["prose", "code"], str]]:
    """Split at fenced code, to set it in a fixed width. The fences stay: the reader sees what the judge saw."""
    end = 0
    for match in _FENCED.finditer(text):
        if prose := text[end : match.start()].strip("\n"):
            yield "prose", prose
        yield "code", match.group()
        end = match.end()
    if prose := text[end:].strip("\n"):
        yield "prose", prose


def shown_verdict(vote: SampleVote) -> str:
    """The letter that the judge wrote, or "" where the verdict is invalid."""
    # Showing the pair the other way round is its own inverse, so the same swap leads back to the shown side.
    return pair_side("A" if vote.side == "A" else "B", vote.order) if vote.side in ("A", "B") else ""


def pieces(vote: SampleVote) -> list[Piece]:
    """The evaluation in reading order, its tagged spans set apart; then the spans that stand outside it."""
    pieces: list[Piece] = []
    text, end = vote.sections.evaluation or "", 0

    def add_plain(plain: str) -> None:
        if plain.strip():
            pieces.append(Piece("text", None, None, plain.strip()))

    def add_span(kind: str, shown: Side, body: str) -> None:
        pieces.append(
            Piece("quote" if kind == "quote" else "summary", shown, pair_side(shown, vote.order), body.strip())
        )

    for match in _TAGGED.finditer(text):
        add_plain(text[end : match.start()])
        add_span(match["kind"], "A" if match["side"] == "A" else "B", match["body"])
        end = match.end()
    add_plain(text[end:])

    found = {(piece.kind, piece.shown, piece.text) for piece in pieces}
    sections = vote.sections
    lists: tuple[tuple[Literal["quote", "summary"], Side, tuple[str, ...]], ...] = (
        ("quote", "A", sections.quotes_a),
        ("quote", "B", sections.quotes_b),
        ("summary", "A", sections.summaries_a),
        ("summary", "B", sections.summaries_b),
    )
    for kind, shown, bodies in lists:
        for body in bodies:
            if (kind, shown, body.strip()) not in found:
                add_span(kind, shown, body)
    return pieces
