"""What every training does around its steps: find the last checkpoint, end gently, save the model, keep the metrics."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rmr1.config import TrainerConfig
from rmr1.models.card import ModelCard
from rmr1.models.hardware import Hardware
from rmr1.models.loading import DType
from rmr1.runs import RunDirectory
from rmr1.training.callback import TrainingCallback
from rmr1.training.callbacks import StepCallbacks
from rmr1.training.checkpointed_trainer import CheckpointedTrainer, known_warnings
from rmr1.training.checkpoints import checkpoint_step, latest_whole
from rmr1.training.interruption import gentle_interruption

METRICS = "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A training in its run.

    Args:
        config: How.
        hardware: On what.
        path: The run's directory.
        run: The same, opened; None in all processes but the first.
        callbacks: Told of progress.
    """

    config: TrainerConfig
    hardware: Hardware
    path: Path
    run: RunDirectory | None
    callbacks: StepCallbacks[Any, Any]

    def weights(self, published: DType) -> DType:
        """The type of the weights: a step of 5e-6 is lost in a bfloat16 weight; weights under adapters take no steps."""
        frozen = self.config.method == "lora" and self.hardware.precision == "bfloat16"
        return published if frozen else "float32"

    def tell_hardware(self) -> None:
        """Say what is trained on what."""
        hardware = self.hardware
        where = f"{hardware.processes} x {hardware.device}" if hardware.processes > 1 else hardware.device
        self.callbacks.say(f"{self.config.method} fine-tune on {where} in {hardware.precision}")

    def train(self, trainer: CheckpointedTrainer, checkpoint: Path | None) -> None:
        """Train from a checkpoint, or from the beginning.

        Raises:
            KeyboardInterrupt: The user interrupted before the last step was done; a checkpoint was written.
        """
        with known_warnings(), self._interruptible(trainer.course):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
        if trainer.course.interrupted and not trainer.course.over:
            raise KeyboardInterrupt

    def find_checkpoint(self) -> tuple[Path | None, int]:
        """The newest whole checkpoint with its step. Metrics of later steps are dropped: they are done again."""
        checkpoint, damaged = latest_whole(self.path / "checkpoints")
        for broken in damaged:
            self.callbacks.say(f"{broken} is damaged and passed over")
        if checkpoint is not None:
            self.callbacks.say(f"resuming from {checkpoint}")
        done = checkpoint_step(checkpoint) if checkpoint is not None else 0
        if self.run is not None:
            kept = [line for line in self.lines() if 0 < done >= line["step"]]
            with self.run.rewrite(METRICS) as add:
                for line in kept:
                    add(line)
        return checkpoint, done

    def record(self, line: Mapping[str, Any]) -> None:
        """Add a line to the metrics."""
        if self.run is not None:
            with self.run.journal(METRICS) as metrics:
                metrics.append(line)

    def lines(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The metrics, or those of a kind."""
        if self.run is None:
            return []
        with self.run.journal(METRICS) as metrics:
            return [line for line in metrics if kind in (None, line["kind"])]

    def save_model(
        self, trainer: CheckpointedTrainer, tokenizer: Any, card: ModelCard, published: DType, *, best: bool = False
    ) -> None:
        """Write the model's folder aside and give it its name when it is whole: ``model``, or ``best`` while training goes on."""
        name = "best" if best else "model"
        target, staging = self.path / name, self.path / f".{name}"
        if self.hardware.rank == 0:
            shutil.rmtree(staging, ignore_errors=True)
        write = trainer.write_copy if best else trainer.write_model
        write(staging, getattr(torch, published))
        if self.hardware.rank:
            return
        tokenizer.save_pretrained(staging)
        card.write(staging)
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)

    def conclude(self, results: Mapping[str, Any]) -> None:
        """Write the results, the last of all, and remove what was needed to resume."""
        if self.run is None:
            return
        self.run.write_json("results.json", results)
        if not self.config.keep_checkpoints:
            shutil.rmtree(self.path / "checkpoints", ignore_errors=True)

    def _interruptible(self, course: TrainingCallback[Any, Any]) -> AbstractContextManager[None]:
        def stop() -> None:
            course.interrupted = True
            self.callbacks.say("ending after this step, with a checkpoint; once more ends at once")

        # Several processes would not stop after the same step.
        return gentle_interruption(stop) if self.hardware.processes == 1 else nullcontext()
