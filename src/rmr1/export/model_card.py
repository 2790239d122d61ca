"""The model card of an exported folder: what it is, how to use it, what it was trained on and how, and what it reached."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from rmr1.files import write_text
from rmr1.models import find_model
from rmr1.models.card import ModelCard
from rmr1.results import RlEvalMetrics, RlResults, SftEvalMetrics, SftResults

_DATA = ("data_sha256", "held_out_sha256", "held_out_share")
_DATA_OF = {"sft": "Traces of completions,", "rl": "Pairs with labels,"}
_NOT_A_SETTING = (*_DATA, "job", "model", "model_fingerprint", "template", "think")


def write_model_card(
    folder: Path, card: ModelCard, identity: Mapping[str, object], results: SftResults | RlResults | None
) -> None:
    """Write ``README.md`` into a model folder.

    Args:
        folder: The exported folder.
        card: What the judge comes from, without paths, and how it wants to be prompted.
        identity: That of the run that trained it, from its ``run.json``; empty where it is not known.
        results: What that run concluded; None where it is not known.
    """
    write_text(folder / "README.md", _front_matter(card) + _body(folder, card, identity, results))


def _front_matter(card: ModelCard) -> str:
    entry = find_model(card.base) if card.base else None
    content: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["reward-model", "llm-judge", "rmr1"],
    }
    if entry is not None:
        content |= {"license": entry.licence.lower(), "base_model": entry.hub.repository}
    elif card.base.count("/") == 1:
        content["base_model"] = card.base
    return f"---\n{yaml.safe_dump(content, sort_keys=False)}---\n\n"


def _body(folder: Path, card: ModelCard, identity: Mapping[str, object], results: SftResults | RlResults | None) -> str:
    parts = [
        "# A reasoning reward model\n",
        f"It compares two responses to a prompt: it writes its reasons, then a verdict. Trained from {_base(card)} with rmr1.\n",
        "## Use\n",
        f"```sh\nrmr1 judge pairs.jsonl --model PATH/TO/{folder.name}\n```\n",
        _prompting(card),
    ]
    if identity:
        data = {name: identity[name] for name in _DATA if identity.get(name) is not None}
        recipe = {name: value for name, value in identity.items() if name not in _NOT_A_SETTING}
        parts += [
            "## Data\n",
            f"{_DATA_OF.get(str(identity.get('job')), 'Known')} by the SHA-256 of the file.\n",
            _table(data),
        ]
        parts += ["## Recipe\n", _table(recipe)]
    else:
        parts += ["## Data and recipe\n", "Not known: this folder is not part of a training run.\n"]
    parts += ["## Results\n", _table(_figures(results)) if results else "None are recorded.\n"]
    return "\n".join(parts)


def _base(card: ModelCard) -> str:
    return f"`{card.base}`" if card.base else "an unknown model"


def _prompting(card: ModelCard) -> str:
    if not card.template:
        return "Which prompt template it was trained with is not recorded.\n"
    return (
        f"It was trained with the prompt template `{card.template}`, which `rmr1 judge` takes from `rmr1.json`. With another "
        f"prompt it may judge worse.\n"
    )


def _figures(results: SftResults | RlResults) -> Mapping[str, object]:
    return {field.name: _plain(getattr(results, field.name)) for field in fields(results)}


def _plain(value: object) -> object:
    return asdict(value) if isinstance(value, SftEvalMetrics | RlEvalMetrics) else value


def _table(values: Mapping[str, object]) -> str:
    rows = "".join(f"| {name} | {text} |\n" for name, text in _flat(values))
    return f"| | |\n|---|---|\n{rows}"


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, float):
            yield f"{prefix}{name}", f"{value:.6g}"
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            yield f"{prefix}{name}", text.replace("|", "\\|").replace("\n", " ")
