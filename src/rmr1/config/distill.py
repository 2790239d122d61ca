"""How to distil traces, and what may be spent on it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmr1.config.models import EngineConfig, JudgeConfig, OrderPolicy
from rmr1.config.prices import Prices

_STRICT = ConfigDict(extra="forbid", frozen=True)


class BatchConfig(BaseModel):
    """How requests go through a provider's batch API."""

    model_config = _STRICT

    size: Annotated[int, Field(ge=1, le=50_000, description="Requests of one batch")] = 1000
    under_way: Annotated[int, Field(ge=1, description="New batches under way at once")] = 4
    poll_s: Annotated[float, Field(gt=0, description="Seconds between looks at the batches under way")] = 30.0


class DistillConfig(BaseModel):
    """How a teacher writes traces, and a repairer corrects them."""

    model_config = _STRICT

    teacher: Annotated[str, Field(description="The model that writes traces: ENGINE/MODEL, catalogue name, path")] = ""
    teacher_engine: EngineConfig = EngineConfig()
    teacher_prices: Prices | None = None
    repairer: Annotated[str | None, Field(description="The model that corrects failed traces")] = None
    repairer_engine: Annotated[EngineConfig | None, Field(description="The teacher's where not given")] = None
    repairer_prices: Prices | None = None
    failed_chars: Annotated[
        int, Field(ge=200, description="Characters of a failed trace that the repairer sees; the middle is left out")
    ] = 16_000
    template: Annotated[str, Field(description="Prompt template of the student: a name or a file")] = "cor"
    orders: Annotated[OrderPolicy, Field(description="In which orders each pair is shown")] = "random"
    samples: Annotated[int, Field(ge=1, description="Tries of the teacher; the first right ones are kept")] = 1
    keep: Annotated[int, Field(ge=1, description="Right traces to keep of each comparison")] = 1
    require_format: Annotated[bool, Field(description="Reject traces that break the format of completions")] = False
    keep_think: Annotated[bool, Field(description="Keep think blocks in the traces")] = False
    temperature: Annotated[float | None, Field(ge=0, description="0 for one sample, 1.0 for several")] = None
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: Annotated[int, Field(ge=1, description="Longest trace, in tokens")] = 8192
    seed: int = 0
    constrain: Annotated[bool, Field(description="Force the output format with a grammar")] = False
    fence: Annotated[bool, Field(description="Disarm marks of the prompt inside the responses")] = True
    system_role: Literal["system", "merge"] = "system"
    concurrency: Annotated[int, Field(ge=1, description="Requests under way at a server")] = 16
    max_total_tokens: Annotated[int | None, Field(ge=1, description="Tokens that may be spent in all")] = None
    max_cost: Annotated[float | None, Field(gt=0, description="Money that may be spent in all; needs prices")] = None
    batch: Annotated[bool, Field(description="Send openai/ requests through the provider's batch API")] = False
    batching: BatchConfig = BatchConfig()

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
        if self.max_cost is not None:
            if self.teacher_prices is None:
                raise ValueError(
                    "--max-cost needs the prices of a million tokens: --set teacher_prices.prompt=3 "
                    "--set teacher_prices.completion=15"
                )
            if self.repairer is not None and self.repairer != self.teacher and self.repairer_prices is None:
                raise ValueError("--max-cost needs repairer_prices.prompt and repairer_prices.completion too")
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
        """The part of it that says how one of the models writes completions."""
        return JudgeConfig(
            model=model,
            engine=engine,
            template=self.template,
            orders=self.orders,
            votes=self.samples,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            seed=self.seed,
            constrain=self.constrain,
            fence=self.fence,
            system_role=self.system_role,
            logprobs=False,
            concurrency=self.concurrency,
        )
