"""Questions in, samples out: what is under way at an engine, and when the engine is gone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from rmr1.engines import Engine, checked_replies, prompt_sha256
from rmr1.errors import EngineError
from rmr1.judging.completions import Completion
from rmr1.prompts import Prompt
from rmr1.records import Comparison, Generation, GenerationRequest, PreferencePair, Verdict
from rmr1.verdict import verdict_probability

ReadVerdict = Callable[[Generation], Verdict]

MAX_CONSECUTIVE_FAULTS = 20
"""So many failed requests in a row mean that the engine is gone, not that the requests are odd."""


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """One comparison that is to be answered. ``pair`` and ``index`` are its place, as in ``Completion``."""

    pair: int
    index: int
    source: PreferencePair
    comparison: Comparison
    request: GenerationRequest
    prompt: Prompt


class RequestRunner:
    """Asks an engine questions and makes samples of its answers.

    Args:
        engine: What answers.
        read: Reads the verdict of a generation; called once for each.
        on_sample: Called with each sample that the engine delivered, before it counts; a journal's place.
        on_fault: Called with each sample that the engine failed on.
    """

    def __init__(
        self,
        engine: Engine,
        read: ReadVerdict,
        *,
        on_sample: Callable[[Completion], object] = lambda sample: None,
        on_fault: Callable[[Completion], object] = lambda sample: None,
    ) -> None:
        self._engine = engine
        self._read = read
        self._on_sample = on_sample
        self._on_fault = on_fault
        self._under_way: dict[str, JudgeRequest] = {}
        self._faults_in_a_row = 0

    async def ask(self, questions: Iterable[JudgeRequest]) -> AsyncGenerator[Completion]:
        """Yield a sample for each question, as it is answered; a failed one has the ``finish_reason`` "error".

        Raises:
            EngineError: No request can succeed, or many in a row have failed.
        """
        async with aclosing(checked_replies(self._engine, self._requests(questions))) as generations:
            async for generation in generations:
                yield self._take(generation)

    def _requests(self, questions: Iterable[JudgeRequest]) -> Iterator[GenerationRequest]:
        for question in questions:
            request = question.request
            if request.id in self._under_way:  # two pairs of one name, at the same time
                request = replace(request, id=f"{request.id}~{question.pair}")
            self._under_way[request.id] = question
            yield request

    def _take(self, generation: Generation) -> Completion:
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
        return sample

    def _sample(self, generation: Generation, question: JudgeRequest) -> Completion:
        source, comparison = question.source, question.comparison
        verdict = self._read(generation)
        probability = verdict_probability(generation, verdict) if generation.tokens else None
        return Completion(
            pair=question.pair,
            index=question.index,
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
            fenced=question.prompt.fenced,
            prompt_sha256=prompt_sha256(question.prompt.messages),
            verdict=verdict,
            error=generation.error,
        )
