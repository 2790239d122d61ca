"""What an engine is asked next: the votes that pairs under way still need, then the first ones of the next pair."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from rmr1.engines import prompt_sha256
from rmr1.judging.completions import Completion
from rmr1.judging.plan import JudgingPlan
from rmr1.judging.runner import JudgeRequest, share_key
from rmr1.judging.stopping import VoteLedger
from rmr1.records import PreferencePair, Usage


class RequestQueue:
    """The requests of a run, one after another; each is made as it is drawn.

    It ends when nothing can be asked at the moment. If votes are stopped early, answers may call for more: then it is ``waiting``,
    and can be iterated again.

    Args:
        plan: How pairs are judged.
        votes: What is answered; the caller keeps it up to date.
        pairs: The pairs with their numbers.
    """

    def __init__(self, plan: JudgingPlan, votes: VoteLedger, pairs: Iterator[tuple[int, PreferencePair]]) -> None:
        self._plan = plan
        self._votes = votes
        self._pairs = pairs
        self._stops_early = plan.config.stop != "never"
        self._ready: deque[tuple[int, int, PreferencePair]] = deque()
        self._open: dict[int, tuple[PreferencePair, set[int]]] = {}
        self._under_way: dict[tuple[int, int], JudgeRequest] = {}
        self._again: deque[JudgeRequest] = deque()
        self._cut: dict[tuple[int, int], Usage] = {}

    def __iter__(self) -> Iterator[JudgeRequest]:
        return self

    def __next__(self) -> JudgeRequest:
        request = self._again.popleft() if self._again else self._next()
        if self._plan.config.retry_truncated is not None:
            self._under_way[request.pair, request.index] = request
        return request

    def _next(self) -> JudgeRequest:
        while not self._ready:
            number, pair = next(self._pairs)
            self._add(number, pair, set())
        number, index, pair = self._ready.popleft()
        comparison = self._plan.comparison(pair, index)
        request, prompt = self._plan.request(comparison)
        shared = share_key(prompt_sha256(prompt.messages), comparison.vote) if self._plan.scores_one else None
        return JudgeRequest(number, index, pair, comparison, request, prompt, shared)

    @property
    def waiting(self) -> bool:
        """Whether there is something to ask that was not drawn."""
        return bool(self._ready or self._again)

    def whole(self, completion: Completion) -> Completion | None:
        """The completion to keep: None if it was cut and is asked for again with the larger limit; then the next one counts both.

        What was cut before the limit filled the context, and would be cut there again.
        """
        place = (completion.pair, completion.index)
        request = self._under_way.pop(place, None)
        if request is None:
            return completion
        longer = self._plan.longer(request.request)
        room = completion.usage.unknown or completion.usage.completion_tokens >= request.request.sampling.max_tokens
        if completion.finish_reason == "length" and longer is not None and room:
            self._cut[place] = Usage() if completion.from_cache else completion.usage
            self._again.append(replace(request, request=longer))
            return None
        cut = self._cut.pop(place, None)
        return completion if cut is None else replace(completion, usage=cut + completion.usage, retried=True)

    def answered(self, completion: Completion) -> None:
        """A request was answered, or the engine failed on it: ask for what its pair needs now. Nothing is asked twice."""
        if completion.pair in self._open:
            self._add(completion.pair, *self._open[completion.pair])

    def _add(self, number: int, pair: PreferencePair, asked: set[int]) -> None:
        wanted = self._votes.wanted(number)
        new = [index for index in wanted if index not in asked]
        self._ready.extend((number, index, pair) for index in new)
        if self._stops_early and wanted:
            asked.update(new)
            self._open[number] = (pair, asked)
        else:
            self._open.pop(number, None)
