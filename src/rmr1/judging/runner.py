"""Judge requests in, completions out: what an engine is working on, and when it is gone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from rmr1.engines import Engine, checked_replies, prompt_sha256
from rmr1.errors import EngineError
from rmr1.judging.completions import Completion, pair_hash
from rmr1.prompts import Prompt
from rmr1.records import Comparison, Generation, GenerationRequest, PreferencePair, Verdict
from rmr1.verdict import verdict_probability

MAX_CONSECUTIVE_FAULTS = 20
"""This many failed requests in a row mean that the engine is gone, not that the requests are odd."""
ReadVerdict = Callable[[Generation], Verdict]


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """One comparison to answer. ``pair`` and ``index`` are its place, as in ``Completion``."""

    pair: int
    index: int
    source: PreferencePair
    comparison: Comparison
    request: GenerationRequest
    prompt: Prompt


class RequestRunner:
    """Asks an engine, and makes a completion of each reply. A reply is parsed once, here.

    Args:
        engine: What answers.
        read: Reads the verdict of a generation.
    """

    def __init__(self, engine: Engine, read: ReadVerdict) -> None:
        self._engine = engine
        self._read = read
        self._under_way: dict[str, JudgeRequest] = {}
        self._faults_in_a_row = 0

    async def ask(self, requests: Iterable[JudgeRequest]) -> AsyncGenerator[Completion]:
        """Yield a completion for each request as it is answered; a failed one has the ``finish_reason`` "error".

        Raises:
            EngineError: No request can succeed, or many in a row have failed.
        """
        async with aclosing(checked_replies(self._engine, self._named(requests))) as generations:
            async for generation in generations:
                completion = self._completion(generation, self._under_way.pop(generation.request_id))
                yield completion
                self._count_faults(completion)

    def _named(self, requests: Iterable[JudgeRequest]) -> Iterator[GenerationRequest]:
        for judge_request in requests:
            request = judge_request.request
            if request.id in self._under_way:  # two pairs with one name at the same time
                request = replace(request, id=f"{request.id}~{judge_request.pair}")
            self._under_way[request.id] = judge_request
            yield request

    def _count_faults(self, completion: Completion) -> None:
        if completion.finish_reason != "error":
            self._faults_in_a_row = 0
            return
        self._faults_in_a_row += 1
        if self._faults_in_a_row >= MAX_CONSECUTIVE_FAULTS:
            raise EngineError(
                f"{self._faults_in_a_row} requests failed in a row, the last with: {completion.error}. "
                f"What is done is kept; run the same command again to go on"
            )

    def _completion(self, generation: Generation, request: JudgeRequest) -> Completion:
        source, comparison = request.source, request.comparison
        verdict = self._read(generation)
        return Completion(
            pair=request.pair,
            index=request.index,
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
            p_shown_a=verdict_probability(generation, verdict),
            fenced=request.prompt.fenced,
            prompt_sha256=prompt_sha256(request.prompt.messages),
            pair_hash=pair_hash(source),
            verdict=verdict,
            error=generation.error,
        )
