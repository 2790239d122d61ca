"""What the models of providers cost, as far as that is known: a small table with sources and the date on which they were read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict

from rmr1.config import Prices

_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """Prices in force, and where they come from, in words."""

    prices: Prices
    source: str

    def words(self) -> str:
        """The prices in a sentence."""
        cached = "" if self.prices.cached is None else f", {self.prices.cached:g} for cached ones"
        return f"{self.prices.prompt:g} for a million prompt tokens{cached}, {self.prices.completion:g} written; {self.source}"


class PriceList(BaseModel):
    """The prices of a provider's models.

    Attributes:
        engines: Engines that ask the provider, where no other server is named.
        hosts: Names of its servers.
        source: Where the prices are published.
        read: When they were read there.
        models: Prices by the model's name: prompt, completion, and cached prompt tokens if they have their own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    engines: tuple[str, ...]
    hosts: tuple[str, ...]
    source: str
    read: date
    models: dict[str, tuple[float, float] | tuple[float, float, float]]

    def is_asked(self, engine: str, base_url: str | None) -> bool:
        """Whether an engine with this address asks the provider."""
        return engine in self.engines if base_url is None else urlsplit(base_url).hostname in self.hosts


def known_prices(model: str, base_url: str | None = None) -> ModelPrices | None:
    """The prices of a model; None where they are not known, as those of a server of your own.

    Args:
        model: ``ENGINE/MODEL``.
        base_url: Address of its server, where it is not the engine's own.
    """
    engine, _, name = model.partition("/")
    for prices in load_prices().values():
        known = prices.models.get(name) or prices.models.get(_DATED.sub("", name))
        if known is not None and prices.is_asked(engine, base_url):
            values = dict(zip(("prompt", "completion", "cached"), known, strict=False))
            return ModelPrices(
                Prices.model_validate(values), f"US dollars, from {prices.source}, read on {prices.read}"
            )
    return None


@cache
def load_prices() -> dict[str, PriceList]:
    """The table, by provider."""
    content = yaml.safe_load((files("rmr1.models") / "prices.yaml").read_text(encoding="utf-8"))
    return {name: PriceList.model_validate(entry) for name, entry in content.items()}
