"""How to fine-tune a judge on traces (stage 1 of the paper), with two presets.

``paper`` holds the values of the paper (section 3.1 and its appendix on training) as far as they do not depend on the model; the
recipes in ``recipes/sft`` add what does. ``default`` is what is known to be better or what fits smaller machines:

=================  =========  =========  ====================================================================================
key                paper      default    why
=================  =========  =========  ====================================================================================
batch_size         128        32         128 examples a step leave a small set of traces with too few steps to learn from
max_length         12288      8192       what is longer is dropped, never cut; memory grows with the longest example
packing            on         auto       packs where flash attention keeps examples apart for free; elsewhere groups by length
learning_rate      5e-6       1e-5       fewer, smaller steps (the paper: 5e-6, 3e-6 and 2e-6 for 7B, 14B and 32B)
held_out_share     0          0.05       the released runs have no held-out set, so overfitting goes unseen
=================  =========  =========  ====================================================================================

Equal in both: one epoch, bf16 where the machine has it, cosine schedule, 3 % warm-up, loss on the trace only.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_STRICT = ConfigDict(extra="forbid", frozen=True)

Tracker = Literal["tensorboard", "wandb", "trackio"]

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "batch_size": 128,
        "max_length": 12288,
        "packing": "on",
        "learning_rate": 5e-6,
        "held_out_share": 0.0,
    },
}
"""What each preset sets; keys that are given win over it."""


class LoraConfig(BaseModel):
    """Low-rank adapters instead of a full fine-tune. The finished model has them merged in."""

    model_config = _STRICT

    rank: Annotated[int, Field(ge=1, description="Rank of the adapters")] = 32
    alpha: Annotated[float, Field(gt=0, description="Scale of the adapters, divided by the rank")] = 64.0
    dropout: Annotated[float, Field(ge=0, lt=1, description="Dropout before the adapters")] = 0.0
    targets: Annotated[str | list[str], Field(description="Modules that get adapters")] = "all-linear"


class SftConfig(BaseModel):
    """How to fine-tune a judge on traces."""

    model_config = _STRICT

    preset: Annotated[Literal["default", "paper"], Field(description="Where keys that are not given come from")] = (
        "default"
    )
    model: Annotated[
        str, Field(description="A model folder, a GGUF file, a catalogue name, or OWNER/NAME of the hub")
    ] = "smollm2-135m-instruct"
    template: Annotated[
        str | None, Field(description="Prompt template of the traces; that of the run which wrote them where not given")
    ] = None
    think: Annotated[
        Literal["auto", "open", "closed"],
        Field(description="Whether the chat template opens a think block before the model's first token"),
    ] = "auto"
    method: Annotated[Literal["full", "lora"], Field(description="Train all weights, or adapters")] = "full"
    lora: LoraConfig = LoraConfig()
    epochs: Annotated[float, Field(gt=0, description="Passes over the traces")] = 1.0
    max_steps: Annotated[int | None, Field(ge=1, description="Stop after so many optimiser steps")] = None
    batch_size: Annotated[int, Field(ge=1, description="Examples of one optimiser step, over all devices")] = 32
    micro_batch_size: Annotated[int, Field(ge=1, description="Examples that one device computes at once")] = 4
    max_length: Annotated[int, Field(ge=16, description="Tokens of prompt and trace; longer examples are dropped")] = (
        8192
    )
    packing: Annotated[
        Literal["auto", "on", "off"], Field(description="Several examples in one row, kept apart by attention")
    ] = "auto"
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
    gradient_checkpointing: Annotated[
        bool | None, Field(description="Less memory, a third more time; on GPUs only where not given")
    ] = None
    seed: Annotated[int, Field(ge=0, description="Seed of the order of examples, of adapters and dropout")] = 0
    threads: Annotated[int | None, Field(ge=1, description="CPU threads; all cores where not given")] = None
    held_out_share: Annotated[float, Field(ge=0, lt=1, description="Share of the prompts that are held out")] = 0.05
    held_out_most: Annotated[int, Field(ge=1, description="Held-out examples that are evaluated")] = 64
    evaluations: Annotated[
        int, Field(ge=0, description="Evaluations on the way, evenly spaced; one more at the end")
    ] = 4
    checkpoint_minutes: Annotated[float, Field(gt=0, description="Time between checkpoints")] = 10.0
    checkpoint_steps: Annotated[int | None, Field(ge=1, description="A checkpoint each so many steps instead")] = None
    save_total_limit: Annotated[int, Field(ge=1, description="Checkpoints that are kept")] = 2
    keep_checkpoints: Annotated[bool, Field(description="Keep them when the training is complete")] = False
    report_to: Annotated[list[Tracker], Field(description="Trackers that get the metrics")] = []

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {**PRESETS.get(values.get("preset", "default"), {}), **values}

    @model_validator(mode="after")
    def _micro_batches_fit(self) -> SftConfig:
        if self.batch_size % self.micro_batch_size and self.batch_size > self.micro_batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of micro_batch_size {self.micro_batch_size}; change one"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """The settings that decide the trained weights; the others may change when a run is resumed."""
        without = {
            *("preset", "model", "threads", "checkpoint_minutes", "checkpoint_steps", "save_total_limit"),
            *("keep_checkpoints", "report_to"),
        }
        return self.model_dump(mode="json", exclude=without | ({"lora"} if self.method == "full" else set()))
