"""What can be configured, with its default and its meaning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

OrderPolicy = Literal["both", "given", "swapped", "random"]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class EngineConfig(BaseModel):
    """How to run an engine. Fields that an engine does not know have no effect on it."""

    model_config = _STRICT

    base_url: Annotated[str | None, Field(description="Address of an OpenAI-compatible server")] = None
    api_key_env: Annotated[str, Field(description="Environment variable that holds the API key")] = "OPENAI_API_KEY"
    timeout_s: Annotated[float, Field(gt=0, description="Seconds to wait for one answer")] = 600.0
    max_retries: Annotated[int, Field(ge=0, description="Retries of one request by the client library")] = 5
    omit: Annotated[
        tuple[str, ...],
        Field(description="Fields of a request that the server refuses, such as temperature, top_p, seed"),
    ] = ()
    server_grammar: Annotated[
        Literal["llamacpp", "vllm"] | None, Field(description="How the server takes a grammar")
    ] = None
    think: Annotated[
        Literal["auto", "open", "closed"],
        Field(description="Whether the chat template opens a think block before the model's first token"),
    ] = "auto"
    threads: Annotated[int | None, Field(ge=1, description="CPU threads; all cores where not given")] = None
    slots: Annotated[
        int | None,
        Field(ge=1, description="Sequences that are decoded together; 1 for llamacpp and 32 for hf where not given"),
    ] = None
    context: Annotated[int | None, Field(ge=256, description="Tokens of prompt and completion together")] = None
    reuse: Annotated[
        Literal["instructions", "longest"],
        Field(
            description="What llamacpp keeps of the prompt before: the instructions, or all that the next begins with"
        ),
    ] = "instructions"
    gpu_layers: Annotated[int, Field(ge=-1, description="Layers to put on a GPU, -1 for all")] = -1
    device: Annotated[
        str, Field(description="Device of transformers, such as cpu, cuda or cuda:1; auto takes a GPU")
    ] = "auto"
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16", "mixed"],
        Field(
            description="Type of transformers' weights; mixed, for CPUs, is float32 with the layers' products in bfloat16; "
            "auto is bfloat16 on a GPU, mixed on CPUs with instructions for that and float32 on others"
        ),
    ] = "auto"


class JudgeConfig(BaseModel):
    """How to judge pairs."""

    model_config = _STRICT

    model: Annotated[str, Field(description="ENGINE/MODEL, a catalogue name or a path")] = (
        "llamacpp/smollm2-135m-instruct"
    )
    engine: EngineConfig = EngineConfig()
    template: Annotated[str | None, Field(description="Template name or file; the model's own where not given")] = None
    rule: Annotated[str, Field(description="Rule that reads the verdict")] = "default"
    orders: Annotated[OrderPolicy, Field(description="In which orders each pair is shown")] = "both"
    votes: Annotated[int, Field(ge=1, description="Completions of each order")] = 1
    temperature: Annotated[
        float | None, Field(ge=0, description="0 for one vote, 1.0 for several, where not given")
    ] = None
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: Annotated[int, Field(ge=1, description="Longest completion, in tokens")] = 2048
    seed: int = 0
    constrain: Annotated[bool, Field(description="Force the output format with a grammar")] = False
    fence: Annotated[bool, Field(description="Disarm marks of the prompt inside the responses")] = True
    system_role: Literal["system", "merge"] = "system"
    logprobs: Annotated[
        bool | None,
        Field(description="Ask for the probability of A and B at the verdict; llamacpp and hf do where not given"),
    ] = None
    concurrency: Annotated[int, Field(ge=1, description="Requests under way at a server")] = 16

    @model_validator(mode="after")
    def _votes_need_chance(self) -> JudgeConfig:
        if self.votes > 1 and self.temperature == 0:
            raise ValueError("several votes at temperature 0 are all the same; raise temperature, or ask for one vote")
        return self

    @property
    def effective_temperature(self) -> float:
        """The temperature in force: greedy for a single vote (the paper's evaluation), 1.0 (its rollouts) for several."""
        if self.temperature is not None:
            return self.temperature
        return 0.0 if self.votes == 1 else 1.0
