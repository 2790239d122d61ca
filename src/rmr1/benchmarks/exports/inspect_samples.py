"""A comparison with its completions as a sample of inspect_ai.

Messages are the completions of all orders and votes, each after a message that says how it was asked; the same completions are
the choices of the sample's output. Target and answers are in the frame of the pair. The score is the comparison's value under
a protocol.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rmr1.benchmarks.benchmark import Policy, Protocol
from rmr1.benchmarks.entries import Entry
from rmr1.benchmarks.judged import Judged
from rmr1.judging import Completion
from rmr1.records import Message, PreferencePair, Side, Verdict
from rmr1.sides import pair_side


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """The judge's name, and the protocol that gives values."""

    model: str
    protocol: Protocol
    policy: Policy


def inspect_sample(
    judged: Judged, written: Sequence[Completion], value: float | None, shown: JudgePrompt, pair: PreferencePair | None
) -> Any:
    """Make an ``inspect_ai.log.EvalSample``.

    Args:
        judged: The comparison, its completions read by the rule of the protocol.
        written: The same completions as texts, in the same order.
        value: The comparison's value under the protocol; None where it has none.
        shown: The judge and the protocol.
        pair: The texts of the comparison, where there are any.
    """
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ModelUsage

    entry = judged.entry
    asked, answers = [_asked(sample, pair) for sample in written], [_answer(sample, shown.model) for sample in written]
    usage = ModelUsage(
        input_tokens=sum(sample.usage.prompt_tokens for sample in written),
        output_tokens=sum(sample.usage.completion_tokens for sample in written),
        total_tokens=sum(sample.usage.prompt_tokens + sample.usage.completion_tokens for sample in written),
    )
    return EvalSample(
        id=entry.id,
        epoch=1,
        input=_text(pair.prompt) if pair else f"The run does not hold the texts. Prompt {entry.prompt}.",
        choices=[_text(pair.response_a), _text(pair.response_b)] if pair else ["A", "B"],
        target=entry.label,
        messages=[message for turn in zip(asked, answers, strict=True) for message in turn],
        output=_output(written, answers, usage, shown.model),
        scores={shown.protocol: _score(judged, written, value, shown)},
        metadata={"subset": entry.subset, "item": entry.item, "prompt": entry.prompt,
                  "length_a": entry.length_a, "length_b": entry.length_b},
        model_usage={shown.model: usage},
        uuid=hashlib.sha256(entry.id.encode()).hexdigest()[:22],
    )  # fmt: skip


def _asked(sample: Completion, pair: PreferencePair | None) -> Any:
    from inspect_ai.model import ChatMessageUser

    first, second = pair_side("A", sample.order), pair_side("B", sample.order)
    text = f"Order {sample.order}, vote {sample.vote}: shown first is the pair's {first}, second its {second}."
    if pair:
        responses = (pair.response_a, pair.response_b) if first == "A" else (pair.response_b, pair.response_a)
        named = zip(("Prompt", f"First, {first}", f"Second, {second}"), (pair.prompt, *responses), strict=True)
        text = "\n\n".join([text, *(f"{name}:\n{_text(turns)}" for name, turns in named)])
    return ChatMessageUser(id=f"{sample.request}/asked", content=text)


def _answer(sample: Completion, model: str) -> Any:
    from inspect_ai.model import ChatMessageAssistant

    about = {"order": sample.order, "vote": sample.vote, "prompt_sha256": sample.prompt_sha256}
    return ChatMessageAssistant(id=f"{sample.request}/answered", content=sample.text, model=model, metadata=about)


def _output(written: Sequence[Completion], answers: Sequence[Any], usage: Any, model: str) -> Any:
    from inspect_ai.model import ChatCompletionChoice, ModelOutput

    choices = [
        ChatCompletionChoice(message=answer, stop_reason="max_tokens" if sample.finish_reason == "length" else "stop")
        for sample, answer in zip(written, answers, strict=True)
    ]
    return ModelOutput(model=model, choices=choices, usage=usage)


def _score(judged: Judged, written: Sequence[Completion], value: float | None, shown: JudgePrompt) -> Any:
    from inspect_ai.scorer import Score

    read = [(sample, verdict) for sample, (_, verdict) in zip(written, judged.verdicts, strict=True)]
    sides = [pair_side(verdict.side, sample.order) for sample, verdict in read]
    named = [f"{sample.order} {side or 'none'}" for (sample, _), side in zip(read, sides, strict=True)]
    answer = (sides[0] or "none") if len(set(sides)) == 1 else ", ".join(named)
    lines = [
        f"{sample.order}, vote {sample.vote}: {_said(side, verdict, judged.entry)}"
        for (sample, verdict), side in zip(read, sides, strict=True)
    ]
    if value is None:
        lines.append("left out: another comparison of its item is not judged")
        return Score.unscored(reason="scoring_failed", answer=answer, explanation="\n".join(lines))
    lines.append(f"worth {value:g} by {shown.protocol}: {shown.policy.note}")
    reason = None if any(sides) else "invalid_response_format"
    return Score(value=value, answer=answer, explanation="\n".join(lines), reason=reason)


def _said(side: Side | None, verdict: Verdict, entry: Entry) -> str:
    if side is None:
        return f"no verdict ({verdict.invalid})"
    return f"shown {verdict.side}, which is the pair's {side}: {'right' if side == entry.label else 'wrong'}"


def _text(turns: tuple[Message, ...]) -> str:
    return turns[0].content if len(turns) == 1 else "\n\n".join(f"{turn.role}: {turn.content}" for turn in turns)
