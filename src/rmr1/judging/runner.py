"""Judge requests in, completions out: what an engine is working on, and when it is gone."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from rmr1.engines import Engine, ThinkHabit, checked_replies, is_learning, is_telling, prompt_sha256
from rmr1.errors import EngineError, RunError
from rmr1.files import parse_json, read_text, write_text
from rmr1.judging.completions import Completion, pair_hash
from rmr1.prompts import Prompt, follows
from rmr1.records import Comparison, Generation, GenerationRequest, PreferencePair, Usage, Verdict
from rmr1.results import FaultKind
from rmr1.runs import Journal
from rmr1.verdict import verdict_probability

MAX_CONSECUTIVE_FAULTS = 20
"""This many failed requests in a row mean that the engine is gone, not that the requests are odd."""
MAX_FAULT_KINDS = 20
"""This many kinds of failures are told apart."""
MAX_REMEMBERED = 20_000
"""This many scores of responses are remembered for other pairs with the same response."""
_NUMBERS = re.compile(r"[0-9a-f]{8,}|\d+")
ReadVerdict = Callable[[Generation], Verdict]


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """One comparison to answer. ``pair`` and ``index`` are its place, as in ``Completion``.

    ``shared`` names what is asked, if another comparison that asks the same may take its answer.
    """

    pair: int
    index: int
    source: PreferencePair
    comparison: Comparison
    request: GenerationRequest
    prompt: Prompt
    shared: str | None = None


class RequestLog:
    """What is worth telling about the requests of a run: the kinds of failures with their cures, and the engine's notes.

    Attributes:
        say: Called with a sentence about what happens for the first time.
    """

    def __init__(self) -> None:
        self.say: Callable[[str], None] = _unheard
        self._kinds: dict[str, FaultKind] = {}
        self._notes: dict[str, None] = {}
        self._constrained = self._disobeyed = 0

    @property
    def faults(self) -> tuple[FaultKind, ...]:
        """Failed requests by reason, the most frequent first."""
        return tuple(sorted(self._kinds.values(), key=lambda kind: (-kind.count, kind.reason)))

    @property
    def learnt(self) -> tuple[str, ...]:
        """What the engine has said."""
        return tuple(self._notes)

    @property
    def disobedience(self) -> tuple[str, ...]:
        """A sentence about completions that do not follow their grammar, if there are any."""
        return (self._disobedience(),) if self._disobeyed else ()

    def failed(self, reason: str) -> None:
        """Count a request that the engine failed on; the first ones of a kind are told."""
        kind = _NUMBERS.sub("#", reason)
        if kind not in self._kinds and len(self._kinds) >= MAX_FAULT_KINDS:
            kind, reason = "", "other reasons"
        known = self._kinds.get(kind, FaultKind(reason, 0))
        self._kinds[kind] = replace(known, count=known.count + 1)
        if not known.count:
            self.say(f"a request failed: {reason}")

    def note(self, sentence: str) -> None:
        """Keep a sentence of the engine and pass it on, once."""
        if sentence not in self._notes:
            self._notes[sentence] = None
            self.say(sentence)

    def recall(self, notes: Iterable[str]) -> None:
        """Keep what an earlier process has told already."""
        self._notes.update(dict.fromkeys(notes))

    def constrained(self, *, obeyed: bool) -> None:
        """Count a completion that was to follow a grammar."""
        self._constrained += 1
        self._disobeyed += not obeyed
        if not obeyed and self._disobeyed == 1:
            self.say(self._disobedience())

    def _disobedience(self) -> str:
        return (
            f"{self._disobeyed} of {self._constrained} constrained completions do not follow the grammar that was sent: the server "
            f"does not obey it. Set engine.server_grammar to what the server is, or leave out --constrain"
        )


def share_key(sha256: str, vote: int) -> str:
    """What is asked about one response: the hash of the prompt, and which of the votes it is."""
    return f"{sha256}/{vote}"


def _unheard(sentence: str) -> None:
    """Nobody listens."""


def all_notes(metrics: Journal, log: RequestLog) -> tuple[str, ...]:
    """What a run says about its server: what the engine told in earlier processes and in this one, and whether it obeys grammars.

    Args:
        metrics: Has a line with ``notes`` for each earlier process.
        log: That of this process.
    """
    earlier = [record.get("notes") for record in metrics]
    told = [str(note) for notes in earlier if isinstance(notes, list) for note in notes]
    return (*dict.fromkeys((*told, *log.learnt)), *log.disobedience)


class RequestRunner:
    """Asks an engine, and makes a completion of each reply. A reply is parsed once, here.

    Args:
        engine: What answers.
        read: Reads the verdict of a generation.
        log: Keeps what is worth telling about the requests.
        memory: A file that keeps what the engine has learnt about its server, for later processes of the run.
    """

    def __init__(
        self, engine: Engine, read: ReadVerdict, log: RequestLog | None = None, memory: Path | None = None
    ) -> None:
        self._engine = engine
        self._read = read
        self._log = log or RequestLog()
        self._habit = ThinkHabit()
        self._memory = memory
        self._begin_as_before()
        if is_telling(engine):
            engine.hear(self._note)
        self._under_way: dict[str, JudgeRequest] = {}
        self._followers: dict[str, list[JudgeRequest]] = {}
        self._known: dict[str, Generation] = {}
        self._answered: list[Completion] = []
        self._faults_in_a_row = 0

    def _begin_as_before(self) -> None:
        if self._memory is None or not is_learning(self._engine) or not self._memory.is_file():
            return
        try:
            kept = parse_json(read_text(self._memory))
            self._engine.remember(kept["learnt"])
            self._log.recall(map(str, kept["notes"]))
        except (ValueError, TypeError, KeyError) as error:
            raise RunError(
                f"{self._memory}: damaged; delete it, and what the server refuses is learnt again"
            ) from error

    def _note(self, sentence: str) -> None:
        self._log.note(sentence)
        if self._memory is not None and is_learning(self._engine):
            kept = {"learnt": self._engine.learnt(), "notes": self._log.learnt}
            write_text(self._memory, json.dumps(kept, indent=2) + "\n")

    def recall(self, completion: Completion, *, grammar: str | None = None) -> None:
        """Look at a completion of an earlier process: it shows how a server's texts begin, and whether grammars are obeyed.

        A score is also remembered for other pairs with the same response.
        """
        self._habit.learn(completion.text, completion.finish_reason)
        self._check_grammar(completion, grammar)
        if completion.verdict.scores_one:
            self._remember(
                share_key(completion.prompt_sha256, completion.vote),
                Generation(
                    completion.request,
                    completion.text,
                    completion.finish_reason,
                    think_open=completion.think_open,
                    finish_detail=completion.finish_detail,
                ),
            )

    def _check_grammar(self, completion: Completion, grammar: str | None) -> None:
        if grammar is not None and completion.finish_reason == "stop":
            self._log.constrained(obeyed=follows(completion.text, grammar))

    async def ask(self, requests: Iterable[JudgeRequest]) -> AsyncGenerator[Completion]:
        """Yield a completion for each request as it is answered; a failed one has the ``finish_reason`` "error".

        Raises:
            EngineError: No request can succeed, or many in a row have failed.
        """
        async with aclosing(checked_replies(self._engine, self._named(requests), self._habit)) as generations:
            async for generation in generations:
                request = self._under_way.pop(generation.request_id)
                completion = self._completion(generation, request)
                self._check_grammar(completion, request.request.grammar)
                yield completion
                self._share(generation, request)
                for shared in self._taken():
                    yield shared
                self._count_faults(completion)
        for shared in self._taken():
            yield shared

    def _share(self, generation: Generation, request: JudgeRequest) -> None:
        """Give an answer to those who ask the same; what was not asked again took no tokens."""
        if request.shared is None:
            return
        if generation.finish_reason != "error":
            self._remember(request.shared, generation)
        for follower in self._followers.pop(request.shared, ()):
            self._follow(follower, generation)

    def _follow(self, follower: JudgeRequest, generation: Generation) -> None:
        free = replace(generation, request_id=follower.request.id, usage=Usage())
        self._answered.append(self._completion(free, follower))

    def _remember(self, shared: str, generation: Generation) -> None:
        self._known[shared] = generation
        if len(self._known) > MAX_REMEMBERED:
            del self._known[next(iter(self._known))]

    def _taken(self) -> list[Completion]:
        taken, self._answered = self._answered, []
        return taken

    def _needs_asking(self, request: JudgeRequest) -> bool:
        """Whether nobody has asked the same; otherwise the request takes the other's answer, now or when it comes."""
        if request.shared is None:
            return True
        if request.shared in self._known:
            self._follow(request, self._known[request.shared])
            return False
        if request.shared in self._followers:
            self._followers[request.shared].append(request)
            return False
        self._followers[request.shared] = []
        return True

    def _named(self, requests: Iterable[JudgeRequest]) -> Iterator[GenerationRequest]:
        for judge_request in requests:
            if not self._needs_asking(judge_request):
                continue
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
        self._log.failed(completion.error or "")
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
            finish_detail=generation.finish_detail,
            from_cache=generation.from_cache,
        )
