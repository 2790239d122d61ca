"""The course of a training: what is told, written down, evaluated and saved, and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from rmr1.training.listener import Held, SftListener, Step

if TYPE_CHECKING:
    from rmr1.training.trainer import TraceTrainer


class Course(TrainerCallback):
    """Follows a training from step to step.

    Attributes:
        trainer: The trainer that it follows.
        evaluate: Evaluates the held-out traces after this many steps; None where there are none.
        interrupted: Set to end after the step under way, with a checkpoint.

    Args:
        listener: Told of each step.
        record: Writes a line of ``metrics.jsonl``.
        evaluate_after: After which steps the held-out traces are evaluated.
        save_every_s: Seconds between checkpoints.
        save_steps: Steps between checkpoints instead.
        epoch_steps: Optimiser steps of one pass over the traces.
    """

    def __init__(
        self,
        listener: SftListener,
        record: Callable[[Mapping[str, Any]], object],
        evaluate_after: frozenset[int],
        save_every_s: float,
        save_steps: int | None,
        epoch_steps: float,
    ) -> None:
        self._listener = listener
        self._record = record
        self._evaluate_after = evaluate_after
        self._save_every_s = save_every_s
        self._save_steps = save_steps
        self._epoch_steps = epoch_steps
        self._began = self._saved = time.monotonic()
        self._seconds = 0.0
        self.trainer: TraceTrainer | None = None
        self.evaluate: Callable[[int], Held] | None = None
        self.interrupted = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell where the training stands, and evaluate the model as it was."""
        self._listener.started(state.max_steps, state.global_step)
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
        last = state.global_step >= state.max_steps
        by_time, steps = now - self._saved >= self._save_every_s, self._save_steps
        due = by_time if steps is None else state.global_step % steps == 0
        due = (due or self.interrupted) and not last
        control.should_save = self.trainer.agree(due) if self.trainer is not None else due
        control.should_training_stop = control.should_training_stop or self.interrupted

    def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Write down a step, and evaluate where it is time: before the checkpoint, which thus has all that was before it."""
        logs: dict[str, Any] = given["logs"]
        if "loss" not in logs or self.trainer is None:
            return
        tokens, supervised = self.trainer.take_token_counts()
        step = Step(
            step=state.global_step,
            loss=logs["loss"],
            learning_rate=logs["learning_rate"],
            grad_norm=float(logs.get("grad_norm", 0.0)),
            epoch=state.global_step / self._epoch_steps,
            tokens=tokens,
            supervised=supervised,
            seconds=self._seconds,
        )
        self._record({"kind": "step", **_fields(step), "seconds": round(step.seconds, 3)})
        self._listener.stepped(step)
        if state.global_step in self._evaluate_after:
            self._evaluate_now(state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin to wait for the next checkpoint."""
        self._saved = time.monotonic()

    def _evaluate_now(self, step: int) -> None:
        if self.evaluate is None or self.trainer is None:
            return
        held = self.evaluate(step)
        self._record({"kind": "held_out", **_fields(held)})
        self._listener.evaluated(held)
        self.trainer.report({f"eval_{name}": value for name, value in _fields(held).items() if name != "step"})


def _fields(values: Step | Held) -> dict[str, Any]:
    return {name: getattr(values, name) for name in values.__slots__}
