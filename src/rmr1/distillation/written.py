"""One pass: who writes, what has been written so far, and where it stands in the pass's journal."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from rmr1.config import Prices
from rmr1.distillation.assess import read_trace
from rmr1.distillation.budget import Budget, Gate
from rmr1.engines import Engine
from rmr1.judging import Completion, JudgeRequest, JudgingPlan, RequestRunner
from rmr1.runs import RunDirectory

_ABSENT = -1


@dataclass(frozen=True, slots=True)
class Writer:
    """A model that writes completions, how it is asked, and what its tokens cost."""

    engine: Engine
    plan: JudgingPlan
    prices: Prices | None = None


class WrittenPass:
    """The completions of one pass. In memory it keeps eight bytes for each; the journal has the texts.

    ``pass1.jsonl`` holds each answered request once. Failures of the engine stand in ``pass1-faults.jsonl`` and are tried again by
    the next process.

    Args:
        name: Name of the journal.
        writer: Who writes.
        per_pair: Requests of one pair at most.
        run: The run's open directory.
        budget: Counts what is spent.
        keep_think: Whether think blocks become part of the traces.
        answered: Called with every sample, also with those of earlier processes.

    Attributes:
        writer: Who writes.
        restored: Samples of earlier processes.
    """

    def __init__(
        self,
        name: str,
        writer: Writer,
        per_pair: int,
        run: RunDirectory,
        budget: Budget,
        keep_think: bool,
        answered: Callable[[Completion], None] = lambda sample: None,
    ) -> None:
        self.writer = writer
        self.restored = 0
        self._per_pair = per_pair
        self._budget = budget
        self._answered = answered
        self._journal = run.journal(f"{name}.jsonl")
        self._faults = run.journal(f"{name}-faults.jsonl")
        self._places = array("q")
        self._faulted: set[int] = set()
        read = partial(read_trace, keep_think=keep_think)
        self._asking = RequestRunner(writer.engine, read, on_sample=self._keep, on_fault=self._note_fault)
        self._restore()

    def close(self) -> None:
        """Bring the journals to the disk."""
        self._journal.close()
        self._faults.close()

    def has(self, pair: int, index: int) -> bool:
        """Whether the request at this place is answered."""
        return self._place(pair, index) != _ABSENT

    def faulted(self, pair: int, index: int) -> bool:
        """Whether the engine has failed on it in this process."""
        return pair * self._per_pair + index in self._faulted

    def sample(self, pair: int, index: int) -> Completion | None:
        """What was written, read from the journal."""
        place = self._place(pair, index)
        return None if place == _ABSENT else Completion.from_record(self._journal.read(place))

    async def write(self, questions: Iterator[JudgeRequest], progress: Callable[[Completion], None]) -> bool:
        """Have the questions answered as far as the budget goes; whether it went all the way.

        Raises:
            EngineError: The engine is gone; what is done is kept.
        """
        gate = Gate(questions, self._budget, self.writer.prices)
        while True:
            ended = 0
            async with aclosing(self._asking.ask(gate.let_through())) as samples:
                async for sample in samples:
                    ended += 1
                    self._budget.settle((sample.pair, sample.index), sample.usage, self.writer.prices)
                    if sample.finish_reason != "error":
                        progress(sample)
            if not gate.refused or not ended:
                return not gate.refused

    def _restore(self) -> None:
        for place, record in self._journal.places():
            sample = Completion.from_record(record)
            self._set_place(sample, place)
            self._budget.spend(sample.usage, self.writer.prices)
            self._answered(sample)
            self.restored += 1
        for record in self._faults:
            self._budget.spend(Completion.from_record(record).usage, self.writer.prices)

    def _keep(self, sample: Completion) -> None:
        self._set_place(sample, self._journal.append(sample.to_record()))
        self._answered(sample)

    def _note_fault(self, sample: Completion) -> None:
        self._faults.append(sample.to_record())
        self._faulted.add(sample.pair * self._per_pair + sample.index)

    def _set_place(self, sample: Completion, place: int) -> None:
        number = sample.pair * self._per_pair + sample.index
        if number >= len(self._places):
            self._places.extend([_ABSENT] * (number + 1 - len(self._places) + 1024))
        self._places[number] = place

    def _place(self, pair: int, index: int) -> int:
        number = pair * self._per_pair + index
        return self._places[number] if number < len(self._places) else _ABSENT
