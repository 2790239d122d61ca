"""How requests to a server are shaped, and what its refusals teach about that.

Servers that speak OpenAI's protocol differ in the fields that they take. A refusal names the field; the shape of all later requests
of the run follows it, and the user is told once.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from pydantic import TypeAdapter

from rmr1.records import GenerationRequest, Message

TOP_LOGPROBS = 20
"""Alternatives that are asked for at each token; OpenAI and vLLM give no more."""
_FEWER_LOGPROBS = 5
_SEEDS = ("seed", "random_seed")
_MOST = re.compile(r"(?:most|max\w{0,20}|equal to|<=|up to|between|and|allowed)\D{0,12}(\d{1,3})(?!\d)", re.IGNORECASE)
_NUMBER = re.compile(r"integer|number|numeric", re.IGNORECASE)
_LIMITS = ("max_tokens", "max_completion_tokens")
_REFUSAL = re.compile(
    r"unsupported|not supported|n[o']t support|unknown|unrecogni[sz]ed|unexpected|not permitted|not allowed|cannot find"
    r"|not available|not enabled|forbidden|deprecated|only the default|cannot both|not both|incompatible|extra[_ ]"
    r"|invalid (?:parameter|argument|field)|not accept|no such|unavailable",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"too (?:large|big|high|low|small)|at most|at least|maximum|minimum|exceed|less than|greater than|must be|has to be|range"
    r"|between|positive|should be",
    re.IGNORECASE,
)
_NO_SYSTEM = re.compile(
    r"system (?:role|message|prompt|instruction)s?\b.{0,80}(?:not|n't|unsupported|beginning|must)"
    r"|(?:not|n't|no|without|unsupported|unknown|invalid|unexpected)\b.{0,80}"
    r"(?:\bsystem (?:role|message|prompt|instruction)|['\"`]system['\"`]|role\W{1,4}system)"
    r"|developer instruction|roles? must alternate|alternate user/assistant|only \W?user\W? and \W?(?:assistant|model)\W? roles",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context (?:length|window|size)|maximum context|too long|max_model_len|n_ctx|exceeds? the (?:available )?context"
    r"|too many (?:input )?tokens|prompt is longer",
    re.IGNORECASE,
)
_REFUSED_VALUE = re.compile(
    r"supported values|invalid (?:option|value|enum)|one of|expected|valid values|allowed values|unsupported value",
    re.IGNORECASE,
)
_GRAMMAR = re.compile(r"grammar|structured_outputs|guided", re.IGNORECASE)
_MODEL_UNKNOWN = re.compile(r"model", re.IGNORECASE)
_USED_UP = re.compile(
    r"insufficient_quota|exceeded your current quota|credit balance|insufficient (?:credit|balance|fund)|out of credit"
    r"|billing (?:hard )?limit|payment required|quota (?:is )?(?:used up|exhausted)",
    re.IGNORECASE,
)


_ENDED = re.compile(r"EngineCore|EngineDeadError|engine (core )?(is dead|has died)", re.IGNORECASE)
ENDED_SERVER = (
    "the server has ended, see what it said; vLLM on a CPU ends at a prompt that it computes in chunks for a request with a "
    "seed, so start it with --no-enable-chunked-prefill and --max-num-batched-tokens of at least --max-model-len"
)
"""What may help if a server is gone in the middle of a run."""


@dataclass(frozen=True, slots=True)
class RequestShape:
    """Which fields requests have.

    Args:
        limit: The name of the field that limits a completion.
        omit: Fields that are left out.
        merge_system: Whether the system message stands at the head of the user message.
        seed: The name of the field that holds the seed.
        alternatives: How many alternatives are asked for at each token.
        counts_logprobs: Whether ``logprobs`` holds that number, instead of true next to ``top_logprobs``.
    """

    limit: str
    omit: frozenset[str] = frozenset()
    merge_system: bool = False
    seed: str = "seed"
    alternatives: int = TOP_LOGPROBS
    counts_logprobs: bool = False

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> RequestShape:
        """The shape that ``to_json`` gave.

        Raises:
            ValueError: The value is something else.
        """
        return _SHAPE.validate_python(value)

    def to_json(self) -> Mapping[str, object]:
        """The shape as JSON."""
        return {**asdict(self), "omit": sorted(self.omit)}

    def fields(self, model: str, request: GenerationRequest, more: Mapping[str, object]) -> dict[str, object]:
        """The fields of a request, but for its grammar; ``more`` are those that the user adds to every request."""
        sampling = request.sampling
        messages = merge_system(request.messages) if self.merge_system else request.messages
        found: dict[str, object] = {
            "model": model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self.limit: sampling.max_tokens,
        }
        if sampling.seed is not None and "seed" not in self.omit:
            found[self.seed] = sampling.seed
        found |= {
            name: value for name, value in (("top_k", sampling.top_k), ("min_p", sampling.min_p)) if value is not None
        }
        if request.logprobs:
            counted = {"logprobs": self.alternatives}
            found |= counted if self.counts_logprobs else {"logprobs": True, "top_logprobs": self.alternatives}
        found |= more
        return {name: value for name, value in found.items() if name not in self.omit}


_SHAPE = TypeAdapter(RequestShape)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a refusal has taught: the shape of the next requests, and a sentence about it."""

    shape: RequestShape
    sentence: str


def learn_shape(
    shape: RequestShape, sent: Mapping[str, object], words: str, left: Container[RequestShape] = ()
) -> Lesson | None:
    """What a refusal teaches; None if its words name no change that helps.

    Args:
        shape: The shape with which the request was sent.
        sent: Its fields.
        words: The server's words.
        left: Shapes that were refused before, and are not tried again.
    """
    for learn in (_limit, _system, _seed, _alternatives, _field):
        lesson = learn(shape, sent, words)
        if lesson is not None and lesson.shape not in left:
            return lesson
    return None


def is_template_error(words: str) -> bool:
    """Whether a chat template refused the messages: it would again."""
    return _NO_SYSTEM.search(words) is not None


def is_used_up(status: int, words: str) -> bool:
    """Whether a server refuses because money or a quota is used up: waiting does not help."""
    return status == 402 or (status in (403, 429) and _USED_UP.search(words) is not None)


def likely_cure(status: int, sent: Mapping[str, object], words: str) -> str:
    """What the user can do about a refusal, as the end of a message; "" if that is not known."""
    if status in (404, 405) and not _MODEL_UNKNOWN.search(words):
        return "is /v1 missing at the end of the base URL?"
    if status == 404:
        return "is that the server's name of the model, and does the base URL end with /v1?"
    if is_used_up(status, words):
        return "what this key may spend is used up"
    if status == 429:
        return "lower --concurrency, or wait"
    if status >= 500 and _ENDED.search(words):
        return ENDED_SERVER
    return _cure_of_request(sent, words) if 400 <= status < 500 else ""


def _cure_of_request(sent: Mapping[str, object], words: str) -> str:
    if _NO_SYSTEM.search(words):
        return "try system_role=merge"
    if _TOO_LONG.search(words):
        return "lower --max-tokens, or serve the model with a larger context"
    if _GRAMMAR.search(words):
        return "does engine.server_grammar say how the server takes a grammar?"
    added = next((name for name in sent if name not in _USUAL and _names(name, words)), None)
    if added is not None:
        own = added if added == "chat_template_kwargs" else "extra_body"
        return f"if the server cannot take {added}, leave it out of engine.{own}"
    named = _named(sent, words)
    if named == "reasoning_effort" and _REFUSED_VALUE.search(words):
        return "set engine.reasoning_effort to what the server takes"
    if named in _LIMITS:
        return "lower --max-tokens" if _RANGE.search(words) else f"leave it out with engine.omit=[{named}]"
    return f"if the server cannot take it, leave it out with engine.omit=[{named}]" if named else ""


def merge_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages with the system message at the head of the next one."""
    if len(messages) < 2 or messages[0].role != "system":
        return tuple(messages)
    first, second, *rest = messages
    return (Message(second.role, f"{first.content}\n\n{second.content}"), *rest)


def _limit(shape: RequestShape, sent: Mapping[str, object], words: str) -> Lesson | None:
    other = next(name for name in _LIMITS if name != shape.limit)
    named, refused = (re.search(rf"\b{name}\b", words) is not None for name in (other, shape.limit))
    says_no, about_its_value = _REFUSAL.search(words) is not None, _RANGE.search(words) is not None
    learnt = (says_no or not about_its_value) if named else (refused and says_no and not about_its_value)
    if shape.limit not in sent or not learnt:
        return None
    return Lesson(replace(shape, limit=other), f"the server refuses {shape.limit}; requests have {other} from now on")


def _system(shape: RequestShape, sent: Mapping[str, object], words: str) -> Lesson | None:
    messages = sent.get("messages")
    has_system = isinstance(messages, list) and any(one["role"] == "system" for one in messages)
    if not has_system or not _NO_SYSTEM.search(words):
        return None
    return Lesson(
        replace(shape, merge_system=True),
        "the server takes no system message; from now on it stands at the head of the user message, as with system_role=merge",
    )


def _seed(shape: RequestShape, sent: Mapping[str, object], words: str) -> Lesson | None:
    """Another name of the seed, if the words say it, or if the present one was a guess."""
    other = _SEEDS[1 - _SEEDS.index(shape.seed)]
    refused = shape.seed in sent and _names(shape.seed, words) and _REFUSAL.search(words)
    if not refused or not (_names(other, words) or shape.seed != _SEEDS[0]):
        return None
    sentence = f"the server refuses {shape.seed}; requests have {other} from now on"
    return Lesson(replace(shape, seed=other), sentence)


def _alternatives(shape: RequestShape, sent: Mapping[str, object], words: str) -> Lesson | None:
    """Fewer alternatives, or their number in another field."""
    if "logprobs" not in sent or "logprobs" not in words:
        return None
    if sent["logprobs"] is True and not _names("top_logprobs", words) and _NUMBER.search(words):
        sentence = "the server takes a number as logprobs; requests have it from now on"
        return Lesson(replace(shape, counts_logprobs=True), sentence)
    if not _RANGE.search(words) and not _MOST.search(words):
        return None
    named = [number for number in map(int, _MOST.findall(words)) if 0 < number < shape.alternatives]
    fewer = max(named, default=_FEWER_LOGPROBS)
    if fewer >= shape.alternatives:
        return None
    sentence = f"the server gives {fewer} alternatives at each token, and not {shape.alternatives}: p_a may be missing more often"
    return Lesson(replace(shape, alternatives=fewer), sentence)


def _field(shape: RequestShape, sent: Mapping[str, object], words: str) -> Lesson | None:
    name = _named(sent, words)
    if name is None or name in _LIMITS:
        return None
    usual = {"temperature": 0, "top_p": 1}.get(name)
    if name == "reasoning_effort" and _REFUSED_VALUE.search(words):
        return None
    if not _REFUSAL.search(words) and (not _RANGE.search(words) or usual is None or sent[name] != usual):
        return None  # the value that the user set is wrong, not the field
    if "cannot both" in words and sent.get("top_p") == 1:
        name = "top_p"
    if name == "top_logprobs":
        name = "logprobs"
    left_out = {"logprobs", "top_logprobs"} if name == "logprobs" else {name}
    return Lesson(
        replace(shape, omit=shape.omit | left_out),
        f"the server refuses {name}; requests leave it out from now on, as with engine.omit=[{name}]{_EFFECTS[name]}",
    )


def _named(sent: Mapping[str, object], words: str) -> str | None:
    """The first field that the words name, among those that were sent and can be changed."""
    places = {name: place.start() for name in (*_LIMITS, *_EFFECTS) if name in sent and (place := _names(name, words))}
    return min(places, key=lambda name: places[name]) if places else None


def _names(name: str, words: str) -> re.Match[str] | None:
    return re.search(rf"(?<![A-Za-z_]){re.escape(name)}(?![A-Za-z_])", words)


_EFFECTS = {
    "seed": ": sampled completions cannot be repeated",
    "random_seed": ": sampled completions cannot be repeated",
    "temperature": ": completions are sampled at the server's own temperature",
    "top_p": "",
    "logprobs": ": there are no probabilities of verdicts",
    "top_logprobs": "",
    "top_k": ": completions are sampled from more tokens",
    "min_p": ": completions are sampled from more tokens",
    "reasoning_effort": ": the model thinks as long as it likes",
}
"""What leaving a field out means for the run."""
_USUAL = frozenset({"model", "messages", "grammar", "structured_outputs", *_LIMITS, *_EFFECTS})
"""Fields that the user does not add."""
