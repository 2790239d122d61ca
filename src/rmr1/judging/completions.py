"""A sample: one answered comparison as it stands in a run's journal, with all that is needed to score it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rmr1.errors import JournalError
from rmr1.records import FinishReason, Generation, Order, Side, Usage, Verdict, Vote
from rmr1.sides import pair_side
from rmr1.verdict import parse_verdict


@dataclass(frozen=True, slots=True)
class Completion:
    """One answered comparison. ``pair`` and ``index`` number the pair in its source and the comparison within the pair."""

    pair: int
    index: int
    request: str
    pair_id: str
    group: str
    category: str
    label: Side | None
    order: Order
    vote: int
    text: str
    finish_reason: FinishReason
    think_open: bool
    usage: Usage
    p_shown_a: float | None
    fenced: int
    prompt_sha256: str
    error: str | None = None

    def verdict(self, rule: str) -> Verdict:
        """Parse the text."""
        return parse_verdict(
            Generation(self.request, self.text, self.finish_reason, think_open=self.think_open, error=self.error), rule
        )

    def as_vote(self, rule: str) -> Vote:
        """The sample as a vote in the frame of its pair."""
        verdict = self.verdict(rule)
        p_a = self.p_shown_a
        if p_a is not None and self.order == "ba":
            p_a = 1.0 - p_a
        return Vote(
            order=self.order,
            vote=self.vote,
            side=pair_side(verdict.side, self.order),
            verdict=verdict,
            text=self.text,
            usage=self.usage,
            p_a=p_a,
            fenced=self.fenced,
            error=self.error,
        )

    def to_record(self, rule: str) -> dict[str, Any]:
        """The journal's line. The verdict stands in it for the reader's eye; scoring parses the text again."""
        verdict = self.verdict(rule)
        record = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "error"}
        record["usage"] = asdict(self.usage)
        record["verdict"] = {"side": verdict.side, "invalid": verdict.invalid, "problems": list(verdict.problems)}
        if self.error is not None:
            record["error"] = self.error
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Completion:
        """Read a journal's line.

        Raises:
            JournalError: The line is of another make.
        """
        try:
            fields = {name: record[name] for name in cls.__dataclass_fields__ if name not in ("error", "usage")}
            return cls(**fields, usage=Usage(**record["usage"]), error=record.get("error"))
        except (KeyError, TypeError) as error:
            raise JournalError(f"a line of the journal is no sample ({error}); choose another --run") from error
