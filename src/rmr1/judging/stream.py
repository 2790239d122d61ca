"""Pairs in, judgments out: one pass that keeps in memory only what is under way."""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from rmr1.engines import Engine, prompt_sha256
from rmr1.errors import EngineError
from rmr1.judging.combine import combine
from rmr1.judging.plan import JudgingPlan
from rmr1.judging.samples import Sample
from rmr1.prompts import Prompt
from rmr1.records import Comparison, Generation, GenerationRequest, Judgment, PreferencePair
from rmr1.verdict import parse, verdict_probability

MAX_CONSECUTIVE_FAULTS = 20
"""So many failed requests in a row mean that the engine is gone, not that the requests are odd."""


@dataclass(frozen=True, slots=True)
class _UnderWay:
    pair: int
    index: int
    source: PreferencePair
    comparison: Comparison
    prompt: Prompt


class JudgingStream:
    """Judges pairs with an engine, sample by sample.

    Args:
        engine: What judges.
        plan: How.
        on_sample: Called with each sample that the engine delivered, before it counts; a journal's place.
        on_fault: Called with each sample that the engine failed on.
    """

    def __init__(
        self,
        engine: Engine,
        plan: JudgingPlan,
        *,
        on_sample: Callable[[Sample], None] = lambda sample: None,
        on_fault: Callable[[Sample], None] = lambda sample: None,
    ) -> None:
        self._engine = engine
        self._plan = plan
        self._on_sample = on_sample
        self._on_fault = on_fault
        self._done = bytearray()
        self._partial: dict[int, list[Sample]] = {}
        self._under_way: dict[str, _UnderWay] = {}
        self._faults_in_a_row = 0
        self.clusters = array("I")
        """For each pair by its number, which cluster of pairs with one prompt it belongs to; filled as pairs are drawn."""

    def restore(self, sample: Sample) -> tuple[int, Judgment] | None:
        """Take over a sample of an earlier process; its comparison will not be asked again."""
        self._mark_done(sample)
        return self._add(sample)

    async def judge(self, pairs: Iterable[PreferencePair]) -> AsyncGenerator[tuple[int, Judgment]]:
        """Judge what is not done yet. Yields each pair's number and judgment when its last comparison is answered.

        Raises:
            EngineError: No request can succeed, or many in a row have failed.
        """
        async with aclosing(self._engine.generate(self._requests(pairs))) as generations:
            async for generation in generations:
                finished = self._take(generation)
                if finished is not None:
                    yield finished

    def _requests(self, pairs: Iterable[PreferencePair]) -> Iterator[GenerationRequest]:
        per_pair = self._plan.comparisons_per_pair
        group: str | None = None
        for number, pair in enumerate(pairs):
            if number == 0 or not pair.group or pair.group != group:
                cluster = self.clusters[-1] + 1 if self.clusters else 0
            group = pair.group
            self.clusters.append(cluster)
            if all(self._is_done(number * per_pair + index) for index in range(per_pair)):
                continue
            for index, comparison in enumerate(self._plan.comparisons(pair)):
                if not self._is_done(number * per_pair + index):
                    request, prompt = self._plan.request(comparison)
                    if request.id in self._under_way:  # two pairs of one name, at the same time
                        request = replace(request, id=f"{request.id}~{number}")
                    self._under_way[request.id] = _UnderWay(number, index, pair, comparison, prompt)
                    yield request

    def _take(self, generation: Generation) -> tuple[int, Judgment] | None:
        sample = self._sample(generation, self._under_way.pop(generation.request_id))
        if sample.finish_reason == "error":
            self._on_fault(sample)
            self._faults_in_a_row += 1
            if self._faults_in_a_row >= MAX_CONSECUTIVE_FAULTS:
                raise EngineError(
                    f"{self._faults_in_a_row} requests failed in a row, the last with: {sample.error}. "
                    f"What is done is kept; run the same command again to go on"
                )
        else:
            self._faults_in_a_row = 0
            self._on_sample(sample)
            self._mark_done(sample)
        return self._add(sample)

    def _sample(self, generation: Generation, context: _UnderWay) -> Sample:
        source, comparison = context.source, context.comparison
        probability = None
        if generation.tokens:
            probability = verdict_probability(generation, parse(generation, self._plan.config.rule))
        return Sample(
            pair=context.pair,
            index=context.index,
            request=generation.request_id,
            pair_id=source.id,
            group=source.group,
            category=source.category,
            label=source.label,
            order=comparison.order,
            vote=comparison.vote,
            text=generation.text,
            finish_reason=generation.finish_reason,
            think_open=generation.think_open,
            usage=generation.usage,
            p_shown_a=probability,
            fenced=context.prompt.fenced,
            prompt_sha256=prompt_sha256(context.prompt.messages),
            error=generation.error,
        )

    def _add(self, sample: Sample) -> tuple[int, Judgment] | None:
        samples = self._partial.setdefault(sample.pair, [])
        samples.append(sample)
        if len(samples) < self._plan.comparisons_per_pair:
            return None
        del self._partial[sample.pair]
        return sample.pair, combine(samples, self._plan.config.rule)

    def _mark_done(self, sample: Sample) -> None:
        number = sample.pair * self._plan.comparisons_per_pair + sample.index
        missing = number // 8 + 1 - len(self._done)
        if missing > 0:
            self._done.extend(bytes(missing + 4096))
        self._done[number // 8] |= 1 << (number % 8)

    def _is_done(self, number: int) -> bool:
        return number // 8 < len(self._done) and bool(self._done[number // 8] >> (number % 8) & 1)
