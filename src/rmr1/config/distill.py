"""How to distil traces, what tokens cost, and how much may be spent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmr1.config.fields import Flag
from rmr1.config.judge import EngineConfig, JudgeConfig, OrderPolicy
from rmr1.config.prices import Prices

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BatchConfig(BaseModel):
    """How requests go through a provider's batch API."""

    model_config = _STRICT

    size: Annotated[int, Field(ge=1, le=50_000, description="Requests per batch")] = 1000
    under_way: Annotated[int, Field(ge=1, description="Batches in flight at the same time")] = 4
    poll_s: Annotated[float, Field(gt=0, description="Seconds between two queries of a batch's state")] = 30.0


class DistillConfig(BaseModel):
    """How a teacher writes traces, and a repairer corrects them."""

    model_config = _STRICT

    teacher: Annotated[
        str, Field(description="Model that writes the traces: ENGINE/MODEL, a catalogue name or a path"), Flag("Model")
    ] = ""
    teacher_engine: Annotated[
        EngineConfig, Flag("Engine of the teacher", {"base_url": "--base-url", "cache": "--cache"})
    ] = EngineConfig()
    teacher_prices: Annotated[Prices | None, Flag("Budget")] = None
    repairer: Annotated[
        str | None, Field(description="Model that corrects failed traces in a second pass"), Flag("Model")
    ] = None
    repairer_engine: Annotated[
        EngineConfig | None,
        Flag("Engine of the repairer; the teacher's settings if none of these is given"),
    ] = None
    repairer_prices: Annotated[Prices | None, Flag("Budget")] = None
    failed_chars: Annotated[
        int,
        Field(ge=200, description="Characters of a failed trace that the repairer sees; the middle is left out"),
        Flag("Prompt"),
    ] = 16_000
    template: Annotated[str, Field(description="Prompt template of the student: a name or a file"), Flag("Prompt")] = (
        "cor"
    )
    orders: Annotated[
        OrderPolicy, Field(description="Orders in which the teacher sees the two responses of a pair"), Flag("Prompt")
    ] = "random"
    samples: Annotated[
        int,
        Field(ge=1, description="Attempts of the teacher per comparison; the first correct ones are kept"),
        Flag("Sampling"),
    ] = 1
    keep: Annotated[int, Field(ge=1, description="Correct traces to keep per comparison"), Flag("Sampling")] = 1
    require_format: Annotated[
        bool, Field(description="Reject traces that break the output format"), Flag("Verification")
    ] = False
    keep_think: Annotated[bool, Field(description="Keep think blocks in the traces"), Flag("Verification")] = False
    temperature: Annotated[
        float | None,
        Field(ge=0, description="Sampling temperature; if not set, 0 for one sample and 1.0 for several"),
        Flag("Sampling"),
    ] = None
    top_p: Annotated[
        float, Field(gt=0, le=1, description="Probability mass to sample from (nucleus sampling)"), Flag("Sampling")
    ] = 1.0
    top_k: Annotated[
        int | None,
        Field(
            ge=0,
            description="Sample from this many of the likeliest tokens, 0 for all; if not set, local engines take all and "
            "servers what they are set to",
        ),
        Flag("Sampling"),
    ] = None
    min_p: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="Sample only tokens that are at least this share as likely as the likeliest one; if not set, as for "
            "top_k",
        ),
        Flag("Sampling"),
    ] = None
    max_tokens: Annotated[int, Field(ge=1, description="Longest trace, in tokens"), Flag("Sampling")] = 8192
    seed: Annotated[int, Field(description="Seed of random orders and of sampling"), Flag("Sampling")] = 0
    constrain: Annotated[
        bool, Field(description="Constrain traces to the output format with a grammar"), Flag("Sampling")
    ] = False
    fence: Annotated[
        bool, Field(description="Disarm text in the responses that looks like the prompt's own marks"), Flag("Prompt")
    ] = True
    system_role: Annotated[
        Literal["system", "merge"],
        Field(description="merge puts the system part at the head of the user message"),
        Flag("Prompt"),
    ] = "system"
    concurrency: Annotated[int, Field(ge=1, description="Requests in flight at a server"), Flag("Requests")] = 16
    max_total_tokens: Annotated[
        int | None, Field(ge=1, description="Stop before the run has used more tokens than this"), Flag("Budget")
    ] = None
    max_cost: Annotated[
        float | None,
        Field(gt=0, description="Stop before the run has cost more than this"),
        Flag("Budget"),
    ] = None
    batch: Annotated[
        bool, Field(description="Send requests of the openai engine through the provider's batch API"), Flag("Requests")
    ] = False
    batching: Annotated[BatchConfig, Flag("Requests")] = BatchConfig()

    @model_validator(mode="after")
    def _is_whole(self) -> DistillConfig:
        if not self.teacher:
            raise ValueError("name the model that writes the traces with --teacher ENGINE/MODEL")
        if self.keep > self.samples:
            raise ValueError(f"--keep {self.keep} needs at least as many --samples; it is {self.samples}")
        if self.samples > 1 and self.repairer is not None:
            raise ValueError("--samples draws several traces instead of a second pass; drop it, or drop --repairer")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("several samples at temperature 0 are all the same; raise --temperature")
        return self

    @property
    def effective_repairer_engine(self) -> EngineConfig:
        """The repairer's settings in force."""
        return self.repairer_engine or self.teacher_engine

    @property
    def effective_repairer_prices(self) -> Prices | None:
        """The repairer's prices in force: a repairer that is the teacher costs what the teacher costs."""
        if self.repairer_prices is None and self.repairer == self.teacher:
            return self.teacher_prices
        return self.repairer_prices

    def judging(self, model: str, engine: EngineConfig) -> JudgeConfig:
        """How one of the two models writes completions, as the settings of a judge."""
        return JudgeConfig(
            model=model,
            engine=engine,
            template=self.template,
            orders=self.orders,
            votes=self.samples,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            max_tokens=self.max_tokens,
            seed=self.seed,
            constrain=self.constrain,
            fence=self.fence,
            system_role=self.system_role,
            logprobs=False,
            concurrency=self.concurrency,
        )
