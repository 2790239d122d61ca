"""Pairs in, judgments out: one pass that keeps in memory only what is under way."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing

from rmr1.data import cluster_of
from rmr1.engines import Engine
from rmr1.judging.completions import Completion
from rmr1.judging.plan import JudgingPlan
from rmr1.judging.runner import JudgeRequest, RequestRunner
from rmr1.judging.votes import combine
from rmr1.records import Judgment, PreferencePair


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
        on_sample: Callable[[Completion], object] = lambda sample: None,
        on_fault: Callable[[Completion], object] = lambda sample: None,
    ) -> None:
        self._plan = plan
        self._asking = RequestRunner(engine, plan.read, on_sample=on_sample, on_fault=on_fault)
        self._done = bytearray()
        self._partial: dict[int, list[Completion]] = {}
        self.clusters = array("Q")
        """For each pair by its number, a hash of its cluster, see ``data.cluster_of``; filled as pairs are drawn."""

    def restore(self, sample: Completion) -> tuple[int, Judgment] | None:
        """Take over a sample of an earlier process; its comparison will not be asked again."""
        self._mark_done(sample)
        return self._add(sample)

    async def judge(self, pairs: Iterable[PreferencePair]) -> AsyncGenerator[tuple[int, Judgment]]:
        """Judge what is not done yet. Yields each pair's number and judgment when its last comparison is answered.

        Raises:
            EngineError: No request can succeed, or many in a row have failed.
        """
        async with aclosing(self._asking.ask(self._questions(pairs))) as samples:
            async for sample in samples:
                if sample.finish_reason != "error":
                    self._mark_done(sample)
                finished = self._add(sample)
                if finished is not None:
                    yield finished

    def _questions(self, pairs: Iterable[PreferencePair]) -> Iterator[JudgeRequest]:
        per_pair = self._plan.comparisons_per_pair
        for number, pair in enumerate(pairs):
            self.clusters.append(_cluster(cluster_of(pair)))
            if all(self._is_done(number * per_pair + index) for index in range(per_pair)):
                continue
            for index, comparison in enumerate(self._plan.comparisons(pair)):
                if not self._is_done(number * per_pair + index):
                    yield JudgeRequest(number, index, pair, comparison, *self._plan.request(comparison))

    def _add(self, sample: Completion) -> tuple[int, Judgment] | None:
        samples = self._partial.setdefault(sample.pair, [])
        samples.append(sample)
        if len(samples) < self._plan.comparisons_per_pair:
            return None
        del self._partial[sample.pair]
        return sample.pair, combine(samples, self._plan.config.rule)

    def _mark_done(self, sample: Completion) -> None:
        number = sample.pair * self._plan.comparisons_per_pair + sample.index
        missing = number // 8 + 1 - len(self._done)
        if missing > 0:
            self._done.extend(bytes(missing + 4096))
        self._done[number // 8] |= 1 << (number % 8)

    def _is_done(self, number: int) -> bool:
        return number // 8 < len(self._done) and bool(self._done[number // 8] >> (number % 8) & 1)


def _cluster(name: str) -> int:
    digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
