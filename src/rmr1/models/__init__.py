"""Models by name: where they come from, how they want to be prompted, and the files they are made of."""

from rmr1.models.card import ModelCard, read_card, read_gguf_card
from rmr1.models.catalogue import ModelEntry, find_model, load_catalogue
from rmr1.models.files import cache_directory, cached_file, pull
from rmr1.models.prices import ModelPrices, known_prices
from rmr1.models.resolve import ResolvedModel, resolve_model

__all__ = [
    "ModelCard",
    "ModelEntry",
    "ModelPrices",
    "ResolvedModel",
    "cache_directory",
    "cached_file",
    "find_model",
    "known_prices",
    "load_catalogue",
    "pull",
    "read_card",
    "read_gguf_card",
    "resolve_model",
]
