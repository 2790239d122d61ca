"""What the trainers of both stages add to TRL's: reports of steps, evaluations, whole checkpoints, a plain learning rate, and a
model folder at the end.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]
from peft import PeftModel
from transformers import PrinterCallback, Trainer, TrainerCallback

from rmr1.config import TrainerConfig
from rmr1.errors import ConfigError
from rmr1.files import parse_json, read_text
from rmr1.models.hardware import Hardware
from rmr1.models.loading import DType
from rmr1.prefix.transformers_internals import TrainerHooks
from rmr1.results import TrainingMetrics
from rmr1.training.callbacks import StepCallbacks
from rmr1.training.checkpoints import STAGING, commit, remove_old, staging_folder
from rmr1.training.schedule import rate_factor

StepT = TypeVar("StepT", bound=TrainingMetrics)
EvalT = TypeVar("EvalT", bound=TrainingMetrics)


class _Tracked(Protocol):
    """A trainer, as far as its callback needs it."""

    def report(self, metrics: Mapping[str, object]) -> None:
        """Give metrics to the trackers."""

    def agree(self, value: bool) -> bool:
        """What the first of all processes thinks."""
        ...


class TrainingCallback(TrainerCallback, Generic[StepT, EvalT]):
    """Follows a training from step to step, as transformers calls it: records, reports, evaluates, and decides when to save.

    Attributes:
        trainer: The trainer that it follows.
        evaluate: Evaluates what is held out after this many steps; None where nothing is.
        interrupted: Set to end after the step under way, with a checkpoint.
        finished: Whether the last step is done, so that there is nothing to resume.
        steps_together: Only after a multiple of this many steps can a training be saved, or end before its last step.
        budget_s: Seconds of steps that are left; the training ends after the step that uses them up. None for no limit.

    Args:
        callbacks: Receive each step and each evaluation.
        record: Writes a line of ``metrics.jsonl``.
        evaluate_after: After which steps to evaluate.
        config: When to save.
        describe: Makes the metrics of a step from its number, what the trainer logs of it, and its seconds.
    """

    def __init__(
        self,
        callbacks: StepCallbacks[StepT, EvalT],
        record: Callable[[TrainingMetrics], object],
        evaluate_after: frozenset[int],
        config: TrainerConfig,
        describe: Callable[[int, Mapping[str, float], float], StepT],
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
        self.trainer: _Tracked | None = None
        self.evaluate: Callable[[int], EvalT] | None = None
        self.interrupted = self.finished = False
        self.steps_together = 1
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
        """Stop the clock; decide whether to save. The step itself is reported when its loss is known."""
        now = time.monotonic()
        self._seconds = now - self._began
        whole = state.global_step % self.steps_together == 0
        last = state.global_step >= state.max_steps or (self._spent() and whole)
        due = (self._save_is_due(now, state.global_step) or self.interrupted) and whole and not last
        control.should_save = self.trainer.agree(due) if self.trainer is not None else due
        control.should_training_stop = control.should_training_stop or (self.interrupted and whole) or last
        self.finished = last

    def _save_is_due(self, now: float, step: int) -> bool:
        """Whether it is time; a time that comes where a training cannot be saved is remembered."""
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
        """Record a step, and evaluate where it is time: before the checkpoint, which thus has all that was before it."""
        logs: Mapping[str, float] = given["logs"]
        if "loss" not in logs or self.trainer is None:
            return
        step = self._describe(state.global_step, logs, round(self._seconds, 3))
        self._record(step)
        self._callbacks.stepped(step)
        if state.global_step in self._evaluate_after or self.finished:
            self._evaluate_now(state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin to wait for the next checkpoint."""
        self._saved = time.monotonic()
        self._due = False

    def _evaluate_now(self, step: int) -> None:
        if self.evaluate is None or self.trainer is None:
            return
        metrics = self.evaluate(step)
        self._record(metrics)
        self._callbacks.evaluated(metrics)
        names = (field.name for field in fields(metrics) if field.name != "step")
        self.trainer.report({f"eval_{name}": getattr(metrics, name) for name in names})


class CheckpointedTrainer(TrainerHooks, Trainer):
    """Mixed into a trainer of TRL, in front of it."""

    def prepare(self, config: TrainerConfig, checkpoints: Path) -> None:
        """Before TRL's own set-up: where checkpoints go."""
        self._trainer_config = config
        self._checkpoints = checkpoints
        self._staging: Path | None = None

    def follow(self, callback: TrainingCallback[Any, Any]) -> None:
        """After TRL's own set-up: the callback follows, and nothing prints to stdout, which is for data."""
        self.callback = callback
        callback.trainer = self
        self.remove_callback(PrinterCallback)
        if self._trainer_config.method == "lora" and self.sharded:
            raise ConfigError(
                "method lora cannot be merged from a sharded model; launch plain data parallel processes, or use method full"
            )

    @property
    def sharded(self) -> bool:
        """Whether no process holds the whole model."""
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)

    def report(self, metrics: Mapping[str, object]) -> None:
        """Give metrics to the trackers, such as TensorBoard."""
        known: dict[str, Any] = {name: value for name, value in metrics.items() if value is not None}
        self.log(known)

    def agree(self, value: bool) -> bool:
        """What the first process thinks: clocks differ, and all processes have to save together."""
        if self.accelerator.num_processes == 1:
            return value
        values = [value]
        broadcast_object_list(values)
        return values[0]

    def write_model(self, folder: Path, dtype: DType) -> None:
        """Write the trained model, adapters merged in, in the type of its base. With several processes, all have to call it."""
        if self.sharded:
            self.save_model(str(folder))
            return
        if not self.args.should_save:
            return
        model = self.accelerator.unwrap_model(self.model)
        if isinstance(model, PeftModel):
            model.save_pretrained(folder.parent / "adapter")
            model = model.merge_and_unload()
        model.config.use_cache = True
        model.to(getattr(torch, dtype)).save_pretrained(folder)

    def write_copy(self, folder: Path, dtype: DType) -> None:
        """Write the model as it is now, in a type, without touching it; of adapters, the adapters alone, see ``merge_adapters``."""
        if self.sharded:
            self.save_model(str(folder))
            return
        if not self.args.should_save:
            return
        model = self.accelerator.unwrap_model(self.model)
        if isinstance(model, PeftModel):
            model.save_pretrained(folder)
            return
        casts: dict[int, torch.Tensor] = {}  # tied weights stay tied
        state = {
            name: casts.setdefault(value.data_ptr(), value.to(getattr(torch, dtype)))
            for name, value in model.state_dict().items()
        }
        model.save_pretrained(folder, state_dict=state)
        settings = parse_json(read_text(folder / "config.json"), finite=False)
        settings |= {"dtype": dtype, "use_cache": True}
        (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule of the learning rate; unlike that of transformers, its first step is not lost to a rate of 0."""
        schedule = self._trainer_config.schedule
        warmup = math.ceil(self._trainer_config.warmup * num_training_steps)
        stepping: Any = optimizer or self.optimizer
        self.lr_scheduler: Any = torch.optim.lr_scheduler.LambdaLR(
            stepping, lambda step: rate_factor(step, num_training_steps, warmup, schedule)
        )
        self.keep_scheduler()
        return self.lr_scheduler

    def checkpoint_folder(self) -> Path:
        """Where transformers writes and looks for checkpoints."""
        return self._staging or self._checkpoints

    def save_checkpoint(self, write: Callable[[], None]) -> None:
        """Write a checkpoint aside and give it its name once it is whole."""
        self._staging = self._checkpoints / STAGING
        if self.args.should_save:
            staging_folder(self._checkpoints)
        self.accelerator.wait_for_everyone()
        try:
            write()
        finally:
            staging, self._staging = self._staging, None
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            commit(staging / f"checkpoint-{self.state.global_step}", self._checkpoints)
            remove_old(self._checkpoints, self._trainer_config.save_total_limit)
        self.accelerator.wait_for_everyone()


def shared_arguments(config: TrainerConfig, hardware: Hardware, run: Path) -> dict[str, Any]:
    """The arguments that TRL's trainers of both stages get alike."""
    return {
        "output_dir": str(run),
        "run_name": run.name,
        "learning_rate": config.learning_rate,
        "weight_decay": config.weight_decay,
        "adam_beta1": config.betas[0],
        "adam_beta2": config.betas[1],
        "max_grad_norm": config.max_grad_norm,
        "optim": "adamw_torch_fused",
        "bf16": hardware.precision == "bfloat16",
        "use_cpu": hardware.device == "cpu",
        "activation_checkpointing": hardware.gradient_checkpointing,
        "seed": config.seed,
        "data_seed": config.seed,
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": hardware.device == "cuda",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": list(config.report_to),
        "disable_tqdm": True,
    }
