"""What tokens cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rmr1.errors import ConfigError
from rmr1.records import Usage

_MILLION = 1_000_000


class Prices(BaseModel):
    """What a million tokens cost, in any one currency."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    prompt: Annotated[float, Field(ge=0, description="Price of a million prompt tokens")]
    completion: Annotated[float, Field(ge=0, description="Price of a million completion tokens")]
    cached: Annotated[
        float | None,
        Field(ge=0, description="Price of a million cached prompt tokens; that of prompt tokens if not set"),
    ] = None


def cost(usage: Usage, prices: Prices | None) -> float:
    """The money that tokens cost, in the currency of the prices; 0 if there are none."""
    if prices is None:
        return 0.0
    cached = prices.prompt if prices.cached is None else prices.cached
    fresh = usage.prompt_tokens - usage.cached_tokens
    return (
        fresh * prices.prompt + usage.cached_tokens * cached + usage.completion_tokens * prices.completion
    ) / _MILLION


def parse_prices(text: str) -> Prices:
    """Prices from ``PROMPT,COMPLETION``.

    Raises:
        ConfigError: The text is something else.
    """
    values = text.split(",")
    try:
        if len(values) == 2:
            return Prices.model_validate({"prompt": values[0], "completion": values[1]})
    except ValidationError:
        pass
    raise ConfigError(f"--prices {text}: expected the prices of a million tokens as PROMPT,COMPLETION, such as 3,15")
