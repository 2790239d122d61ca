"""The values that travel through the package: frozen, slotted dataclasses with no logic beyond derived properties.

One comparison on its way: a ``PreferencePair`` is shown in an order as a ``Comparison``, rendered to ``Message``s, answered by an
engine with a ``Generation``, parsed to a ``Verdict``; the verdicts of all orders and votes make one ``Judgment``.

Two frames of reference: a *pair's* sides are those of its data (for chosen/rejected data, A is the chosen response); a *shown* side
is where the judge saw a response. ``Verdict.side`` is a shown side, ``Judgment.winner`` a side of the pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Side = Literal["A", "B"]
Order = Literal["ab", "ba"]
Label = Literal["A", "B", "tie"]
Winner = Literal["A", "B", "tie"]
PairOutcome = Literal["A", "B", "tie", "inconsistent", "half_judged", "no_verdict", "unjudged"]
"""What all completions of a pair say together, see ``Judgment.outcome``."""
InvalidReason = Literal["missing", "conflicting", "truncated", "refused", "engine_error"]
FinishReason = Literal["stop", "length", "refused", "error"]
SCORE_RULES = ("score", "rating")
"""The rules of verdicts about one response: the number of a scalar reward model, the rating that a judge writes."""
TaskType = Literal["Chat", "Reasoning"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. ``role`` is ``system``, ``user``, ``assistant`` or ``tool``."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two responses to one prompt, and which one is better if that is known (paper section 2: x, y_a, y_b, l).

    Args:
        id: Name of the pair, unique in its file.
        prompt: The conversation up to the responses; at least one message.
        response_a: The turns that continue ``prompt``; usually one assistant message.
        response_b: The same for the other response.
        label: The better side, "tie" if people call both equally good, or None if it is unknown.
        group: Pairs with the same group share a prompt; intervals treat them as one cluster.
        category: A subset or task name to report by, or "".
        extra: Whatever else the source row contains.
        reference: The right answer, for templates that show one, or "".
        rubric: By what to judge, for templates that show it, or "".
    """

    id: str
    prompt: tuple[Message, ...]
    response_a: tuple[Message, ...]
    response_b: tuple[Message, ...]
    label: Label | None = None
    group: str = ""
    category: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
    rubric: str = ""


@dataclass(frozen=True, slots=True)
class ResponseSet:
    """N responses to one prompt, with scores if they are known (higher is better)."""

    id: str
    prompt: tuple[Message, ...]
    responses: tuple[tuple[Message, ...], ...]
    scores: tuple[float, ...] | None = None
    category: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A pair as the judge sees it. ``gold`` and both responses are in shown sides.

    ``order`` "ab" shows the pair's A as A; "ba" shows the pair's B as A. A judge that scores one response sees the shown A alone.
    ``vote`` numbers repeated completions of the same order.
    """

    pair_id: str
    order: Order
    vote: int
    prompt: tuple[Message, ...]
    shown_a: tuple[Message, ...]
    shown_b: tuple[Message, ...]
    gold: Label | None = None
    reference: str = ""
    rubric: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more generations.

    ``cached_tokens`` of the prompt were not computed again. ``unknown`` counts the generations of which the engine does not tell
    all tokens; what it does not tell is missing from the sums, which are then lower bounds.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    unknown: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.unknown + other.unknown,
        )


UNKNOWN_USAGE = Usage(unknown=1)
"""A generation whose engine does not tell its tokens."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample a completion. With ``seed`` None the engine chooses the seed.

    ``top_k`` and ``min_p`` of None leave tokens alone in local engines, and are not sent to servers, which have values of their
    own; ``top_k`` 0 stands for all tokens.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 2048
    seed: int | None = None
    top_k: int | None = None
    min_p: float | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One completion to write.

    Args:
        id: Name of the request, unique among those under way.
        messages: The prompt.
        sampling: How to draw.
        grammar: GBNF grammar that the completion must follow.
        logprobs: Ask for ``Generation.tokens``.
        comparison: What the prompt asks about, for engines that are programs and need not read the prompt.
    """

    id: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    grammar: str | None = None
    logprobs: bool = False
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A completion token, its natural log-probability, and those of the likeliest alternatives by their text."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """What an engine wrote for one request.

    ``finish_reason`` "length" means cut at ``max_tokens`` or the context; "refused" that the model, or a filter in front of it,
    would not answer, and ``text`` is what it said instead; "error" that the engine failed, ``error`` says how, and ``text`` is no
    output of the model. ``finish_detail`` is the server's own word for the end where it has another one, or says that the
    limit ended a completion under a grammar. ``think_open`` is true
    if the chat template had already opened a think block, so that the text starts inside it. ``from_cache`` is true if nobody wrote
    it now: the answer was kept from an earlier run, and ``usage`` is what it took then.
    """

    request_id: str
    text: str
    finish_reason: FinishReason = "stop"
    usage: Usage = UNKNOWN_USAGE
    think_open: bool = False
    tokens: tuple[TokenLogprob, ...] | None = None
    error: str | None = None
    finish_detail: str | None = None
    from_cache: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """One part of a completion: its tag, and the character offsets of its content in the text."""

    name: str
    start: int
    end: int

    def content(self, text: str) -> str:
        """The part of the text."""
        return text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class RubricItem:
    """One weighted criterion of a rubric. ``weight`` is a share of 1, or None if none was written."""

    text: str
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Sections:
    """The parts of a completion (paper section 3.1, Chain-of-Rubrics). An absent part is None or empty.

    ``think`` is the text of the think block; all other parts are read outside it.
    """

    think: str | None = None
    task_type: TaskType | None = None
    rubric: str | None = None
    rubric_items: tuple[RubricItem, ...] = ()
    justify: str | None = None
    solution: str | None = None
    evaluation: str | None = None
    quotes_a: tuple[str, ...] = ()
    quotes_b: tuple[str, ...] = ()
    summaries_a: tuple[str, ...] = ()
    summaries_b: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of parsing one generation.

    Args:
        side: The better *shown* side, or None if the verdict is invalid.
        invalid: Why there is no side; None exactly where ``side`` is set.
        candidates: The distinct sides that the rule found, in order of appearance.
        sections: The parts of the completion that were found.
        problems: Names of what is wrong with the format, see ``rmr1.verdict.problems``.
        position: Character offset of the letter that decided, or None.
        rule: Name of the rule that decided.
        spans: Where the parts stand in the text, think blocks first; ``sections`` follows from them and the text.
        score: How good the judge finds the response, if it sees one response alone; there is no side then.
    """

    side: Side | None
    invalid: InvalidReason | None
    candidates: tuple[Side, ...] = ()
    sections: Sections = Sections()
    problems: tuple[str, ...] = ()
    position: int | None = None
    rule: str = "default"
    spans: tuple[Span, ...] = ()
    score: float | None = None

    @property
    def scores_one(self) -> bool:
        """Whether it is about one response alone, valid or not."""
        return self.rule in SCORE_RULES


@dataclass(frozen=True, slots=True)
class Vote:
    """One generation with its verdict, in the frame of the pair.

    Args:
        order: The order in which the responses were shown.
        vote: Number of the vote within its order.
        side: The better side *of the pair*, or None if invalid.
        verdict: The parsed verdict, in shown sides.
        text: What the judge wrote.
        usage: Tokens spent.
        p_a: Probability of "A" against "B" at the verdict token, in the frame of the pair; None if the engine gives none.
        fenced: How many markers in the prompt or the responses were fenced.
        error: The engine's message if ``verdict.invalid`` is ``engine_error``.
        from_cache: Whether it was written for an earlier run, and cost nothing now.
        retried: Whether it was asked for again with a larger limit, having been cut; ``usage`` is that of both.
    """

    order: Order
    vote: int
    side: Side | None
    verdict: Verdict
    text: str
    usage: Usage = Usage()
    p_a: float | None = None
    fenced: int = 0
    error: str | None = None
    from_cache: bool = False
    retried: bool = False


@dataclass(frozen=True, slots=True)
class Judgment:
    """All votes on one pair, combined.

    Args:
        id: The pair's id.
        outcome: What the orders say together: "A", "B" or "tie" if every order that was asked says so; "inconsistent" if they
            differ; "half_judged" if one order has a valid verdict and the other has none; "no_verdict" if none has one;
            "unjudged" if the engine failed on a request, so that nothing is known yet. Of a judge that sees one response at a
            time, the response with the higher mean score, "tie" for equal ones, "half_judged" if one response has no score.
        winner: The better side of the pair; "tie" for a tie and for orders that differ; None if an order has no valid verdict.
        confidence: Votes for ``winner`` over all votes that were asked for; for a tie 0.5; 0.0 without a winner.
        position_consistent: Whether both orders agree; None if an order is missing or invalid.
        correct: Whether ``outcome`` is the label, which may be a tie; None if there is no label or the pair is unjudged.
        votes: Every vote that was asked for, orders first, then vote numbers.
        usage: Tokens of all votes.
        spared: How many votes were not asked for, because those before them settle their order.
        scores: Mean scores of A and B; None unless the judge scores each response by itself, and has scored both.
        p_a: Probability that A is better by the difference of two scalar rewards; None for any other judge.
    """

    id: str
    outcome: PairOutcome
    winner: Winner | None
    confidence: float
    position_consistent: bool | None
    correct: bool | None
    votes: tuple[Vote, ...]
    usage: Usage
    label: Label | None = None
    group: str = ""
    category: str = ""
    spared: int = 0
    scores: tuple[float, float] | None = None
    p_a: float | None = None

    @property
    def error(self) -> str | None:
        """What the engine said when it failed on the first of the requests that it failed on; None if it answered all."""
        return next((vote.error for vote in self.votes if vote.error), None)

    @property
    def explanation(self) -> Sections:
        """The parts of the first vote that agrees with the winner, else of the first vote; its A and B are shown sides."""
        agreeing = [vote for vote in self.votes if vote.side == self.winner and vote.side is not None]
        first = (agreeing or list(self.votes))[:1]
        return first[0].verdict.sections if first else Sections()

    @property
    def task_type(self) -> TaskType | None:
        """How the judge classified the task."""
        return self.explanation.task_type

    @property
    def rubric(self) -> str | None:
        """The rubric of the explaining vote."""
        return self.explanation.rubric

    @property
    def solution(self) -> str | None:
        """The judge's own solution in the explaining vote."""
        return self.explanation.solution

    @property
    def evaluation(self) -> str | None:
        """The evaluation of the explaining vote; its A and B are the sides as shown in that vote."""
        return self.explanation.evaluation

    @property
    def traces(self) -> tuple[str, ...]:
        """What the judge wrote, vote by vote."""
        return tuple(vote.text for vote in self.votes)
