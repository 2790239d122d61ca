"""How to judge pairs, and how to run the engine that judges."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator, model_validator

from rmr1.config.fields import Flag
from rmr1.redaction import public_url

OrderPolicy = Literal["both", "given", "swapped", "random"]
_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EngineConfig(BaseModel):
    """How to run an engine. An engine ignores the keys that it does not know."""

    model_config = _STRICT

    base_url: Annotated[
        str | None, Field(description="Address of an OpenAI-compatible server; OpenAI's if not set")
    ] = None
    api_key_env: Annotated[str, Field(description="Environment variable that holds the API key")] = "OPENAI_API_KEY"
    timeout_s: Annotated[
        float, Field(gt=0, description="Seconds that one request to a server may take in all, with its retries")
    ] = 600.0
    max_retries: Annotated[
        int, Field(ge=0, description="How often a request is sent again that a server could not answer")
    ] = 5
    max_answer_mb: Annotated[
        int | None,
        Field(
            ge=1,
            description="Megabytes that one answer of a server may have; if not set, 8 and one more for each 1,000 tokens",
        ),
    ] = None
    omit: Annotated[
        tuple[str, ...],
        Field(description="Request fields that the server refuses, such as temperature, top_p or seed"),
    ] = ()
    server_grammar: Annotated[
        Literal["llamacpp", "vllm"] | None, Field(description="How the server takes a grammar")
    ] = None
    think: Annotated[
        Literal["auto", "open", "closed"],
        Field(
            description="Whether the chat template opens a think block before the model's first token; "
            "auto: as the catalogue or the template says"
        ),
    ] = "auto"
    threads: Annotated[int | None, Field(ge=1, description="CPU threads; all cores if not set")] = None
    slots: Annotated[
        int | None,
        Field(ge=1, description="Sequences to decode in one batch; if not set, 1 for llamacpp and 32 for hf"),
    ] = None
    context: Annotated[
        int | None,
        Field(
            ge=256,
            description="Tokens of prompt and completion together, per slot; if not set, 8192 for llamacpp and the "
            "model's own limit for hf",
        ),
    ] = None
    reuse: Annotated[
        Literal["instructions", "longest"],
        Field(
            description="What llamacpp keeps of the previous prompt: the instructions, or the longest prefix that the "
            "next prompt shares"
        ),
    ] = "instructions"
    gpu_layers: Annotated[int, Field(ge=-1, description="Layers that llamacpp puts on a GPU; -1 for all")] = -1
    device: Annotated[
        str, Field(description="Device of the hf engine, such as cpu, cuda or cuda:1; auto takes a GPU if there is one")
    ] = "auto"
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16", "mixed"],
        Field(
            description="Type of the weights of the hf engine; mixed, for CPUs: float32 weights, bfloat16 matrix products; "
            "auto: bfloat16 on a GPU, mixed on a CPU with bfloat16 instructions, float32 otherwise"
        ),
    ] = "auto"

    @field_serializer("base_url", when_used="json-unless-none")
    def _hide_credentials(self, url: str) -> str:
        return public_url(url)  # what becomes JSON is kept in runs and reports

    @field_validator("base_url")
    @classmethod
    def _base_url_is_an_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        shown = public_url(url)
        try:
            parts = urlsplit(url.strip())
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"{shown} is no address of a server ({error})") from error
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError(
                f"{shown} is no address of a server; write it with http:// or https://, such as http://localhost:8000/v1"
            )
        if parts.path.rstrip("/").endswith("/chat/completions"):
            raise ValueError(f"{shown}: leave /chat/completions out; it is added to the address")
        return url.strip()


class JudgeConfig(BaseModel):
    """How to judge pairs."""

    model_config = _STRICT

    model: Annotated[
        str, Field(description="ENGINE/MODEL, a name of the catalogue (rmr1 pull --list), or a path"), Flag("Model")
    ] = "llamacpp/smollm2-135m-instruct"
    engine: Annotated[EngineConfig, Flag("Engine", {"base_url": "--base-url"})] = EngineConfig()
    template: Annotated[
        str | None,
        Field(description="Prompt template: a name or a file; the model's own, else cor, if not set"),
        Flag("Prompt"),
    ] = None
    rule: Annotated[str, Field(description="Rule that reads the verdict in a completion"), Flag("Prompt")] = "default"
    orders: Annotated[
        OrderPolicy, Field(description="Orders in which the judge sees the two responses of a pair"), Flag("Prompt")
    ] = "both"
    votes: Annotated[
        int, Field(ge=1, description="Completions per order; above 1, the majority decides"), Flag("Sampling")
    ] = 1
    temperature: Annotated[
        float | None,
        Field(ge=0, description="Sampling temperature; if not set, 0 for one vote and 1.0 for several"),
        Flag("Sampling"),
    ] = None
    top_p: Annotated[
        float, Field(gt=0, le=1, description="Probability mass to sample from (nucleus sampling)"), Flag("Sampling")
    ] = 1.0
    max_tokens: Annotated[int, Field(ge=1, description="Longest completion, in tokens"), Flag("Sampling")] = 2048
    seed: Annotated[int, Field(description="Seed of random orders and of sampling"), Flag("Sampling")] = 0
    constrain: Annotated[
        bool, Field(description="Constrain completions to the output format with a grammar"), Flag("Sampling")
    ] = False
    fence: Annotated[
        bool, Field(description="Disarm text in the responses that looks like the prompt's own marks"), Flag("Prompt")
    ] = True
    system_role: Annotated[
        Literal["system", "merge"],
        Field(description="merge puts the system part at the head of the user message"),
        Flag("Prompt"),
    ] = "system"
    logprobs: Annotated[
        bool | None,
        Field(
            description="Ask for the probabilities of A and B at the verdict; if not set, llamacpp and hf do and servers do not"
        ),
        Flag("Sampling"),
    ] = None
    concurrency: Annotated[int, Field(ge=1, description="Requests in flight at a server"), Flag("Engine")] = 16

    @model_validator(mode="after")
    def _votes_need_sampling(self) -> JudgeConfig:
        if self.votes > 1 and self.temperature == 0:
            raise ValueError("several votes at temperature 0 are all the same; raise temperature, or ask for one vote")
        return self

    @property
    def effective_temperature(self) -> float:
        """The temperature in force: greedy for a single vote (the paper's evaluation), 1.0 (its rollouts) for several."""
        if self.temperature is not None:
            return self.temperature
        return 0.0 if self.votes == 1 else 1.0
