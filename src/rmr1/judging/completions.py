"""A completion: one answered comparison with its verdict, as a line of a run's journal holds it."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, InstanceOf, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from rmr1.config import StopPolicy
from rmr1.errors import JournalError
from rmr1.judging.stopping import StoppingRule, VoteLedger
from rmr1.records import (
    SCORE_RULES,
    FinishReason,
    Generation,
    InvalidReason,
    Label,
    Message,
    Order,
    PreferencePair,
    Side,
    Span,
    Usage,
    Verdict,
    Vote,
)
from rmr1.results import JudgeResults
from rmr1.runs import JournalLine, read_document, read_journal, read_lines
from rmr1.sides import ShownOrders, pair_probability, pair_side, shown_orders
from rmr1.verdict import RULES, SectionsLater, parse_verdict

JOURNAL = "completions.jsonl"
"""The journal of a judging run."""


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
        pair_hash: Hash of the pair, see the function of that name.
        verdict: What the text says, parsed once, on arrival.
        error: What the engine said if it failed.
        finish_detail: The server's own word for the end where it has another one.
        from_cache: Whether it was written for an earlier run, and cost nothing now; ``usage`` is what it took then.
        retried: Whether it was asked for again with a larger limit, having been cut; ``usage`` is that of both.
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
    pair_hash: str
    verdict: Verdict
    error: str | None = None
    finish_detail: str | None = None
    from_cache: bool = False
    retried: bool = False

    @property
    def side(self) -> Side | None:
        """The side of the pair that it prefers, by the rule of its run; None if it is invalid."""
        return pair_side(self.verdict.side, self.order)

    def verdict_by(self, rule: str) -> Verdict:
        """The verdict by a rule. The text is parsed again only if the stored verdict is by another rule.

        A score is what it is: rules tell how a better response is named, and a text about one response names none.
        """
        if self.verdict.rule == rule or self.verdict.scores_one:
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
            from_cache=self.from_cache,
            retried=self.retried,
        )

    def to_record(self) -> dict[str, Any]:
        """The journal's line, with the whole verdict; it holds sections as spans of the text."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in _WHERE_GIVEN}
        verdict = {name: getattr(self.verdict, name) for name in _VERDICT_FIELDS}
        spans = [[span.name, span.start, span.end] for span in self.verdict.spans]
        record["usage"] = asdict(self.usage)
        record["verdict"] = {**verdict, "sections": spans}
        if self.verdict.score is not None:
            record["verdict"]["score"] = self.verdict.score
        for name in _WHERE_GIVEN:
            if (value := getattr(self, name)) not in (None, False):
                record[name] = value
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Completion:
        """Read a journal's line.

        Raises:
            ValueError: It is no completion; the message names the field.
        """
        try:
            _RECORD.validate_python(record)
        except ValidationError as error:
            problem = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error
        read = {**record, "usage": Usage(**record["usage"])}
        read["verdict"] = _read_verdict(record["verdict"], record["text"])
        return cls(**read)


_WHERE_GIVEN = ("error", "finish_detail", "from_cache", "retried")
_VERDICT_FIELDS = ("side", "invalid", "candidates", "problems", "position", "rule")
_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_Text = InstanceOf[str]
"""A ``str`` of pydantic has no lone surrogates; models do write them."""
_Count = Annotated[int, Field(ge=0, lt=2**53)]
_Hash = Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
_ShortHash = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


@with_config(_STRICT)
class _UsageRecord(TypedDict):
    """As ``Usage``."""

    prompt_tokens: _Count
    completion_tokens: _Count
    cached_tokens: _Count
    unknown: _Count


@with_config(_STRICT)
class _VerdictRecord(TypedDict):
    """As ``Verdict``; of its sections, the places."""

    side: Side | None
    invalid: InvalidReason | None
    candidates: list[Side]
    problems: list[_Text]
    position: _Count | None
    rule: Literal[(*RULES, *SCORE_RULES)]  # type: ignore[valid-type]
    score: NotRequired[float | None]
    sections: list[Annotated[tuple[_Text, _Count, _Count], Field(strict=False)]]


@with_config(_STRICT)
class _CompletionRecord(TypedDict):
    """As ``Completion``."""

    pair: _Count
    index: _Count
    request: _Text
    pair_id: _Text
    group: _Text
    category: _Text
    label: Label | None
    order: Order
    vote: _Count
    text: _Text
    finish_reason: FinishReason
    think_open: bool
    usage: _UsageRecord
    p_shown_a: Annotated[float, Field(ge=0, le=1)] | None
    fenced: _Count
    prompt_sha256: _Hash
    pair_hash: _ShortHash
    verdict: _VerdictRecord
    error: NotRequired[_Text | None]
    finish_detail: NotRequired[_Text | None]
    from_cache: NotRequired[Literal[True]]
    retried: NotRequired[Literal[True]]


_RECORD = TypeAdapter(_CompletionRecord)


def _read_verdict(record: Mapping[str, Any], text: str) -> Verdict:
    spans = tuple(Span(name, start, end) for name, start, end in record["sections"])
    if not all(span.start <= span.end <= len(text) for span in spans):
        raise ValueError("verdict.sections: a section does not lie within the text")
    said, score = record["side"], record.get("score")
    if record["rule"] in SCORE_RULES:
        if said is not None or (score is None) == (record["invalid"] is None):
            raise ValueError("verdict: about one response, it has to have a score, or a reason why there is none")
    elif score is not None or (said is None) == (record["invalid"] is None):
        raise ValueError("verdict: has to have a side, or a reason why there is none")
    return Verdict(
        side=said,
        invalid=record["invalid"],
        candidates=tuple(record["candidates"]),
        sections=SectionsLater(text, spans),
        problems=tuple(record["problems"]),
        position=record["position"],
        rule=record["rule"],
        spans=spans,
        score=None if score is None else float(score),
    )


def pair_hash(pair: PreferencePair) -> str:
    """Hash of everything in a pair that a judgment depends on or is counted by."""
    turns = (pair.prompt, pair.response_a, pair.response_b)
    texts = [[_turn(message) for message in messages] for messages in turns]
    content = json.dumps([pair.id, pair.label, pair.group, pair.category, pair.reference, pair.rubric, texts])
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def _turn(message: Message) -> list[object]:
    return [message.role, message.content]


@dataclass(frozen=True, slots=True)
class ComparisonLayout:
    """Which comparison of a pair has which number.

    Args:
        orders: In which orders pairs are shown; "each" if each response is shown alone.
        votes: Completions of each order.
        seed: Draws the order where that is drawn.
        stop: Whether votes are left out that are not needed, see ``StoppingRule``.
        stop_error: Of that rule.
    """

    orders: ShownOrders
    votes: int
    seed: int
    stop: StopPolicy = "never"
    stop_error: float = 0.05

    @classmethod
    def of_identity(cls, identity: Mapping[str, Any]) -> ComparisonLayout:
        """That of a run, by what identifies it."""
        stopping = {name: identity[name] for name in ("stop", "stop_error") if name in identity}
        return cls(identity["orders"], identity["votes"], identity["seed"], **stopping)

    @property
    def shown(self) -> int:
        """Orders in which each pair is shown, or responses of it that are shown alone."""
        return 2 if self.orders in ("both", "each") else 1

    @property
    def per_pair(self) -> int:
        """Comparisons of each pair, at most."""
        return self.votes * self.shown

    @property
    def rule(self) -> StoppingRule:
        """When votes are not needed."""
        return StoppingRule(self.votes, self.stop, self.stop_error)

    def comparison(self, pair_id: str, index: int) -> tuple[Order, int]:
        """The order and the vote of a comparison by its number."""
        order, vote = divmod(index, self.votes)
        return shown_orders(self.orders, pair_id, self.seed)[order], vote


class CompletionReader:
    """Reads the completions of a journal: each once, where the layout has it, all those of a pair about the same pair.

    Args:
        layout: Of the run.

    Attributes:
        votes: What the votes say that were read.
    """

    def __init__(self, layout: ComparisonLayout) -> None:
        self.votes = VoteLedger(layout.rule, layout.shown)
        self._layout = layout
        self._hashes = array("Q")

    def read(self, lines: Iterable[JournalLine]) -> Iterator[tuple[JournalLine, Completion]]:
        """Yield each completion with its line.

        Raises:
            JournalError: A line is not such a completion; the message names it.
        """
        for line in lines:
            try:
                completion = Completion.from_record(line.record)
                self._check(completion)
            except ValueError as error:
                raise line.refuse(f"not a completion of this run ({error})") from error
            yield line, completion

    def knows(self, number: int) -> bool:
        """Whether a completion of the pair with this number was read."""
        return number < len(self._hashes) and self._hashes[number] != _NO_HASH

    def fits(self, number: int, pair: PreferencePair) -> bool:
        """Whether what was read for a number, if anything, is about this pair."""
        return not self.knows(number) or self._hashes[number] == _hash_number(pair_hash(pair))

    @property
    def pairs(self) -> int:
        """One more than the largest number of a pair."""
        return len(self._hashes)

    def _check(self, completion: Completion) -> None:
        layout, number, index = self._layout, completion.pair, completion.index
        if index >= layout.per_pair:
            raise ValueError(f"index: {index}, and the run has {layout.per_pair} comparisons of each pair")
        order, vote = layout.comparison(completion.pair_id, index)
        if (completion.order, completion.vote) != (order, vote):
            raise ValueError(f"order, vote: comparison {index} of this pair is {order}, {vote}")
        if completion.finish_reason == "error":
            raise ValueError("finish_reason: failed requests are in the journal of faults")
        if self.votes.has(number, index):
            raise ValueError(f'request: "{completion.request}" is in an earlier line already')
        self.votes.add(number, index, completion.side)
        if layout.stop != "never" and (needless := self.votes.surplus(number)) is not None:
            order, vote = layout.comparison(completion.pair_id, needless)
            raise ValueError(
                f"vote: the votes before vote {vote} of the order {order} settle it, so nobody asked for it"
            )
        hashed = _hash_number(completion.pair_hash)
        missing = number + 1 - len(self._hashes)
        if missing > 0:
            self._hashes.extend([_NO_HASH] * missing)
        if self._hashes[number] not in (_NO_HASH, hashed):
            raise ValueError(f"pair_hash: pair {number} is another one in an earlier line")
        self._hashes[number] = hashed


def recorded_completions(run: Path, layout: ComparisonLayout) -> Iterator[tuple[JournalLine, Completion]]:
    """The completions of a judging run that another process may be working on, each with its line.

    Args:
        run: Its directory.
        layout: Of the run.

    Raises:
        JournalError: A line is not a completion of this run, or there are fewer of them than its results count.
        RunError: Its results were changed.
    """
    count = 0
    for read in CompletionReader(layout).read(read_journal(run, JOURNAL)):
        count += 1
        yield read
    concluded = concluded_run(run)
    if concluded is not None and count < concluded.completions:
        raise JournalError(
            f"{run / JOURNAL}:{count + 1}: lines are missing: there are {count} completions, and results.json counts "
            f"{concluded.completions}; restore the file, or run the same command again to have them done again"
        )


def concluded_run(run: Path) -> JudgeResults | None:
    """What a judging run has concluded; None while its first process is at work.

    Raises:
        RunError: Its results were changed.
    """
    path = run / "results.json"
    return JudgeResults.from_json(read_document(run, path.name), str(path)) if path.is_file() else None


def refuse_pair(journal: Path, key: int, pair: int, problem: str) -> JournalError:
    """An error that names the first line of a journal about a pair.

    Args:
        journal: The journal.
        key: Of its run.
        pair: The number of the pair.
        problem: What is wrong with it.
    """
    line = next(line for line in read_lines(journal, key) if line.record["pair"] == pair)
    return line.refuse(f"not a completion of this run ({problem})")


_NO_HASH = 0


def _hash_number(hashed: str) -> int:
    return int(hashed, 16) or 1
