"""What a judge report says, before anyone decides how it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rmr1.records import Message, Order, Sections

Status = Literal["right", "wrong", "tie", "invalid", "unlabelled"]
Unit = Literal["share", "number"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A headline figure.

    Args:
        name: What is measured.
        value: The figure; None (or a number that is not finite) is shown as not available.
        low: Lower end of the 95 % interval; the interval is drawn where both ends are known.
        high: Upper end of the 95 % interval.
        note: The policy behind the figure, such as "ties and invalid count as wrong".
        unit: "share" is a part of 1, drawn on a scale from 0 to 100 %; "number" has a scale of its own.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    note: str
    unit: Unit


@dataclass(frozen=True, slots=True)
class Table:
    """A captioned table of ready-made texts. The first cell of a row names the row.

    Raises:
        ValueError: A row has not one cell for each column.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.title!r}: row {number} has {len(row)} cells for {len(self.columns)} columns"
                )


@dataclass(frozen=True, slots=True)
class SampleVote:
    """One completion of a sample.

    Args:
        order: The order in which the responses were shown.
        vote: Number of the vote within its order.
        side: The better side *of the pair*, "A" or "B", else the reason why the verdict is invalid.
        text: What the judge wrote.
        sections: The parsed parts of ``text``; their A and B are shown sides.
        problems: Names of what is wrong with the format.
        tokens: Tokens that the judge wrote.
    """

    order: Order
    vote: int
    side: str
    text: str
    sections: Sections
    problems: tuple[str, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One judged pair.

    Args:
        id: The pair's id.
        category: Its subset or task, or "".
        status: How the outcome compares with the label.
        winner: "A", "B" or "tie" in sides of the pair, or "" where there is no winner.
        label: "A" or "B", or "" where it is unknown.
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
        return any(vote.side not in ("A", "B") for vote in self.votes)


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """What a judge report says.

    Args:
        title: Heading of the page.
        facts: Names and values that describe the run: model, template and its hash, data, seed, orders, votes, command.
        headline: The figures that matter most.
        tables: Breakdowns of them.
        samples: The judged pairs to list; a few hundred at most make a page that opens quickly.
        samples_total: How many pairs the run has judged; the page says so where it lists fewer.
        notes: What a reader has to know to read the figures rightly.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    headline: tuple[Metric, ...]
    tables: tuple[Table, ...]
    samples: tuple[Sample, ...]
    samples_total: int
    notes: tuple[str, ...]
