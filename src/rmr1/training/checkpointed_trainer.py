"""What the trainers of both stages add to TRL's: whole checkpoints, a plain learning rate, and a model folder at the end."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]
from transformers import PrinterCallback, Trainer

from rmr1.config import TrainerConfig
from rmr1.errors import ConfigError
from rmr1.models.hardware import Hardware
from rmr1.models.loading import DType, load_causal_lm
from rmr1.training.checkpoints import commit, remove_old, staging_folder
from rmr1.training.schedule import rate_factor

if TYPE_CHECKING:
    from rmr1.training.callback import TrainingCallback


class CheckpointedTrainer(Trainer):
    """Mixed into a trainer of TRL, in front of it.

    ``_save_checkpoint``, ``_get_output_dir`` and ``_created_lr_scheduler`` belong to transformers; a contract test guards them.
    """

    def prepare(self, config: TrainerConfig, checkpoints: Path) -> None:
        """Before TRL's own beginning: where checkpoints go."""
        self._keeping = config
        self._checkpoints = checkpoints
        self._staging: Path | None = None

    def follow(self, course: TrainingCallback[Any, Any]) -> None:
        """After TRL's own beginning: who is told, and nobody prints to stdout, which is for data."""
        self.course = course
        course.trainer = self
        self.remove_callback(PrinterCallback)
        if self._keeping.method == "lora" and self.sharded:
            raise ConfigError(
                "method lora cannot be merged from a sharded model; launch plain data parallel processes, or use method full"
            )

    @property
    def sharded(self) -> bool:
        """Whether no process holds the whole model."""
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)

    def report(self, metrics: dict[str, Any]) -> None:
        """Give metrics to the trackers, such as TensorBoard."""
        self.log({name: value for name, value in metrics.items() if value is not None})

    def agree(self, value: bool) -> bool:
        """What the first process thinks: clocks differ, and all processes have to save together."""
        if self.accelerator.num_processes == 1:
            return value
        values = [value]
        broadcast_object_list(values)
        return values[0]

    def write_model(self, folder: Path, dtype: torch.dtype) -> None:
        """Write the trained model, adapters merged in, in the type of its base. With several processes, all have to call it."""
        if self.sharded:
            self.save_model(str(folder))
            return
        if not self.args.should_save:
            return
        model = self.accelerator.unwrap_model(self.model)
        if hasattr(model, "merge_and_unload"):
            model.save_pretrained(folder.parent / "adapter")
            model = model.merge_and_unload()
        model.config.use_cache = True
        model.to(dtype).save_pretrained(folder)

    def write_copy(self, folder: Path, dtype: torch.dtype) -> None:
        """Write the model as it is now, in a type, without touching it; of adapters, the adapters alone, see ``merge_adapters``."""
        if self.sharded:
            self.save_model(str(folder))
            return
        if not self.args.should_save:
            return
        model = self.accelerator.unwrap_model(self.model)
        if hasattr(model, "merge_and_unload"):
            model.save_pretrained(folder)
            return
        casts: dict[int, torch.Tensor] = {}  # tied weights stay tied
        state = {
            name: casts.setdefault(value.data_ptr(), value.to(dtype)) for name, value in model.state_dict().items()
        }
        model.save_pretrained(folder, state_dict=state)
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        settings |= {"dtype": str(dtype).removeprefix("torch."), "use_cache": True}
        (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The course of the learning rate; unlike that of transformers, its first step is not lost to a rate of 0."""
        schedule = self._keeping.schedule
        warmup = math.ceil(self._keeping.warmup * num_training_steps)
        stepping: Any = optimizer or self.optimizer
        self.lr_scheduler: Any = torch.optim.lr_scheduler.LambdaLR(
            stepping, lambda step: rate_factor(step, num_training_steps, warmup, schedule)
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging or self._checkpoints)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint aside and give it its name when it is whole. TRL's model card in each is left out."""
        self._staging = self._checkpoints / ".writing"
        if self.args.should_save:
            staging_folder(self._checkpoints)
        self.accelerator.wait_for_everyone()
        try:
            Trainer._save_checkpoint(self, model, trial)
        finally:
            staging, self._staging = self._staging, None
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            commit(staging / f"checkpoint-{self.state.global_step}", self._checkpoints)
            remove_old(self._checkpoints, self._keeping.save_total_limit)
        self.accelerator.wait_for_everyone()


@contextmanager
def known_warnings() -> Iterator[None]:
    """Leave out what peft and TRL do not mend yet: they ask a model for a name that it had until transformers 5."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        yield


def shared_arguments(config: TrainerConfig, hardware: Hardware, run: Path) -> dict[str, Any]:
    """What TRL's trainers of both stages are told alike."""
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


def adapters(config: TrainerConfig) -> Any:
    """The configuration of adapters in peft's terms; None for a full fine-tune."""
    if config.method == "full":
        return None
    from peft import LoraConfig

    lora = config.lora
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        task_type="CAUSAL_LM",
    )


def merge_adapters(folder: Path, base: Path, dtype: str) -> None:
    """Turn a folder that holds adapters into one that holds the model with them merged in; any other folder is left alone.

    May end anywhere and be called again: adapters go when the model is there, and what says that there are some goes first.
    """
    if (folder / "adapter_config.json").is_file():
        from peft import PeftModel

        model, _ = load_causal_lm(str(base), dtype=cast("DType", dtype))
        merged: Any = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
        merged.save_pretrained(folder)
    for file in sorted(folder.glob("adapter_*")):
        file.unlink()
