"""The course of a training: what is told, written down, evaluated and saved, and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from transformers import TrainerCallback

from rmr1.training.callbacks import StepCallbacks

if TYPE_CHECKING:
    from rmr1.config import TrainerConfig

StepT = TypeVar("StepT")
HeldT = TypeVar("HeldT")


class Followed(Protocol):
    """A trainer, as far as its course needs it."""

    def report(self, metrics: dict[str, Any]) -> None:
        """Give metrics to the trackers."""

    def agree(self, value: bool) -> bool:
        """What the first of all processes thinks."""
        ...


class TrainingCallback(TrainerCallback, Generic[StepT, HeldT]):
    """Follows a training from step to step.

    Attributes:
        trainer: The trainer that it follows.
        evaluate: Evaluates what is held out after this many steps; None where nothing is.
        interrupted: Set to end after the step under way, with a checkpoint.
        over: Whether the last step is done, so that there is nothing to go on with.
        whole: Only after a multiple of so many steps can a training be saved or end before its last step.
        budget_s: Seconds of steps that are left; the training ends after the step that uses them up. None for no limit.

    Args:
        callbacks: Told of each step.
        record: Writes a line of ``metrics.jsonl``.
        evaluate_after: After which steps to evaluate.
        config: When to save.
        describe: Makes what is told of a step from its number, what the trainer logs of it, and its seconds.
    """

    def __init__(
        self,
        callbacks: StepCallbacks[StepT, HeldT],
        record: Callable[[Mapping[str, Any]], object],
        evaluate_after: frozenset[int],
        config: TrainerConfig,
        describe: Callable[[int, Mapping[str, Any], float], StepT],
    ) -> None:
        self._callbacks = callbacks
        self._record = record
        self._evaluate_after = evaluate_after
        self._save_every_s = config.checkpoint_minutes * 60
        self._save_steps = config.checkpoint_steps
        self._describe = describe
        self._began = self._saved = time.monotonic()
        self._seconds = 0.0
        self._out_of_time = False
        self._due = False
        self.trainer: Followed | None = None
        self.evaluate: Callable[[int], HeldT] | None = None
        self.interrupted = self.over = False
        self.whole = 1
        self.budget_s: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell where the training stands, and evaluate the model as it was."""
        self._callbacks.started(state.max_steps, state.global_step, self.budget_s)
        if state.global_step == 0:
            self._evaluate_now(0)
        self._saved = time.monotonic()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop the clock; decide whether to save. The step itself is told when its loss is known."""
        now = time.monotonic()
        self._seconds = now - self._began
        whole = state.global_step % self.whole == 0
        last = state.global_step >= state.max_steps or (self._spent() and whole)
        due = (self._save_is_due(now, state.global_step) or self.interrupted) and whole and not last
        control.should_save = self.trainer.agree(due) if self.trainer is not None else due
        control.should_training_stop = control.should_training_stop or (self.interrupted and whole) or last
        self.over = last

    def _save_is_due(self, now: float, step: int) -> bool:
        """Whether it is time; a time that comes between two whole steps is remembered."""
        by_time, steps = now - self._saved >= self._save_every_s, self._save_steps
        self._due = self._due or (by_time if steps is None else step % steps == 0)
        return self._due

    def _spent(self) -> bool:
        if self.budget_s is not None:
            self.budget_s -= self._seconds
            out = self.budget_s <= 0
            self._out_of_time = self.trainer.agree(out) if self.trainer is not None else out
        return self._out_of_time

    def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Write down a step, and evaluate where it is time: before the checkpoint, which thus has all that was before it."""
        logs: dict[str, Any] = given["logs"]
        if "loss" not in logs or self.trainer is None:
            return
        step = self._describe(state.global_step, logs, self._seconds)
        self._record({"kind": "step", **fields(step), "seconds": round(self._seconds, 3)})
        self._callbacks.stepped(step)
        if state.global_step in self._evaluate_after or self.over:
            self._evaluate_now(state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin to wait for the next checkpoint."""
        self._saved = time.monotonic()
        self._due = False

    def _evaluate_now(self, step: int) -> None:
        if self.evaluate is None or self.trainer is None:
            return
        held = self.evaluate(step)
        self._record({"kind": "held_out", **fields(held)})
        self._callbacks.evaluated(held)
        self.trainer.report({f"eval_{name}": value for name, value in fields(held).items() if name != "step"})


def fields(values: Any) -> dict[str, Any]:
    """The fields of a slotted dataclass."""
    return {name: getattr(values, name) for name in values.__slots__}
