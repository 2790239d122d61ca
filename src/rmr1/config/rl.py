"""How to train a judge by reinforcement learning with a correctness reward (stage 2 of the paper), with two presets.

``paper`` holds the values of the paper (section 3.3 and its appendix on training) as far as they do not depend on the model; the
recipes in ``recipes/train`` add what does. ``default`` is what is known to be better or what fits smaller machines:

==================  =============  ============  ===========================================================================
key                 paper          default       why
==================  =============  ============  ===========================================================================
orders              random         both          a judge that is right in one order only is not right
group               comparison     pair          one baseline for both orders, so that favouring a side does not pay
rollouts            7              4             of each order; a group of both orders then has 8
pairs_per_step      128            16            smaller machines take more and smaller steps
steps_per_rollout   8              1             every step is on policy, so that nothing is clipped
loss                sequence-mean  token-mean    a long and a short rollout count by their tokens; independent of micro-batches
skip_zero_variance  false          true          a group with equal rewards has no gradient
mask_truncated      false          true          a rollout that was cut says little about its reasoning
kl                  1e-3           0             the reference costs a forward pass of every token; the correctness reward holds
unbiased_kl         false          true          with the policy ratio as weight, the gradient is that of the KL divergence
max_tokens          8192           1024          small models write short completions
evaluations         0              4             the released runs have no held-out set
held_out_share      0              0.05          the same
==================  =============  ============  ===========================================================================

Equal in both: reward +1 for the right verdict and -1 for any other text, advantages divided by the standard deviation of their
group, clip 0.2, no entropy bonus, temperature 1, top-p 1, one epoch, constant learning rate without warm-up, gradient clip 1.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmr1.config.fields import Flag
from rmr1.config.judge import OrderPolicy
from rmr1.config.trainer import TrainerConfig

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "orders": "random",
        "group": "comparison",
        "rollouts": 7,
        "pairs_per_step": 128,
        "steps_per_rollout": 8,
        "loss": "sequence-mean",
        "skip_zero_variance": False,
        "mask_truncated": False,
        "kl": 1e-3,
        "unbiased_kl": False,
        "max_tokens": 8192,
        "evaluations": 0,
        "held_out_share": 0.0,
    },
}
"""What each preset sets; keys that are given win over it."""


class VllmConfig(BaseModel):
    """How vLLM generates the rollouts, if ``rollout_backend`` is vllm. TRL corrects for its different probabilities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    mode: Annotated[
        Literal["colocate", "server"], Field(description="In the trainer's processes, or as a server (trl vllm-serve)")
    ] = "colocate"
    memory: Annotated[float, Field(gt=0, lt=1, description="Share of the GPU memory that a colocated vLLM takes")] = 0.3
    sleep: Annotated[
        bool | None,
        Field(description="Let a colocated vLLM free its memory while weights are trained; if not set, on GPUs only"),
    ] = None
    tensor_parallel: Annotated[int, Field(ge=1, description="GPUs over which a colocated vLLM spreads the model")] = 1
    host: Annotated[str, Field(description="Host of the vLLM server")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="Port of the vLLM server")] = 8000
    timeout_s: Annotated[float, Field(gt=0, description="Seconds to wait for the vLLM server")] = 240.0


class RlConfig(TrainerConfig):
    """How to train a judge with group-relative policy optimisation (GRPO)."""

    preset: Annotated[
        Literal["default", "paper"],
        Field(description="Where the values of keys that are not set come from"),
        Flag("Run"),
    ] = "default"
    template: Annotated[
        str | None, Field(description="Prompt template; the model's own, else cor, if not set"), Flag("Data")
    ] = None
    fence: Annotated[
        bool, Field(description="Disarm text in the responses that looks like the prompt's own marks"), Flag("Data")
    ] = True
    system_role: Annotated[
        Literal["system", "merge"],
        Field(description="merge puts the system part at the head of the user message"),
        Flag("Data"),
    ] = "system"
    orders: Annotated[
        OrderPolicy, Field(description="Orders in which the judge sees the two responses of a pair"), Flag("Data")
    ] = "both"
    group: Annotated[
        Literal["pair", "comparison"],
        Field(description="Rollouts that share a baseline: those of a pair, or those of one order of it"),
        Flag("Loss"),
    ] = "pair"
    rollouts: Annotated[int, Field(ge=2, description="Rollouts per comparison"), Flag("Rollouts")] = 4
    pairs_per_step: Annotated[
        int, Field(ge=1, description="Pairs per optimiser step, over all devices"), Flag("Rollouts")
    ] = 16
    steps_per_rollout: Annotated[
        int, Field(ge=1, description="Optimiser steps on the rollouts of one policy"), Flag("Rollouts")
    ] = 1
    micro_batch_size: Annotated[
        int, Field(ge=1, description="Rollouts that one device computes at once"), Flag("Machine")
    ] = 8
    max_prompt_tokens: Annotated[
        int, Field(ge=16, description="Longest prompt; pairs with a longer one are dropped, never cut"), Flag("Data")
    ] = 4096
    max_tokens: Annotated[
        int, Field(ge=1, description="Longest completion, in tokens; longer ones are cut"), Flag("Rollouts")
    ] = 1024
    temperature: Annotated[float, Field(gt=0, description="Sampling temperature of the rollouts"), Flag("Rollouts")] = (
        1.0
    )
    top_p: Annotated[
        float, Field(gt=0, le=1, description="Probability mass to sample from (nucleus sampling)"), Flag("Rollouts")
    ] = 1.0
    loss: Annotated[
        Literal["token-mean", "sequence-mean"],
        Field(description="Mean over all tokens of a step, or over each rollout's tokens and then over rollouts"),
        Flag("Loss"),
    ] = "token-mean"
    normalise: Annotated[
        bool, Field(description="Divide advantages by the standard deviation of their group"), Flag("Loss")
    ] = True
    clip: Annotated[float, Field(gt=0, lt=1, description="Clip policy ratios below 1 - clip"), Flag("Loss")] = 0.2
    clip_high: Annotated[
        float | None,
        Field(gt=0, description="Clip policy ratios above 1 + clip_high; as clip if not set"),
        Flag("Loss"),
    ] = None
    kl: Annotated[
        float, Field(ge=0, description="Weight of the KL divergence from the model before RL; 0 is off"), Flag("Loss")
    ] = 0.0
    unbiased_kl: Annotated[
        bool,
        Field(description="Weigh the estimated KL divergence by the policy ratio; false is the plain k3 estimator"),
        Flag("Loss"),
    ] = True
    skip_zero_variance: Annotated[
        bool,
        Field(description="Skip groups whose rewards are all equal in the forward and backward pass"),
        Flag("Loss"),
    ] = True
    mask_truncated: Annotated[bool, Field(description="Learn nothing from completions that were cut"), Flag("Loss")] = (
        True
    )
    learning_rate: Annotated[float, Field(gt=0, description="Highest learning rate"), Flag("Optimiser")] = 1e-6
    schedule: Annotated[
        Literal["cosine", "linear", "constant"],
        Field(description="How the learning rate falls after the warm-up"),
        Flag("Optimiser"),
    ] = "constant"
    warmup: Annotated[
        float, Field(ge=0, lt=1, description="Share of the steps over which the learning rate rises"), Flag("Optimiser")
    ] = 0.0
    max_minutes: Annotated[
        float | None,
        Field(gt=0, description="Stop after the step that ends past this many minutes of training steps"),
        Flag("Optimiser"),
    ] = None
    rollout_backend: Annotated[
        Literal["batch", "generate", "vllm"],
        Field(description="What generates the rollouts: our batched decoding, generate of transformers, or vLLM"),
        Flag("Rollouts"),
    ] = "batch"
    slots: Annotated[
        int, Field(ge=1, description="Rollouts that our batched decoding generates at once"), Flag("Rollouts")
    ] = 32
    vllm: Annotated[VllmConfig, Flag("vLLM")] = VllmConfig()
    held_out_share: Annotated[
        float, Field(ge=0, lt=1, description="Share of the prompts to hold out"), Flag("Evaluation")
    ] = 0.05
    held_out_most: Annotated[int, Field(ge=1, description="Most held-out pairs to judge"), Flag("Evaluation")] = 64
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
    def _fits_together(self) -> RlConfig:
        if self.skip_zero_variance and self.loss == "sequence-mean":
            raise ValueError(
                "skip_zero_variance needs loss token-mean: a mean over rollouts would change with the rollouts that are left out"
            )
        rows = self.rows_per_step
        if rows % self.micro_batch_size and rows > self.micro_batch_size:
            raise ValueError(
                f"micro_batch_size {self.micro_batch_size} does not divide the {rows} rollouts of a step "
                f"({self.pairs_per_step} pairs, {self.comparisons_per_pair} shown order(s), {self.rollouts} rollouts); change it"
            )
        return self

    @property
    def comparisons_per_pair(self) -> int:
        """In how many orders a pair is shown."""
        return 2 if self.orders == "both" else 1

    @property
    def group_size(self) -> int:
        """Rollouts that share a baseline."""
        return self.rollouts * (self.comparisons_per_pair if self.group == "pair" else 1)

    @property
    def rows_per_step(self) -> int:
        """Rollouts of one optimiser step."""
        return self.pairs_per_step * self.comparisons_per_pair * self.rollouts

    def identity(self) -> dict[str, object]:
        """The settings that decide the trained weights; the others may change when a run is resumed."""
        settings = super().identity()
        without = {"slots", "micro_batch_size"} | ({"vllm"} if self.rollout_backend != "vllm" else set())
        return {name: value for name, value in settings.items() if name not in without}
