"""What both stages of training are told: the model, how its weights move, and when they are kept."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_STRICT = ConfigDict(extra="forbid", frozen=True)

Tracker = Literal["tensorboard", "wandb", "trackio"]


class LoraConfig(BaseModel):
    """Low-rank adapters instead of a full fine-tune. The finished model has them merged in."""

    model_config = _STRICT

    rank: Annotated[int, Field(ge=1, description="Rank of the adapters")] = 32
    alpha: Annotated[float, Field(gt=0, description="Scale of the adapters, divided by the rank")] = 64.0
    dropout: Annotated[float, Field(ge=0, lt=1, description="Dropout before the adapters")] = 0.0
    targets: Annotated[str | list[str], Field(description="Modules that get adapters")] = "all-linear"


class TrainerConfig(BaseModel):
    """How a judge is trained, whatever on."""

    model_config = _STRICT

    model: Annotated[
        str, Field(description="A model folder, a GGUF file, a catalogue name, or OWNER/NAME of the hub")
    ] = "smollm2-135m-instruct"
    think: Annotated[
        Literal["auto", "open", "closed"],
        Field(description="Whether the chat template opens a think block before the model's first token"),
    ] = "auto"
    method: Annotated[Literal["full", "lora"], Field(description="Train all weights, or adapters")] = "full"
    lora: LoraConfig = LoraConfig()
    epochs: Annotated[float, Field(gt=0, description="Passes over the data")] = 1.0
    max_steps: Annotated[int | None, Field(ge=1, description="Stop after so many optimiser steps")] = None
    learning_rate: Annotated[float, Field(gt=0, description="Highest learning rate")] = 1e-5
    schedule: Annotated[
        Literal["cosine", "linear", "constant"], Field(description="Course of the learning rate after the warm-up")
    ] = "cosine"
    warmup: Annotated[float, Field(ge=0, lt=1, description="Share of the steps in which the learning rate rises")] = (
        0.03
    )
    weight_decay: Annotated[float, Field(ge=0, description="Decay of AdamW")] = 0.0
    betas: Annotated[tuple[float, float], Field(description="Betas of AdamW")] = (0.9, 0.999)
    max_grad_norm: Annotated[float, Field(ge=0, description="Clip gradients to this norm; 0 does not clip")] = 1.0
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Field(description="auto: bfloat16 where the machine computes faster in it"),
    ] = "auto"
    prefix_sharing: Annotated[
        Literal["auto", "off"],
        Field(description="Compute tokens that rows have in common once, where the model allows it"),
    ] = "auto"
    gradient_checkpointing: Annotated[
        bool | None, Field(description="Less memory, a third more time; on GPUs only where not given")
    ] = None
    seed: Annotated[int, Field(ge=0, description="Seed of the order of examples, of adapters and dropout")] = 0
    threads: Annotated[int | None, Field(ge=1, description="CPU threads; all cores where not given")] = None
    checkpoint_minutes: Annotated[float, Field(gt=0, description="Time between checkpoints")] = 10.0
    checkpoint_steps: Annotated[int | None, Field(ge=1, description="A checkpoint each so many steps instead")] = None
    save_total_limit: Annotated[int, Field(ge=1, description="Checkpoints that are kept")] = 2
    keep_checkpoints: Annotated[bool, Field(description="Keep them when the training is complete")] = False
    report_to: Annotated[list[Tracker], Field(description="Trackers that get the metrics")] = []

    def identity(self) -> dict[str, Any]:
        """The settings that decide the trained weights; the others may change when a run is resumed."""
        without = {
            *("preset", "model", "threads", "checkpoint_minutes", "checkpoint_steps", "save_total_limit"),
            *("keep_checkpoints", "report_to"),
        }
        return self.model_dump(mode="json", exclude=without | ({"lora"} if self.method == "full" else set()))
