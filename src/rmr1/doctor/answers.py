"""What completions show about an engine: one small check for each property, with its fix."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from rmr1.doctor.cases import (
    MARKS,
    OBEYED,
    REPEATED,
    SHORT,
    grammar_request,
    greeting,
    mark_requests,
    prefix_requests,
    sampled_requests,
)
from rmr1.engines import Engine, checked_replies, is_telling
from rmr1.judging import JudgingPlan
from rmr1.records import Comparison, Generation, GenerationRequest, Usage, Verdict
from rmr1.results import CheckResult, CheckStatus
from rmr1.verdict import verdict_probability

ANSWER, SYSTEM, THINK, MARKED = "first answer", "system role", "think mode", "control tokens"
VERDICTS, OBVIOUS, POSITION, LENGTH, PROBABILITIES = (
    "verdicts",
    "obvious pairs",
    "position",
    "max_tokens",
    "log-probabilities",
)
SAME, SAMPLING, GRAMMAR, REUSE = "determinism", "temperature and seed", "grammar", "prefix reuse"
_LONGEST_RETRY = 4096
_STEP = 64
_ENOUGH = 0.9
_FAIR = 0.75
_NOTABLE_S = 0.05
_NO_SYSTEM = re.compile(r"system", re.IGNORECASE)
_SYSTEM_TOKENS = 40
"""The system message of ``greeting`` has more tokens than this in any tokenizer."""


class Interview:
    """Asks an engine, and keeps what that took.

    Args:
        engine: What answers.
        answered: Called with the tokens of each answer.

    Attributes:
        engine: What answers.
        requests: How many requests were sent.
        usage: Tokens that they took.
        notes: What the engine said about its server.
    """

    def __init__(self, engine: Engine, answered: Callable[[Usage], None]) -> None:
        self.engine = engine
        self.requests = 0
        self.usage = Usage()
        self.notes: list[str] = []
        self._answered = answered
        if is_telling(engine):
            engine.hear(self._hear)

    async def ask(self, requests: Iterable[GenerationRequest]) -> list[Generation]:
        """The answers, in the order of the requests, which are under way together.

        Raises:
            EngineError: The engine cannot go on.
        """
        wanted = list(requests)
        found: dict[str, Generation] = {}
        async with aclosing(checked_replies(self.engine, wanted)) as generations:
            async for generation in generations:
                self.requests += 1
                self.usage += generation.usage
                self._answered(generation.usage)
                found[generation.request_id] = generation
        return [found[request.id] for request in wanted]

    async def one(self, request: GenerationRequest) -> tuple[Generation, float]:
        """The answer to a single request, and how many seconds it took."""
        began = time.monotonic()
        return (await self.ask([request]))[0], time.monotonic() - began

    def _hear(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


@dataclass(frozen=True, slots=True)
class Answered:
    """A comparison of an obvious pair, answered and read. ``p_a`` is that of the shown A, None if the engine gives none."""

    request: GenerationRequest
    comparison: Comparison
    generation: Generation
    verdict: Verdict

    @property
    def p_a(self) -> float | None:
        """Probability of the shown A."""
        return verdict_probability(self.generation, self.verdict)


async def check_first_answer(interview: Interview) -> CheckResult:
    """Whether it answers at all."""
    generation, seconds = await interview.one(greeting(system=False))
    if generation.finish_reason == "error":
        return failed(ANSWER, generation.error or "it failed and does not say why")
    said = " ".join(generation.text.split())[:40]
    return CheckResult(ANSWER, "ok", f'it answers, after {seconds:.1f} s: "{said}"')


def failed(name: str, error: str) -> CheckResult:
    """A check that ended with an error of ours: what is before its last semicolon was seen, what is behind it is the fix."""
    seen, semicolon, fix = error.rpartition("; ")
    return CheckResult(name, "fail", seen if semicolon else error, fix if semicolon else _LOOK)


_LOOK = "look at what the engine said, and at the log of the server if there is one"


async def check_system_answer(interview: Interview) -> CheckResult:
    """What an engine does with a system message, by its tokens and by what it says about its server."""
    fix = "pass --system-role merge: the instructions then stand at the head of the user message"
    before = len(interview.notes)
    generation, _ = await interview.one(greeting(system=True))
    learnt = [note for note in interview.notes[before:] if _NO_SYSTEM.search(note)]
    if learnt:
        return CheckResult(SYSTEM, "warn", f"{learnt[0]} (after a request that it refuses, in each run)", fix)
    if generation.finish_reason == "error":
        return CheckResult(SYSTEM, "fail", f"a system message makes it fail: {generation.error}", fix)
    usage = generation.usage
    if not usage.unknown and 0 < usage.prompt_tokens < _SYSTEM_TOKENS:
        seen = f"a prompt with a long system message has {usage.prompt_tokens} tokens: the message is left out"
        return CheckResult(SYSTEM, "fail", seen, fix)
    return CheckResult(SYSTEM, "ok", "it takes a system message")


async def ask_obvious(interview: Interview, plan: JudgingPlan, comparisons: Sequence[Comparison]) -> list[Answered]:
    """Have the obvious pairs judged."""
    requests = [plan.request(comparison)[0] for comparison in comparisons]
    generations = await interview.ask(requests)
    return [
        Answered(request, comparison, generation, plan.read(generation))
        for request, comparison, generation in zip(requests, comparisons, generations, strict=True)
    ]


def check_verdicts(answered: Sequence[Answered]) -> CheckResult:
    """How many completions hold a verdict that can be read."""
    errors = [one.generation.error for one in answered if one.generation.finish_reason == "error"]
    if len(errors) == len(answered):
        return failed(VERDICTS, errors[0] or "every request failed")
    valid = sum(one.verdict.side is not None for one in answered)
    seen = f"{valid} of {len(answered)} completions hold a verdict"
    if valid >= _ENOUGH * len(answered):
        return CheckResult(VERDICTS, "ok", seen)
    reasons = {one.verdict.invalid for one in answered if one.verdict.invalid}
    seen += f"; the others: {', '.join(sorted(reasons))}"
    if reasons == {"truncated"}:
        return CheckResult(VERDICTS, "fail" if not valid else "warn", seen, f"see {LENGTH}")
    fix = "pass --constrain if the engine obeys grammars, take a shorter template (--template cor-compact), or a stronger model"
    return CheckResult(VERDICTS, "fail" if 2 * valid < len(answered) else "warn", seen, fix)


def check_obvious(answered: Sequence[Answered]) -> CheckResult:
    """How many of the obvious pairs are judged right."""
    valid = [one for one in answered if one.verdict.side is not None]
    if not valid:
        return CheckResult(OBVIOUS, "skipped", "no completion holds a verdict")
    right = sum(one.verdict.side == one.comparison.gold for one in valid)
    seen = f"{right} of {len(valid)} verdicts about pairs with an obvious better response are right"
    if right >= _FAIR * len(valid):
        return CheckResult(OBVIOUS, "ok", seen)
    fix = "take a stronger model, or train this one (rmr1 train); judge a labelled file of your own before you trust it"
    return CheckResult(OBVIOUS, "warn", f"{seen}; chance is half", fix)


def check_position(answered: Sequence[Answered]) -> CheckResult:
    """Whether the verdict follows the response or its place."""
    by_pair: dict[str, list[Verdict]] = {}
    for one in answered:
        by_pair.setdefault(one.comparison.pair_id, []).append(one.verdict)
    both = [verdicts for verdicts in by_pair.values() if len(verdicts) == 2 and all(one.side for one in verdicts)]
    if not both:
        return CheckResult(POSITION, "skipped", "no pair has a verdict in both orders")
    agree = sum(one.side != other.side for one, other in both)
    shown = [verdict.side for verdicts in both for verdict in verdicts]
    first = f"the first response wins {shown.count('A')} of {len(shown)}"
    seen = f"{agree} of {len(both)} pairs get the same verdict in both orders; {first}"
    if agree >= _FAIR * len(both):
        return CheckResult(POSITION, "ok", seen)
    return CheckResult(
        POSITION, "warn", seen, "keep --orders both, so that a verdict that follows the place counts as a tie"
    )


async def check_length(interview: Interview, plan: JudgingPlan, answered: Sequence[Answered]) -> CheckResult:
    """How long complete answers are, how many were cut, and the smallest sensible limit."""
    limit = plan.config.max_tokens
    asked = [one for one in answered if one.generation.finish_reason != "error"]
    cut = [one for one in asked if one.generation.finish_reason == "length"]
    lengths = [one.generation.usage.completion_tokens for one in asked if one.generation.finish_reason == "stop"]
    if not asked:
        return CheckResult(LENGTH, "skipped", "no request was answered")
    if cut and not lengths:
        lengths, longer = await _ask_longer(interview, cut[:2], limit)
        seen = f"all {len(asked)} answers are cut at {limit} tokens"
        if not lengths:
            fix = "the model does not come to an end: take another model, or a chat template with the right end token"
            return CheckResult(LENGTH, "fail", f"{seen}, and {len(cut[:2])} of them at {longer} too", fix)
        return CheckResult(
            LENGTH, "fail", seen, f"pass --max-tokens {_sensible(lengths)}: whole answers have {max(lengths)} tokens"
        )
    if not any(lengths):
        return CheckResult(LENGTH, "skipped", "the engine does not tell how many tokens it wrote")
    seen = f"{len(cut)} of {len(asked)} answers are cut; whole ones have {min(lengths)} to {max(lengths)} tokens"
    if cut:
        status: CheckStatus = "fail" if 2 * len(cut) > len(asked) else "warn"
        return CheckResult(LENGTH, status, seen, f"pass --max-tokens {max(2 * limit, _sensible(lengths))}")
    return CheckResult(LENGTH, "ok", f"{seen}; the smallest sensible --max-tokens is {_sensible(lengths)}")


async def _ask_longer(interview: Interview, cut: Sequence[Answered], limit: int) -> tuple[list[int], int]:
    longer = min(max(8 * limit, 8 * _STEP), max(_LONGEST_RETRY, limit))
    requests = [
        replace(one.request, id=f"{one.request.id}/longer", sampling=replace(one.request.sampling, max_tokens=longer))
        for one in cut
    ]
    generations = await interview.ask(requests)
    return [one.usage.completion_tokens for one in generations if one.finish_reason == "stop"], longer


def _sensible(lengths: Sequence[int]) -> int:
    """One and a half times the longest answer, in steps of 64 tokens."""
    return _STEP * math.ceil(1.5 * max(lengths) / _STEP)


def check_probabilities(engine: Engine, answered: Sequence[Answered]) -> CheckResult:
    """Whether the engine gives the probabilities of A and B at the verdict."""
    valid = [one for one in answered if one.verdict.side is not None]
    if not engine.writes_logprobs:
        return CheckResult(PROBABILITIES, "skipped", f"{engine.name} gives none")
    if not valid:
        return CheckResult(PROBABILITIES, "skipped", "no completion holds a verdict")
    known = sum(one.p_a is not None for one in valid)
    seen = f"{known} of {len(valid)} verdicts have the probabilities of A and B"
    if known >= _ENOUGH * len(valid):
        return CheckResult(PROBABILITIES, "ok", seen)
    if any(one.generation.tokens for one in valid):
        fix = "let the server give more alternatives for each token (vLLM: --max-logprobs 20)"
        return CheckResult(PROBABILITIES, "warn", f"{seen}: the other letter is not among the alternatives", fix)
    fix = "start the server with log-probabilities, or do without: confidence then comes from --votes alone"
    return CheckResult(PROBABILITIES, "warn", f"{seen}: the server gives none", fix)


async def check_determinism(interview: Interview, answered: Sequence[Answered]) -> CheckResult:
    """Whether the same prompt at temperature 0 has the same answer: twice alone, and beside others."""
    first = _short(answered[0].request, "same/alone")
    alone = [(await interview.one(replace(first, id=f"{first.id}/{number}")))[0] for number in range(2)]
    others = [_short(one.request, f"same/other/{number}") for number, one in enumerate(answered[1:4])]
    beside = (await interview.ask([*others, replace(first, id="same/beside")]))[-1]
    if any(one.finish_reason == "error" for one in (*alone, beside)):
        return CheckResult(SAME, "skipped", "a request failed")
    if alone[0].text != alone[1].text:
        fix = "look whether the server overrides temperature; if it cannot repeat itself, take --votes and intervals"
        return CheckResult(SAME, "warn", f"the same prompt at temperature 0 has two answers{_parting(*alone)}", fix)
    if alone[0].text != beside.text:
        fix = "for results that repeat to the letter: --concurrency 1, or vLLM with VLLM_BATCH_INVARIANT=1"
        seen = f"a prompt at temperature 0 is answered otherwise beside others than alone{_parting(alone[0], beside)}"
        return CheckResult(SAME, "warn", seen, fix)
    return CheckResult(SAME, "ok", "at temperature 0 a prompt has the same answer each time, alone and beside others")


def _short(request: GenerationRequest, name: str) -> GenerationRequest:
    sampling = replace(request.sampling, temperature=0.0, max_tokens=min(SHORT, request.sampling.max_tokens))
    return replace(request, id=name, sampling=sampling, logprobs=False)


def _parting(one: Generation, other: Generation) -> str:
    place = next((at for at, (a, b) in enumerate(zip(one.text, other.text, strict=False)) if a != b), None)
    return "" if place is None else f"; they part at character {place + 1}"


async def check_sampling(interview: Interview) -> CheckResult:
    """Whether temperature and seed are honoured."""
    first, again, other = await interview.ask(sampled_requests())
    if any(one.finish_reason == "error" for one in (first, again, other)):
        return CheckResult(SAMPLING, "skipped", "a request failed")
    if first.text != again.text:
        fix = "votes cannot be repeated: keep the run directory, which holds them; or take an engine that honours seeds"
        return CheckResult(SAMPLING, "warn", "the same seed at temperature 1 has two answers: the seed is ignored", fix)
    if first.text == other.text:
        fix = (
            "several votes would all be the same: look whether the server overrides temperature, and keep to --votes 1"
        )
        return CheckResult(
            SAMPLING, "warn", "two seeds at temperature 1 have the same answer: temperature or seed is ignored", fix
        )
    return CheckResult(SAMPLING, "ok", "a seed repeats its answer at temperature 1, and another seed has another one")


async def check_grammar(interview: Interview, *, wanted: bool) -> CheckResult:
    """Whether a grammar is obeyed, by an answer that could not come otherwise.

    Args:
        interview: With an engine that says that it obeys grammars.
        wanted: Whether the user asks for one.
    """
    generation, _ = await interview.one(grammar_request("grammar"))
    if generation.finish_reason == "error":
        return CheckResult(
            GRAMMAR, "fail" if wanted else "warn", f"a grammar makes it fail: {generation.error}", _GRAMMAR_FIX
        )
    if obeys(generation):
        return CheckResult(GRAMMAR, "ok", "a grammar is obeyed: an answer that could not come otherwise came")
    said = " ".join(generation.text.split())[:40]
    seen = f'the grammar is ignored: "{OBEYED}" was the only answer that it allows, and "{said}" came'
    return CheckResult(GRAMMAR, "fail" if wanted else "warn", seen, _GRAMMAR_FIX)


_GRAMMAR_FIX = "set --engine-server-grammar to what the server is, or do without --constrain"


def obeys(generation: Generation) -> bool:
    """Whether an answer is the one that the grammar allows."""
    return generation.finish_reason != "error" and generation.text.rpartition("</think>")[2].strip() == OBEYED


async def check_reuse(interview: Interview, answered: Sequence[Answered]) -> CheckResult:
    """Whether what two prompts have in common is computed once, by the engine's count of cached tokens or by time."""
    judged = sum((one.generation.usage for one in answered), Usage())
    if judged.cached_tokens:
        seen = f"{judged.cached_tokens} of {judged.prompt_tokens} tokens of the prompts about the obvious pairs come from the cache"
        return CheckResult(REUSE, "ok", seen)
    (cold, first_s), (warm, warm_s), (other, other_s) = [await interview.one(one) for one in prefix_requests()]
    if any(one.finish_reason == "error" for one in (cold, warm, other)):
        return CheckResult(REUSE, "skipped", "a request failed; the prompts have some 500 tokens")
    cold_s = min(first_s, other_s)
    times = f"{warm_s:.2f} s against {cold_s:.2f} s for a new prompt"
    usage = warm.usage
    if usage.cached_tokens:
        seen = f"{usage.cached_tokens} of {usage.prompt_tokens} tokens of a prompt with known instructions come from the cache"
        return CheckResult(REUSE, "ok", f"{seen}; {times}")
    if cold_s < _NOTABLE_S:
        return CheckResult(
            REUSE, "skipped", f"the engine tells no cached tokens, and prompts are too quick to time ({times})"
        )
    if warm_s < 0.6 * cold_s:
        return CheckResult(REUSE, "ok", f"a prompt with known instructions is faster: {times}")
    fix = "switch the prefix cache on (vLLM: --enable-prefix-caching; llama.cpp's server: cache_prompt, on by default)"
    return CheckResult(REUSE, "warn", f"instructions that all prompts share are computed again: {times}", fix)


async def check_marks(interview: Interview, *, fenced: bool) -> CheckResult:
    """Whether a server makes control tokens of the letters in a text, by the number of tokens of its prompts."""
    plain, *marked = await interview.ask(mark_requests())
    if plain.finish_reason == "error" or plain.usage.unknown or not plain.usage.prompt_tokens:
        return CheckResult(MARKED, "skipped", "the server does not tell how many tokens a prompt has")
    found = [
        mark
        for mark, one in zip(MARKS, marked, strict=True)
        if one.finish_reason != "error" and abs(one.usage.prompt_tokens - plain.usage.prompt_tokens - REPEATED) <= 2
    ]
    if not found:
        return CheckResult(
            MARKED, "ok", "letters of control tokens in a text stay letters, as far as prompts' tokens tell"
        )
    seen = f"the server makes control tokens of the letters {', '.join(found)} in a text"
    if fenced:
        return CheckResult(MARKED, "ok", f"{seen}; --fence disarms them before they are sent")
    return CheckResult(MARKED, "warn", f"{seen}: a response can end its own turn", "leave --fence on")


def check_think(engine: Engine, answered: Sequence[Answered], *, template_opens: bool | None) -> CheckResult:
    """Whether texts are read as what they are: from inside a think block, or not.

    Args:
        engine: What wrote them.
        answered: Completions.
        template_opens: Whether the chat template opens a think block; None if it is not known.
    """
    texts = [one.generation.text.lower() for one in answered if one.generation.finish_reason != "error"]
    closing = sum("<think>" not in text.partition("</think>")[0] for text in texts if "</think>" in text)
    opens = template_opens if template_opens is not None else closing > 0
    if opens and not engine.think_open:
        how = (
            "the chat template opens a think block"
            if template_opens
            else f"{closing} of {len(texts)} answers close a thought that they did not open"
        )
        fix = "pass --engine-think open, so that a verdict in a thought that was cut does not count"
        return CheckResult(THINK, "warn", f"{how}, and texts are not read as starting inside it", fix)
    if engine.think_open and texts and not any("</think>" in text for text in texts) and not template_opens:
        seen = "texts are read as starting inside a thought, and none of them closes one"
        return CheckResult(
            THINK, "fail", seen, "pass --engine-think auto, or raise --max-tokens if the thoughts are cut"
        )
    how = (
        "the chat template opens a think block, and texts are read so"
        if opens
        else "no think block is opened before the answer"
    )
    return CheckResult(THINK, "ok", how)
