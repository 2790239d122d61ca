"""Judged samples on a page: what a reader sees of one, what they can be filtered by, and thousands of them in one page.

As plain markup, 10,000 samples are more than a browser opens in reasonable time. So an evaluation's page holds them packed: each
sample's markup is made by the same macros as elsewhere, with every text escaped, and kept as gzip in base64: an index with the
line of every sample, and blocks with their bodies. Base64 has no character that could end the element it stands in.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from rmr1.records import Message, Order, Sections, Side
from rmr1.sides import pair_side

Status = Literal["right", "wrong", "tie", "half-judged", "invalid", "unjudged", "unlabelled"]
_SOME_INVALID = "some-invalid"
_OUTCOMES = ("right", "wrong", "tie", "inconsistent", "half-judged", "invalid", "unjudged", "unlabelled")
_RARE = frozenset({"half-judged", "unjudged", "unlabelled"})
_CHANGES = {"gained": "became right", "lost": "no longer right"}
_LONG = 2500
_LINE = 80
_FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
# The body stops at the next opening tag: a judge stuck in a loop of opening tags would otherwise cost quadratic time.
_TAGGED = re.compile(
    r"<(?P<kind>quote|summary)_(?P<side>[AB])>(?P<body>(?:(?!<(?:quote|summary)_[AB]>).)*?)</(?P=kind)_(?P=side)>",
    re.DOTALL,
)
BLOCK = 50
"""Samples of a block. Opening one sample unpacks its block; searching unpacks all."""


@dataclass(frozen=True, slots=True)
class SampleVote:
    """One completion of a sample.

    Args:
        order: The order in which the responses were shown.
        vote: Number of the vote within its order.
        side: The better side *of the pair*, "A" or "B", else the reason why the verdict is invalid; "" beside a score.
        text: What the judge wrote.
        sections: The parsed parts of ``text``; their A and B are shown sides.
        problems: Names of what is wrong with the format.
        tokens: Tokens that the judge wrote.
        alone: Whether the judge saw one response alone, the one that is shown first in ``order``.
        score: Of that response.
    """

    order: Order
    vote: int
    side: str
    text: str
    sections: Sections
    problems: tuple[str, ...]
    tokens: int
    alone: bool = False
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One judged pair.

    Args:
        id: The pair's id.
        category: Its subset or task, or "".
        status: How the outcome compares with the label.
        winner: "A", "B" or "tie" in sides of the pair, or "" where there is no winner.
        label: "A", "B" or "tie", or "" where it is unknown.
        confidence: Confidence in the winner, from 0 to 1.
        position_consistent: Whether both orders agree; None where they cannot be compared.
        prompt: The conversation up to the responses.
        response_a: The pair's response A.
        response_b: The pair's response B.
        votes: Every completion of the pair.
    """

    id: str
    category: str
    status: Status
    winner: str
    label: str
    confidence: float
    position_consistent: bool | None
    prompt: tuple[Message, ...]
    response_a: tuple[Message, ...]
    response_b: tuple[Message, ...]
    votes: tuple[SampleVote, ...]

    @property
    def has_invalid(self) -> bool:
        """Whether a completion of it has no valid verdict."""
        return any(vote.side not in ("A", "B") and vote.score is None for vote in self.votes)


@dataclass(frozen=True, slots=True)
class StagedSample:
    """One pair, judged at one or more stages.

    Args:
        stages: Name of the stage and the judged pair, in the order of the training.

    Raises:
        ValueError: There is no stage, or the stages do not show the same pair.
    """

    stages: tuple[tuple[str, Sample], ...]

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("a staged sample has no stage; leave it out of the report")
        ids = sorted({sample.id for _, sample in self.stages})
        if len(ids) > 1:
            raise ValueError(f"a staged sample shows several pairs: {', '.join(map(repr, ids))}; group them by id")

    @property
    def first(self) -> Sample:
        """The pair as judged at its first stage."""
        return self.stages[0][1]

    @property
    def last(self) -> Sample:
        """The pair as judged at its last stage."""
        return self.stages[-1][1]


@dataclass(frozen=True, slots=True)
class VoteRow:
    """One completion of a pair over its stages; None where a stage did not ask for it."""

    order: Order
    vote: int
    cells: tuple[tuple[str, SampleVote | None], ...]


def vote_rows(sample: StagedSample) -> tuple[VoteRow, ...]:
    """The completions of a pair, so that those of one order and number stand beside each other."""
    votes = [(stage, {(vote.order, vote.vote): vote for vote in judged.votes}) for stage, judged in sample.stages]
    keys = dict.fromkeys(key for _, by_key in votes for key in by_key)
    return tuple(VoteRow(*key, tuple((stage, by_key.get(key)) for stage, by_key in votes)) for key in keys)


class Filtered(Protocol):
    """What filters know of a sample."""

    @property
    def status(self) -> Status:
        """How its outcome compares with the label."""

    @property
    def position_consistent(self) -> bool | None:
        """Whether its orders agree."""

    @property
    def category(self) -> str:
        """Its subset or task."""

    @property
    def has_invalid(self) -> bool:
        """Whether a completion of it has no valid verdict."""


@dataclass(frozen=True, slots=True)
class FilterChoice:
    """A filter: its value in the page, its name for people, and how many samples it lets through."""

    value: str
    label: str
    count: int


def outcome_choices(samples: Sequence[Filtered]) -> tuple[FilterChoice, ...]:
    """The filters by outcome; those of the rarer outcomes only where they tell samples apart."""
    counts = Counter(name for sample in samples for name in matching(sample))
    hidden = set(_RARE - counts.keys())
    if counts[_SOME_INVALID] <= counts["invalid"] + counts["half-judged"] + counts["unjudged"]:
        hidden.add(_SOME_INVALID)
    names = {name: name for name in _OUTCOMES} | {_SOME_INVALID: "some invalid"}
    return tuple(FilterChoice(value, label, counts[value]) for value, label in names.items() if value not in hidden)


def change_choices(samples: Sequence[StagedSample]) -> tuple[FilterChoice, ...]:
    """The filters by what training changed; none where no sample was judged twice."""
    if all(len(sample.stages) < 2 for sample in samples):
        return ()
    changes = [change(sample) for sample in samples]
    return tuple(FilterChoice(value, label, changes.count(value)) for value, label in _CHANGES.items())


def categories(samples: Iterable[Filtered]) -> list[str]:
    """The categories of the samples, each once."""
    return sorted({sample.category for sample in samples})


def change(sample: StagedSample) -> str:
    """How the judge changed from the first stage to the last: "gained" (it became right), "lost", or "" for neither."""
    was_right, is_right = (outcome.status == "right" for outcome in (sample.first, sample.last))
    if was_right == is_right:
        return ""
    return "gained" if is_right else "lost"


def matching(sample: Filtered) -> list[str]:
    """The filters by outcome that let a sample through."""
    tests = {
        sample.status: True,
        "inconsistent": sample.position_consistent is False,
        _SOME_INVALID: sample.has_invalid,
    }
    return [name for name, passes in tests.items() if passes]


@dataclass(frozen=True, slots=True)
class EvaluationPiece:
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


def pieces(vote: SampleVote) -> list[EvaluationPiece]:
    """The evaluation in reading order, its tagged spans set apart; then the spans that stand outside it."""
    pieces: list[EvaluationPiece] = []
    text, end = vote.sections.evaluation or "", 0

    def add_plain(plain: str) -> None:
        if plain.strip():
            pieces.append(EvaluationPiece("text", None, None, plain.strip()))

    def add_span(kind: str, shown: Side, body: str) -> None:
        pieces.append(
            EvaluationPiece(
                "quote" if kind == "quote" else "summary", shown, pair_side(shown, vote.order), body.strip()
            )
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


@dataclass(frozen=True, slots=True)
class Listed:
    """What the page's filters know of a sample."""

    status: Status
    position_consistent: bool | None
    category: str
    has_invalid: bool


@dataclass(frozen=True, slots=True)
class PackedSamples:
    """The samples of a page.

    Args:
        listed: What filters know, sample by sample.
        index: Packed: for each sample the filters that let it through, its category, and the markup of its line.
        blocks: Packed: for each of ``BLOCK`` samples the markup of its body, and its texts to search in.
    """

    listed: tuple[Listed, ...]
    index: str
    blocks: tuple[str, ...]


def pack_samples(
    samples: Iterable[Sample], line: Callable[[Sample], str], body: Callable[[Sample, int], str]
) -> PackedSamples:
    """Pack samples; they are read once, and only one block of them is held at a time.

    Args:
        samples: The samples.
        line: Makes the markup of a sample's line; every text in it is escaped.
        body: Makes the markup of a sample's body, given its number from 1.
    """
    listed: list[Listed] = []
    lines: list[tuple[str, str, str]] = []
    blocks: list[str] = []
    for block in _batched(samples):
        rows = []
        for sample in block:
            rows.append((str(body(sample, len(listed) + 1)), "\n".join(_texts(sample))))
            known = Listed(sample.status, sample.position_consistent, sample.category, sample.has_invalid)
            listed.append(known)
            lines.append((" ".join(matching(known)), sample.category, str(line(sample))))
        blocks.append(_packed(rows))
    return PackedSamples(tuple(listed), _packed(lines), tuple(blocks))


def _batched(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    block: list[Sample] = []
    for sample in samples:
        block.append(sample)
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block


def _texts(sample: Sample) -> Iterator[str]:
    yield sample.id
    yield sample.category
    for messages in (sample.prompt, sample.response_a, sample.response_b):
        yield from _contents(messages)
    for vote in sample.votes:
        yield vote.text


def _contents(messages: Iterable[Message]) -> Iterator[str]:
    return (message.content for message in messages)


def _packed(content: object) -> str:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    # Level 6 is half as large as level 1; beyond it, a page takes longer to write and is hardly smaller. No time, so that equal
    # samples give equal pages.
    data = gzip.compress(text.encode("utf-8", "replace"), compresslevel=6, mtime=0)
    return base64.b64encode(data).decode("ascii")
