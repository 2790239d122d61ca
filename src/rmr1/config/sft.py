"""How to fine-tune a judge on traces (stage 1 of the paper), with two presets.

``paper`` holds the values of the paper (section 3.1 and its appendix on training) as far as they do not depend on the model; the
recipes in ``recipes/sft`` add what does. ``default`` is what is known to be better or what fits smaller machines:

=================  =========  =========  ====================================================================================
key                paper      default    why
=================  =========  =========  ====================================================================================
batch_size         128        32         with 128 examples per step, a small set of traces has too few steps to learn from
max_length         12288      8192       what is longer is dropped, never cut; memory grows with the longest example
packing            on         auto       packs where flash attention keeps examples apart for free; elsewhere groups by length
learning_rate      5e-6       1e-5       fewer, smaller steps (the paper: 5e-6, 3e-6 and 2e-6 for 7B, 14B and 32B)
held_out_share     0          0.05       the released runs have no held-out set, so overfitting goes unseen
=================  =========  =========  ====================================================================================

Equal in both: one epoch, bf16 where the machine has it, cosine schedule, 3 % warm-up, loss on the trace only.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rmr1.config.fields import Flag
from rmr1.config.trainer import TrainerConfig

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


class SftConfig(TrainerConfig):
    """How to fine-tune a judge on traces."""

    preset: Annotated[
        Literal["default", "paper"],
        Field(description="Where the values of keys that are not set come from"),
        Flag("Run"),
    ] = "default"
    template: Annotated[
        str | None,
        Field(description="Prompt template of the traces; that of the run that wrote them if not set"),
        Flag("Data"),
    ] = None
    batch_size: Annotated[
        int, Field(ge=1, description="Examples per optimiser step, over all devices"), Flag("Optimiser")
    ] = 32
    micro_batch_size: Annotated[
        int, Field(ge=1, description="Examples that one device computes at once"), Flag("Machine")
    ] = 4
    max_length: Annotated[
        int,
        Field(ge=16, description="Tokens of prompt and trace; longer examples are dropped, never cut"),
        Flag("Data"),
    ] = 8192
    packing: Annotated[
        Literal["auto", "on", "off"],
        Field(description="Put several examples into one row, kept apart by attention"),
        Flag("Machine"),
    ] = "auto"
    held_out_share: Annotated[
        float, Field(ge=0, lt=1, description="Share of the prompts to hold out"), Flag("Evaluation")
    ] = 0.05
    held_out_most: Annotated[
        int, Field(ge=1, description="Most held-out examples to evaluate on"), Flag("Evaluation")
    ] = 64
    evaluations: Annotated[
        int,
        Field(ge=0, description="Evaluations during training, evenly spaced; one more follows at the end"),
        Flag("Evaluation"),
    ] = 4

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
