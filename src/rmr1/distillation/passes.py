"""One pass of a distillation: which model writes, the requests it gets, what they may cost, and where completions stand.

The teacher gets the comparisons that still need a trace, the repairer those whose trace failed; a request goes out only if the
budget covers it, see ``rmr1.judging.budget``.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from rmr1.config import DistillConfig, Prices
from rmr1.distillation.assessment import Assessment, Reason, assess, read_trace
from rmr1.engines import Engine
from rmr1.errors import JournalError
from rmr1.judging import (
    Account,
    Budget,
    Completion,
    CompletionReader,
    Gate,
    JudgeRequest,
    JudgingPlan,
    RequestLog,
    RequestRunner,
    refuse_pair,
)
from rmr1.prompts import Prompt, load_repair_template, render_repair
from rmr1.records import Comparison, GenerationRequest, PreferencePair, Usage
from rmr1.runs import Callbacks, RunDirectory

Numbered = Iterable[tuple[int, PreferencePair]]
_ABSENT = -1
_OMITTED = "\n[... {} characters left out ...]\n"
_FAULTS: dict[Reason, str] = {
    "wrong_verdict": "It prefers the wrong response, so its reasoning must be mistaken somewhere.",
    "missing": "It gives no verdict that can be read.",
    "conflicting": "It gives two verdicts that contradict each other.",
    "refused": "It refuses to judge.",
    "truncated": "It was too long and was cut off; be briefer.",
    "format": "Its verdict is right, but it breaks the output format: {problems}.",
}


class DistillCallbacks(Callbacks, Protocol):
    """Events of a distillation."""

    def started(self, total: int | None, done: int) -> None:
        """A pass begins: ``done`` of ``total`` requests (None: unknown) are answered."""

    def answered(self, usage: Usage) -> None:
        """One more request is answered."""


class RightTraces:
    """How many traces of each comparison are right so far; one byte for each.

    Args:
        config: Which traces are right, and how many are wanted.
    """

    def __init__(self, config: DistillConfig) -> None:
        self._config = config
        self._kept = array("B")
        self._orders = orders_of(config)

    def add(self, completion: Completion) -> None:
        """Count a completion of the first pass."""
        right = assess(completion, require_format=self._config.require_format, keep_think=self._config.keep_think)
        number = completion.pair * self._orders + completion.index // self._config.samples
        if number >= len(self._kept):
            self._kept.extend([0] * (number + 1 - len(self._kept) + 1024))
        if right.reason is None:
            self._kept[number] = min(self._kept[number] + 1, 255)

    def is_full(self, pair: int, order: int) -> bool:
        """Whether a comparison has as many traces as the configuration keeps."""
        number = pair * self._orders + order
        return number < len(self._kept) and self._kept[number] >= min(self._config.keep, 255)


def orders_of(config: DistillConfig) -> int:
    """Comparisons of one pair."""
    return 2 if config.orders == "both" else 1


@dataclass(frozen=True, slots=True)
class Writer:
    """A model that writes completions, how it is prompted, and what its tokens cost."""

    engine: Engine
    plan: JudgingPlan
    prices: Prices | None = None


class DistillPass:
    """The completions of one pass. In memory it keeps eight bytes for each; the journal has the texts.

    ``pass1.jsonl`` holds each answered request once. Requests that the engine failed on are in ``pass1-faults.jsonl``, and the next
    process retries them.

    Args:
        name: Name of the journal.
        writer: Who writes.
        per_pair: Requests of one pair at most.
        run: The run's open directory.
        budget: Counts what is spent.
        account: Keeps what is paid.
        keep_think: Whether think blocks become part of the traces.
        log: Keeps what is worth telling about the requests.
        right: Counts the right traces, also those of earlier processes; None if they are not needed.

    Attributes:
        writer: Who writes.
        restored: Completions of earlier processes.
        answered: Completions of this process.
    """

    def __init__(
        self,
        name: str,
        writer: Writer,
        per_pair: int,
        run: RunDirectory,
        budget: Budget,
        account: Account,
        *,
        keep_think: bool,
        log: RequestLog,
        right: RightTraces | None = None,
    ) -> None:
        self.writer = writer
        self._name = name
        self.restored = self.answered = 0
        self._per_pair = per_pair
        self._budget = budget
        self._account = account
        self._right = right
        self._run = run
        self._journal = run.journal(f"{name}.jsonl")
        self._faults = run.journal(f"{name}-faults.jsonl")
        self._places = array("q")
        self._faulted: set[int] = set()
        memory = run.path / f"{name}-server.json"
        self._runner = RequestRunner(writer.engine, partial(read_trace, keep_think=keep_think), log, memory)
        self._reader = CompletionReader(writer.plan.layout)
        self._restore()

    def close(self) -> None:
        """Bring the journals to the disk."""
        self._journal.close()
        self._faults.close()

    @property
    def was_cut(self) -> bool:
        """Whether an interruption had cut the last line of the journal."""
        return self._journal.was_cut

    def check_pair(self, number: int, pair: PreferencePair) -> None:
        """Refuse completions of earlier processes that are about another pair than the one that has their number.

        Raises:
            JournalError: There are such; the message names the first line.
        """
        if not self._reader.fits(number, pair):
            raise self._refusal(number, f'it is about another pair than "{pair.id}", which has its number')

    def check_count(self, pairs: int) -> None:
        """Refuse completions of pairs that are not there.

        Raises:
            JournalError: There are such; the message names the first line.
        """
        if self._reader.pairs > pairs:
            raise self._refusal(self._reader.pairs - 1, f"there are only {pairs} pairs")

    def _refusal(self, number: int, problem: str) -> JournalError:
        return refuse_pair(self._journal.path, self._run.key, number, problem)

    def has(self, pair: int, index: int) -> bool:
        """Whether the request at this place is answered."""
        return self._place(pair, index) != _ABSENT

    def faulted(self, pair: int, index: int) -> bool:
        """Whether the engine has failed on it in this process."""
        return pair * self._per_pair + index in self._faulted

    def completion(self, pair: int, index: int) -> Completion | None:
        """The completion at this place, read from the journal."""
        place = self._place(pair, index)
        return None if place == _ABSENT else Completion.from_record(self._journal.read(place))

    async def write(self, requests: Iterator[JudgeRequest], callbacks: DistillCallbacks) -> bool:
        """Have requests answered until they end or the budget does.

        Args:
            requests: The requests to send.
            callbacks: Called for each answer.

        Returns:
            Whether the budget covered all of them.

        Raises:
            EngineError: The engine is gone; what is done is kept.
        """
        gate = Gate(requests, self._budget, self.writer.prices, self._account, self._name, self.writer.engine)
        while True:
            ended = 0
            async with aclosing(self._runner.ask(gate.let_through())) as completions:
                async for completion in completions:
                    ended += 1
                    gate.settle(completion)
                    self._keep(completion)
                    if completion.finish_reason != "error" and not completion.from_cache:
                        self.answered += 1
                        callbacks.answered(completion.usage)
            if gate.refused is None:
                return True
            if not ended:
                callbacks.say(self._budget.exhausted(gate.refused.request))
                return False

    def _restore(self) -> None:
        for line, completion in self._reader.read(self._journal.lines()):
            self._count(completion, line.place)
            self._runner.recall(completion, grammar=self.writer.plan.grammar)
            self.restored += 1
        self._account.check(self._name, self.restored)

    def _keep(self, completion: Completion) -> None:
        record = completion.to_record()
        if completion.finish_reason == "error":
            self._faults.append(record)
            self._faulted.add(completion.pair * self._per_pair + completion.index)
        else:
            self._count(completion, self._journal.append(record))

    def _count(self, completion: Completion, place: int) -> None:
        number = completion.pair * self._per_pair + completion.index
        if number >= len(self._places):
            self._places.extend([_ABSENT] * (number + 1 - len(self._places) + 1024))
        self._places[number] = place
        if self._right is not None:
            self._right.add(completion)

    def _place(self, pair: int, index: int) -> int:
        number = pair * self._per_pair + index
        return self._places[number] if number < len(self._places) else _ABSENT


def first_requests(
    pairs: Numbered, distilling: DistillPass, right: RightTraces, config: DistillConfig, vote: int
) -> Iterator[JudgeRequest]:
    """Round ``vote`` of the first pass: the comparisons that all earlier rounds have left without enough traces."""
    plan = distilling.writer.plan
    for number, pair in pairs:
        distilling.check_pair(number, pair)
        for index, comparison in enumerate(plan.comparisons(pair)):
            order, own_vote = divmod(index, config.samples)
            if own_vote != vote or distilling.has(number, index):
                continue
            last = (order + 1) * config.samples
            is_gap = any(distilling.has(number, later) for later in range(index + 1, last))  # a line was deleted
            if right.is_full(number, order) and not is_gap:
                continue
            # A vote is requested only after the ones before it, so that which votes there are never depends on chance.
            if vote and not distilling.has(number, index - 1):
                continue
            if not distilling.faulted(number, index):
                yield JudgeRequest(number, index, pair, comparison, *plan.request(comparison))


def repair_requests(
    pairs: Numbered, first: DistillPass, distilling: DistillPass, right: RightTraces, config: DistillConfig
) -> Iterator[JudgeRequest]:
    """The second pass: the comparisons whose only trace has failed, with that trace."""
    for number, pair in pairs:
        distilling.check_pair(number, pair)
        for index, comparison in enumerate(distilling.writer.plan.comparisons(pair)):
            if right.is_full(number, index) or distilling.has(number, index) or distilling.faulted(number, index):
                continue
            failed = first.completion(number, index)
            if failed is not None:
                assessment = assess(failed, require_format=config.require_format, keep_think=config.keep_think)
                request, prompt = _repair(distilling.writer, pair, comparison, assessment, config)
                yield JudgeRequest(number, index, pair, comparison, request, prompt)


def _repair(
    writer: Writer, pair: PreferencePair, comparison: Comparison, failed: Assessment, config: DistillConfig
) -> tuple[GenerationRequest, Prompt]:
    prompt = render_repair(
        comparison,
        writer.plan.template,
        load_repair_template(),
        failed=shortened(failed.trace, config.failed_chars),
        fault=_FAULTS[failed.reason or "missing"].format(problems=", ".join(failed.problems).replace("_", " ")),
        verdict=failed.gold,
        fenced=config.fence,
        system_role=config.system_role,
    )
    return writer.plan.request_for(f"{pair.id}/{comparison.order}/repair", prompt, comparison), prompt


def shortened(text: str, length: int) -> str:
    """A text of at most ``length`` characters and a note; what is left out is its middle."""
    if len(text) <= length:
        return text
    head, tail = length * 2 // 3, length - length * 2 // 3
    return text[:head] + _OMITTED.format(len(text) - head - tail) + text[len(text) - tail :]
