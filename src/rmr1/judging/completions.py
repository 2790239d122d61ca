"""A completion: one answered comparison with its verdict, as a line of a run's journal holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rmr1.errors import JournalError
from rmr1.records import FinishReason, Generation, Label, Order, Span, Usage, Verdict, Vote
from rmr1.sides import pair_probability, pair_side
from rmr1.verdict import parse_verdict, sections_of


@dataclass(frozen=True, slots=True)
class Completion:
    """One answered comparison.

    Args:
        pair: Number of the pair in its source.
        index: Number of the comparison within the pair.
        request: Id of the request, ``PAIR/ORDER/VOTE``.
        pair_id: The pair's id.
        group: The pair's group.
        category: The pair's category.
        label: The better side of the pair or "tie", if it is known.
        order: The order in which the responses were shown.
        vote: Number of the completion within its order.
        text: What the judge wrote.
        finish_reason: Why it stopped; "error" means that the engine failed.
        think_open: Whether the text starts inside a think block.
        usage: Tokens spent.
        p_shown_a: Probability of the shown A against the shown B at the verdict; None where the engine gives none.
        fenced: How many markers in the prompt were fenced.
        prompt_sha256: Hash of the prompt.
        verdict: What the text says, parsed once, on arrival.
        error: What the engine said if it failed.
    """

    pair: int
    index: int
    request: str
    pair_id: str
    group: str
    category: str
    label: Label | None
    order: Order
    vote: int
    text: str
    finish_reason: FinishReason
    think_open: bool
    usage: Usage
    p_shown_a: float | None
    fenced: int
    prompt_sha256: str
    verdict: Verdict
    error: str | None = None

    def verdict_by(self, rule: str) -> Verdict:
        """The verdict by a rule. The text is parsed again only if the stored verdict is by another rule."""
        if self.verdict.rule == rule:
            return self.verdict
        return parse_verdict(
            Generation(self.request, self.text, self.finish_reason, think_open=self.think_open, error=self.error), rule
        )

    def as_vote(self, rule: str) -> Vote:
        """The completion as a vote, in the frame of its pair."""
        verdict = self.verdict_by(rule)
        return Vote(
            order=self.order,
            vote=self.vote,
            side=pair_side(verdict.side, self.order),
            verdict=verdict,
            text=self.text,
            usage=self.usage,
            p_a=pair_probability(self.p_shown_a, self.order),
            fenced=self.fenced,
            error=self.error,
        )

    def to_record(self) -> dict[str, Any]:
        """The journal's line, with the whole verdict; it holds sections as spans of the text."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "error"}
        verdict = {name: getattr(self.verdict, name) for name in _VERDICT_FIELDS}
        spans = [[span.name, span.start, span.end] for span in self.verdict.spans]
        record["usage"] = asdict(self.usage)
        record["verdict"] = {**verdict, "sections": spans}
        if self.error is not None:
            record["error"] = self.error
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Completion:
        """Read a journal's line.

        Raises:
            JournalError: The line has an unexpected format.
        """
        try:
            fields = {name: record[name] for name in cls.__dataclass_fields__ if name not in _BUILT}
            return cls(
                **fields,
                usage=Usage(**record["usage"]),
                verdict=_read_verdict(record["verdict"], fields["text"]),
                error=record.get("error"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise JournalError(
                f"a line of the journal is not a completion ({type(error).__name__}: {error}); choose another --run"
            ) from error


_BUILT = ("error", "usage", "verdict")
_VERDICT_FIELDS = ("side", "invalid", "candidates", "problems", "position", "rule")


def _read_verdict(record: Mapping[str, Any], text: str) -> Verdict:
    spans = tuple(Span(name, start, end) for name, start, end in record["sections"])
    if not all(0 <= span.start <= span.end <= len(text) for span in spans):
        raise ValueError("a section does not lie within the text")
    return Verdict(
        side=record["side"],
        invalid=record["invalid"],
        candidates=tuple(record["candidates"]),
        sections=sections_of(text, spans),
        problems=tuple(record["problems"]),
        position=record["position"],
        rule=record["rule"],
        spans=spans,
    )
