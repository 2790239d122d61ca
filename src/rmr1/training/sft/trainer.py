"""TRL's SFT trainer with examples in an order that needs no state, whole checkpoints, and shared beginnings computed once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import SFTConfig as TrlConfig
from trl import SFTTrainer, pack_dataset

from rmr1.config import SftConfig
from rmr1.models.hardware import Hardware
from rmr1.results import SftEvalMetrics, SftStepMetrics
from rmr1.training.adapters import known_warnings, peft_config
from rmr1.training.schedule import example_order
from rmr1.training.sft.traces import IGNORED, Example
from rmr1.training.shared_rows import sharing_unsupported_reason, summed_nll
from rmr1.training.trainer import CheckpointedTrainer, TrainingCallback, shared_arguments


class TraceTrainer(CheckpointedTrainer, SFTTrainer):  # type: ignore[misc]
    """Trains on tokenised traces.

    Args:
        config: How to train.
        order: Rows of the data set for the whole training, all epochs one after the other.
        checkpoints: Where checkpoints go.
        callback: Follows the training.
        arguments: Those of TRL's trainer.
    """

    def __init__(
        self,
        config: SftConfig,
        order: Sequence[int],
        checkpoints: Path,
        callback: TrainingCallback[SftStepMetrics, SftEvalMetrics],
        **arguments: Any,
    ) -> None:
        self.prepare(config, checkpoints)
        self._order = order
        self._tokens = self._supervised = 0
        super().__init__(callbacks=[callback], **arguments)
        self.follow(callback)
        self.sharing_unsupported = (
            "rows are packed"
            if getattr(self.args, "padding_free", False)
            else sharing_unsupported_reason(self.model, config.prefix_sharing)
        )

    def take_token_counts(self) -> tuple[int, int]:
        """Tokens, and the supervised ones among them, since the last call, over all processes."""
        counts = (self._tokens * self.args.world_size, self._supervised * self.args.world_size)
        self._tokens = self._supervised = 0
        return counts

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean loss of a supervised token of the optimiser step; its sum over the micro-batches is the step's loss."""
        self._count(inputs)
        if self.sharing_unsupported or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        with self.compute_loss_context_manager():
            loss = summed_nll(model, inputs, IGNORED)
        if num_items_in_batch is None:
            return loss / (inputs["labels"] != IGNORED).sum().clamp(min=1)
        # Gradients are averaged over processes, and the count is that of all of them.
        return loss * self.accelerator.num_processes / torch.as_tensor(num_items_in_batch).clamp(min=1)

    def _count(self, inputs: dict[str, Any]) -> None:
        mask = inputs.get("attention_mask")
        self._tokens += int(mask.sum()) if mask is not None else inputs["input_ids"].numel()
        self._supervised += int((inputs["labels"] != IGNORED).sum())

    def training_order(self) -> Sequence[int]:
        """The rows of the data set in the order in which they are trained on."""
        return self._order


def build_trainer(
    config: SftConfig,
    hardware: Hardware,
    model: Any,
    tokenizer: Any,
    rows: Rows,
    run: Path,
    callback: TrainingCallback[SftStepMetrics, SftEvalMetrics],
) -> TraceTrainer:
    """Put a trainer together; adapters are added to the model where the configuration asks for them."""
    with known_warnings():
        return TraceTrainer(
            config,
            rows.order,
            run / "checkpoints",
            callback,
            model=model,
            args=trl_arguments(config, hardware, run),
            train_dataset=rows.data,
            processing_class=tokenizer,
            peft_config=peft_config(config),
        )


class Rows:
    """What the trainer reads: one row an example, or several examples a row where they are packed.

    Attributes:
        data: The rows.
        order: In which order they come.
        steps: Optimiser steps of the whole training.
        epoch_steps: Optimiser steps of one pass, as a fraction.
        epochs: Passes of the whole training.
    """

    def __init__(self, examples: Sequence[Example], config: SftConfig, hardware: Hardware) -> None:
        data = Dataset.from_dict(
            {"input_ids": [list(e.tokens) for e in examples], "labels": [e.labels for e in examples]}
        )
        if hardware.packing:
            data = pack_dataset(data, config.max_length, "bfd")
        self.data = data
        order = example_order(
            [len(ids) for ids in data["input_ids"]],
            seed=config.seed,
            epochs=config.epochs,
            batch_size=config.batch_size,
            micro_batch_size=min(config.micro_batch_size, config.batch_size),
            group=not hardware.packing,
        )
        if config.max_steps is not None:
            order = order[: config.max_steps * config.batch_size]
        self.order = order
        self.steps = math.ceil(len(order) / config.batch_size)
        self.epoch_steps = len(data) / config.batch_size
        self.epochs = len(order) / len(data)


def trl_arguments(config: SftConfig, hardware: Hardware, run: Path) -> TrlConfig:
    """The configuration in TRL's terms. Examples that are too long were dropped before, so TRL has nothing to cut."""
    micro = min(config.micro_batch_size, config.batch_size)
    return TrlConfig(
        **shared_arguments(config, hardware, run),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=config.batch_size // (micro * hardware.processes),
        num_train_epochs=1,
        max_length=None,
        packing=False,
        padding_free=hardware.packing,
    )
