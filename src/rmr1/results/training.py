"""What the steps, the evaluations on the way and the stages of a training conclude."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeVar

from rmr1.results.base import Results, read_plain
from rmr1.results.judging import JudgeResults, SplitCounts


@dataclass(frozen=True, slots=True)
class TrainingMetrics:
    """A line of ``metrics.jsonl``: a step of a training, or an evaluation on the way. All have the number of the step."""

    kind: ClassVar[Literal["step", "held_out"]]

    step: int

    def to_json(self) -> dict[str, Any]:
        """The line."""
        return {"kind": self.kind, **asdict(self)}


MetricsT = TypeVar("MetricsT", bound=TrainingMetrics)


def read_metrics(lines: Iterable[Mapping[str, Any]], kind: type[MetricsT]) -> list[MetricsT]:
    """The metrics of one kind, of the lines of ``metrics.jsonl``; lines of the other kind are passed over.

    Raises:
        ResultsError: A line of this kind lacks a value, or has a wrong one.
    """
    hint = "the file is damaged or of another version: train in a new --run"
    return [read_plain(kind, line, "metrics.jsonl", hint) for line in lines if line.get("kind") == kind.kind]


@dataclass(frozen=True, slots=True)
class SftStepMetrics(TrainingMetrics):
    """One optimiser step of stage 1.

    Args:
        step: Its number, from 1.
        loss: Mean negative log-likelihood of a supervised token of the step, in nats.
        learning_rate: The one that it used.
        grad_norm: Norm of the gradient before clipping.
        epoch: Passes over the traces so far.
        tokens: Tokens of the step, prompts included, padding not.
        supervised: Tokens of the step that the loss is on.
        seconds: Time of the step.
    """

    kind: ClassVar[Literal["step", "held_out"]] = "step"

    loss: float
    learning_rate: float
    grad_norm: float
    epoch: float
    tokens: int
    supervised: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SftEvalMetrics(TrainingMetrics):
    """One evaluation on the held-out traces, teacher-forced.

    Args:
        step: Optimiser steps so far; 0 is the model before training.
        loss: Mean negative log-likelihood of a supervised token, in nats.
        accuracy: Share of the traces where the letter of the label is likelier than the other one at the verdict; None where no
            trace has a verdict that can be located.
        p_gold: Mean probability of the label's letter against the other one.
        traces: How many traces were evaluated.
        verdicts: How many of them have a located verdict.
    """

    kind: ClassVar[Literal["step", "held_out"]] = "held_out"

    loss: float
    accuracy: float | None
    p_gold: float | None
    traces: int
    verdicts: int


@dataclass(frozen=True, slots=True)
class RlStepMetrics(TrainingMetrics):
    """One optimiser step of stage 2. Shares are of the rollouts of the step unless they say otherwise.

    Args:
        step: Its number, from 1.
        loss: The loss. Its value says little; training follows its gradient.
        learning_rate: The one that it used.
        grad_norm: Norm of the gradient before clipping.
        epoch: Passes over the pairs so far.
        reward: Mean reward, between -1 and 1.
        accuracy: Share with the right verdict.
        position_consistency: Chance that a rollout of one order and one of the other prefer the same response; None where each pair
            is shown in one order.
        invalid: Share without a valid verdict.
        invalid_by_reason: The same by reason.
        zero_variance: Share of the groups whose rewards are all equal.
        truncated: Share that was cut.
        computed: Share of the rollouts that went through the forward and backward pass.
        completion_tokens: Mean length of a rollout.
        entropy: Mean entropy of a written token, in nats.
        kl: Mean divergence from the model before RL, per token; None where it is off.
        clipped: Share of the tokens whose ratio was clipped.
        tokens: Tokens of the rollouts and their prompts, each counted once for each rollout.
        seconds: Time of the step.
        seconds_rollout: Of it, for writing; 0 where the step used rollouts of an earlier one.
        seconds_update: Of it, for everything else: log-probabilities, gradients, the optimiser.
    """

    kind: ClassVar[Literal["step", "held_out"]] = "step"

    loss: float
    learning_rate: float
    grad_norm: float
    epoch: float
    reward: float
    accuracy: float
    position_consistency: float | None
    invalid: float
    invalid_by_reason: Mapping[str, float]
    zero_variance: float
    truncated: float
    computed: float
    completion_tokens: float
    entropy: float
    kl: float | None
    clipped: float
    tokens: int
    seconds: float
    seconds_rollout: float
    seconds_update: float


@dataclass(frozen=True, slots=True)
class RlEvalMetrics(TrainingMetrics):
    """One evaluation on held-out pairs: each is judged once in each order, greedily.

    Args:
        step: Optimiser steps so far; 0 is the model before RL.
        accuracy: Share of the pairs that are judged right in both orders; invalid verdicts count as wrong.
        vote_accuracy: Share of single completions that are right.
        position_consistency: Share of the pairs, of those with two valid verdicts, where both prefer the same response; None where
            there is none.
        invalid: Share of completions without a valid verdict.
        completion_tokens: Mean length of a completion.
        pairs: How many pairs were judged.
    """

    kind: ClassVar[Literal["step", "held_out"]] = "held_out"

    accuracy: float
    vote_accuracy: float
    position_consistency: float | None
    invalid: float
    completion_tokens: float
    pairs: int


@dataclass(frozen=True, slots=True)
class SftResults(Results):
    """What stage 1 concludes; evaluations are on the held-out traces, None where nothing was held out."""

    kind: ClassVar[str] = "sft"

    steps: int
    epochs: float
    traces: int
    dropped_too_long: int
    held_out: int
    held_out_dropped_too_long: int
    tokens: int
    supervised_tokens: int
    first_loss: float
    last_loss: float
    held_out_before: SftEvalMetrics | None
    held_out_after: SftEvalMetrics | None
    precision: str


@dataclass(frozen=True, slots=True)
class RlResults(Results):
    """What stage 2 concludes; evaluations are on the held-out pairs, None where nothing was held out."""

    kind: ClassVar[str] = "rl"

    steps: int
    pairs: int
    dropped_too_long: int
    held_out: int
    rollouts: int
    first_reward: float
    last_reward: float
    seconds_rollout: float
    seconds_update: float
    held_out_before: RlEvalMetrics | None
    held_out_after: RlEvalMetrics | None
    held_out_best: RlEvalMetrics | None
    precision: str


@dataclass(frozen=True, slots=True)
class TrainResults(Results):
    """What a whole training concludes: each evaluation of the judge by its name, each stage, and the splits of its data."""

    kind: ClassVar[str] = "train"

    evaluations: Mapping[str, JudgeResults]
    sft: SftResults | None
    rl: RlResults | None
    splits: Mapping[str, SplitCounts]
