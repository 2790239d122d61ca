"""What an evaluation will ask, before it asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from rmr1.benchmarks.loading import Loaded, item_of
from rmr1.config import JudgeConfig
from rmr1.engines import model_template
from rmr1.judging import DEFAULT_TEMPLATE, JudgingPlan
from rmr1.prompts import load_template

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English text; engines that can count are asked only when they are loaded, and a plan loads none."""


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """What one benchmark costs.

    ``prompt_tokens`` is an estimate from the prompts as they will be sent, ``most_written_tokens`` the bound that the token
    limit sets.
    """

    benchmark: str
    items: int
    pairs: int
    generations: int
    prompt_characters: int
    prompt_tokens: int
    most_written_tokens: int


def plan_evaluation(found: Sequence[Loaded], config: JudgeConfig, limit: int | None) -> list[dict[str, Any]]:
    """Plan the judging of benchmarks without loading a model.

    Raises:
        TemplateError: The template does not exist.
        ConfigError: The model argument names no engine.
    """
    template = load_template(config.template or model_template(config.model) or DEFAULT_TEMPLATE)
    plan = JudgingPlan(config, template, None, logprobs=False)
    return [asdict(_plan(loaded, plan, limit)) for loaded in found]


def _plan(loaded: Loaded, plan: JudgingPlan, limit: int | None) -> BenchmarkPlan:
    pairs = list(islice(loaded.pairs, loaded.limited(limit)))
    characters = sum(
        len(message.content)
        for pair in pairs
        for comparison in plan.comparisons(pair)
        for message in plan.request(comparison)[1].messages
    )
    generations = len(pairs) * plan.comparisons_per_pair
    return BenchmarkPlan(
        loaded.benchmark.name,
        len({item_of(pair) for pair in pairs}),
        len(pairs),
        generations,
        characters,
        characters // CHARACTERS_PER_TOKEN,
        generations * plan.config.max_tokens,
    )
