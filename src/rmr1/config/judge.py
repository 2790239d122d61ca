"""How to judge pairs, and how to run the engine that judges."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator, model_validator

from rmr1.config.fields import Flag
from rmr1.config.prices import Prices
from rmr1.redaction import public_url, public_value

OrderPolicy = Literal["both", "given", "swapped", "random"]
StopPolicy = Literal["never", "early", "sequential"]
_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
_OWN_SETTINGS = {
    "chat_template_kwargs": "engine.chat_template_kwargs",
    "grammar": "constrain",
    "logprobs": "logprobs",
    "max_completion_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "min_p": "min_p",
    "model": "model",
    "reasoning_effort": "engine.reasoning_effort",
    "seed": "seed",
    "structured_outputs": "constrain",
    "temperature": "temperature",
    "top_k": "top_k",
    "top_logprobs": "logprobs",
    "top_p": "top_p",
}
"""Fields of a request that settings decide."""
_NEVER_SENT = ("messages", "n", "prompt", "stream", "stream_options", "system")
"""Fields with which a reply would answer something else, or in another way than it is read."""
_OF_TEMPLATES = ("add_generation_prompt", "chat_template", "continue_final_message", "messages", "tokenize")
"""Arguments of a chat template that the engines decide."""


class EngineConfig(BaseModel):
    """How to run an engine. An engine ignores the keys that it does not know."""

    model_config = _STRICT

    base_url: Annotated[
        str | None, Field(description="Address of an OpenAI-compatible server; the provider's if not set")
    ] = None
    api_key_env: Annotated[
        str | None,
        Field(
            description="Environment variable that holds the API key; if not set, the provider's, such as OPENAI_API_KEY"
        ),
    ] = None
    cache: Annotated[
        bool, Field(description="Keep answers on disk, and take those from there that were given before")
    ] = False
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
            description="Megabytes that one answer of a server may have; if not set, 8 and three more for each 1,000 tokens",
        ),
    ] = None
    omit: Annotated[
        tuple[str, ...],
        Field(description="Request fields that the server refuses, such as temperature, top_p or seed"),
    ] = ()
    card: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Folder or GGUF file of the model that a server serves, if rmr1 has trained it: it says the template and "
            "the think mode; if not set, the server is asked where its model is",
        ),
    ] = None
    extra_body: Annotated[
        dict[str, Any],
        Field(description="More fields for every request to a server, such as {service_tier: flex}"),
    ] = {}
    chat_template_kwargs: Annotated[
        dict[str, Any],
        Field(description="Variables for the model's chat template, such as {enable_thinking: false}"),
    ] = {}
    thinking_budget: Annotated[
        int | Literal["adaptive"] | None,
        Field(
            description="Tokens that a model of anthropic may think, 1024 at least; adaptive: as many as it finds right"
        ),
    ] = None
    reasoning_effort: Annotated[
        str | None,
        Field(
            min_length=1, description="How long a reasoning model at a server may think, such as low, medium or high"
        ),
    ] = None
    score_api: Annotated[
        Literal["auto", "classify", "pooling", "score", "sglang"],
        Field(
            description="Endpoint of a server of a scalar reward model: vLLM's classify, pooling or score, or SGLang's classify; "
            "auto tries those of vLLM in this order"
        ),
    ] = "auto"
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
        Field(
            ge=1,
            description="Sequences to decode in one batch; if not set, 1 for llamacpp, 32 for hf, "
            "and for vllm 64 on a CPU, else 256",
        ),
    ] = None
    context: Annotated[
        int | None,
        Field(
            ge=256,
            description="Tokens of prompt and completion together, per slot; if not set, 8192 for llamacpp and for "
            "vllm on a CPU, else the model's own limit",
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
            description="Type of the weights of hf and vllm; mixed, for hf on CPUs: float32 weights, bfloat16 matrix "
            "products; auto: bfloat16 on a GPU, on a CPU with bfloat16 instructions mixed for hf and bfloat16 for vllm, "
            "float32 otherwise"
        ),
    ] = "auto"
    tensor_parallel: Annotated[int, Field(ge=1, description="GPUs over which vllm spreads the model")] = 1
    gpu_memory_utilization: Annotated[
        float | None,
        Field(
            gt=0,
            le=1,
            description="Share of the memory that vllm takes; if not set, vLLM's own choice on a GPU, and on a CPU 4 GiB for "
            "its cache",
        ),
    ] = None
    enforce_eager: Annotated[
        bool, Field(description="vllm does not compile the model: it starts sooner and writes more slowly")
    ] = False

    @property
    def key_variable(self) -> str:
        """The environment variable that holds the key of a server of the user's own."""
        return self.api_key_env or "OPENAI_API_KEY"

    @field_serializer("base_url", when_used="json-unless-none")
    def _hide_credentials(self, url: str) -> str:
        return public_url(url)  # what becomes JSON is kept in runs and reports

    @field_validator("thinking_budget")
    @classmethod
    def _thoughts_have_room(cls, budget: int | str | None) -> int | str | None:
        if isinstance(budget, int) and budget < 1024:
            raise ValueError("the least that can be set is 1024; leave it out for no thinking")
        return budget

    @field_serializer("extra_body", when_used="json")
    def _hide_keys(self, fields: dict[str, object]) -> object:
        return public_value(fields)

    @field_validator("extra_body")
    @classmethod
    def _extra_fields_are_extra(cls, fields: dict[str, object]) -> dict[str, object]:
        for name in fields:
            if name in _OWN_SETTINGS:
                raise ValueError(f"{name} has a setting of its own: {_OWN_SETTINGS[name]}")
            if name in _NEVER_SENT:
                raise ValueError(f"{name} cannot be set; the engine decides it for each request")
        return _json_only(fields)

    @field_validator("chat_template_kwargs")
    @classmethod
    def _templates_have_room(cls, variables: dict[str, object]) -> dict[str, object]:
        for name in variables:
            if name in _OF_TEMPLATES:
                raise ValueError(f"{name} cannot be set; the engine decides it for each prompt")
        return _json_only(variables)

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


def _json_only(values: dict[str, object]) -> dict[str, object]:
    """The values, if they can be sent as JSON: YAML also knows dates, and numbers that are none."""
    for name, value in values.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} holds something that JSON cannot ({error}); put it into quotes") from error
    return values


class JudgeConfig(BaseModel):
    """How to judge pairs."""

    model_config = _STRICT

    model: Annotated[
        str, Field(description="ENGINE/MODEL, a name of the catalogue (rmr1 pull --list), or a path"), Flag("Model")
    ] = "llamacpp/smollm2-135m-instruct"
    engine: Annotated[EngineConfig, Flag("Engine", {"base_url": "--base-url", "cache": "--cache"})] = EngineConfig()
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
    stop: Annotated[
        StopPolicy,
        Field(
            description="early leaves out votes that cannot change the majority of their order; sequential also those that are "
            "unlikely to"
        ),
        Flag("Sampling"),
    ] = "never"
    stop_error: Annotated[
        float,
        Field(gt=0, lt=0.5, description="With sequential: probability that the votes left out would change a majority"),
        Flag("Sampling"),
    ] = 0.05
    temperature: Annotated[
        float | None,
        Field(ge=0, description="Sampling temperature; if not set, 0 for one vote and 1.0 for several"),
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
    max_tokens: Annotated[int, Field(ge=1, description="Longest completion, in tokens"), Flag("Sampling")] = 2048
    retry_truncated: Annotated[
        int | None,
        Field(ge=1, description="Ask again, with this token limit, for a completion that was cut at max_tokens"),
        Flag("Sampling"),
    ] = None
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
            description="Ask for the probabilities of A and B at the verdict; if not set, local engines do and servers do not"
        ),
        Flag("Sampling"),
    ] = None
    concurrency: Annotated[int, Field(ge=1, description="Requests in flight at a server"), Flag("Engine")] = 16
    max_total_tokens: Annotated[
        int | None, Field(ge=1, description="Stop before the run has used more tokens than this"), Flag("Budget")
    ] = None
    max_cost: Annotated[
        float | None, Field(gt=0, description="Stop before the run has cost more than this"), Flag("Budget")
    ] = None
    prices: Annotated[Prices | None, Flag("Budget")] = None

    @model_validator(mode="after")
    def _retries_are_longer(self) -> JudgeConfig:
        if self.retry_truncated is not None and self.retry_truncated <= self.max_tokens:
            raise ValueError(
                f"retry_truncated is {self.retry_truncated}; give a larger limit than max_tokens, which is {self.max_tokens}"
            )
        return self

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
