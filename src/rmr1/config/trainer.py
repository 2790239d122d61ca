"""Settings shared by SFT and RL: the model, the optimiser, checkpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rmr1.config.fields import Flag

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

Tracker = Literal["tensorboard", "wandb", "trackio"]


class LoraConfig(BaseModel):
    """Low-rank adapters instead of a full fine-tune. The finished model has them merged in."""

    model_config = _STRICT

    rank: Annotated[int, Field(ge=1, description="Rank of the adapters")] = 32
    alpha: Annotated[float, Field(gt=0, description="Scale of the adapters; divided by the rank")] = 64.0
    dropout: Annotated[float, Field(ge=0, lt=1, description="Dropout before the adapters")] = 0.0
    targets: Annotated[str | list[str], Field(description="Modules that get adapters")] = "all-linear"


class TrainerConfig(BaseModel):
    """Settings shared by SFT and RL."""

    model_config = _STRICT

    model: Annotated[
        str,
        Field(
            description="Model to train: a folder, a run of sft or rl, a GGUF file, a catalogue name, or OWNER/NAME on the hub"
        ),
        Flag("Model"),
    ] = "smollm2-135m-instruct"
    think: Annotated[
        Literal["auto", "open", "closed"],
        Field(
            description="Whether the chat template opens a think block before the model's first token; "
            "auto: look. Anything else is checked against it"
        ),
        Flag("Model"),
    ] = "auto"
    method: Annotated[Literal["full", "lora"], Field(description="Train all weights, or adapters"), Flag("Model")] = (
        "full"
    )
    lora: Annotated[LoraConfig, Flag("Model")] = LoraConfig()
    epochs: Annotated[float, Field(gt=0, description="Passes over the data"), Flag("Optimiser")] = 1.0
    max_steps: Annotated[
        int | None, Field(ge=1, description="Stop after this many optimiser steps"), Flag("Optimiser")
    ] = None
    learning_rate: Annotated[float, Field(gt=0, description="Highest learning rate"), Flag("Optimiser")] = 1e-5
    schedule: Annotated[
        Literal["cosine", "linear", "constant"],
        Field(description="How the learning rate falls after the warm-up"),
        Flag("Optimiser"),
    ] = "cosine"
    warmup: Annotated[
        float, Field(ge=0, lt=1, description="Share of the steps over which the learning rate rises"), Flag("Optimiser")
    ] = 0.03
    weight_decay: Annotated[float, Field(ge=0, description="Weight decay of AdamW"), Flag("Optimiser")] = 0.0
    betas: Annotated[tuple[float, float], Field(description="Betas of AdamW"), Flag("Optimiser")] = (0.9, 0.999)
    max_grad_norm: Annotated[
        float, Field(ge=0, description="Clip gradients to this norm; 0 does not clip"), Flag("Optimiser")
    ] = 1.0
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Field(description="Precision of matrix products; auto: bfloat16 if this machine is faster with it"),
        Flag("Machine"),
    ] = "auto"
    prefix_sharing: Annotated[
        Literal["auto", "off"],
        Field(description="Compute tokens that rows share only once; auto: if the model allows it"),
        Flag("Machine"),
    ] = "auto"
    gradient_checkpointing: Annotated[
        bool | None,
        Field(description="Recompute activations: less memory, a third more time; if not set, on GPUs only"),
        Flag("Machine"),
    ] = None
    seed: Annotated[
        int, Field(ge=0, description="Seed of the order of the data, of adapters and of dropout"), Flag("Optimiser")
    ] = 0
    threads: Annotated[int | None, Field(ge=1, description="CPU threads; all cores if not set"), Flag("Machine")] = None
    checkpoint_minutes: Annotated[
        float, Field(gt=0, description="Minutes between checkpoints"), Flag("Checkpoints")
    ] = 10.0
    checkpoint_steps: Annotated[
        int | None,
        Field(ge=1, description="Write a checkpoint every this many steps, not by time"),
        Flag("Checkpoints"),
    ] = None
    save_total_limit: Annotated[int, Field(ge=1, description="Checkpoints to keep"), Flag("Checkpoints")] = 2
    keep_checkpoints: Annotated[
        bool, Field(description="Keep the checkpoints when the training is complete"), Flag("Checkpoints")
    ] = False
    report_to: Annotated[
        list[Tracker], Field(description="Experiment trackers that get the metrics"), Flag("Tracking")
    ] = []

    def identity(self) -> dict[str, object]:
        """The settings that decide the trained weights; the others may change when a run is resumed."""
        without = {
            *("preset", "model", "threads", "checkpoint_minutes", "checkpoint_steps", "save_total_limit"),
            *("keep_checkpoints", "report_to"),
        }
        return self.model_dump(mode="json", exclude=without | ({"lora"} if self.method == "full" else set()))
