"""What an evaluation will ask, and what that may cost and take, before it asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rmr1.benchmarks.loading import Loaded, item_of
from rmr1.config import JudgeConfig, Prices, cost
from rmr1.judging import DEFAULT_TEMPLATE, JudgingPlan
from rmr1.models import resolve_model
from rmr1.prompts import load_template
from rmr1.records import PreferencePair, Usage

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English text; engines that can count are asked only when they are loaded, and a plan loads none."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What makes money and time of tokens.

    Args:
        prices: Of a million tokens; no cost is planned where None.
        tokens_per_second: Written by all requests together; no time is planned where None.
    """

    prices: Prices | None = None
    tokens_per_second: float | None = None

    def estimate(self, usage: Usage) -> dict[str, float]:
        """``cost``, in the currency of the prices, and ``seconds``: each where its rate is known."""
        known: dict[str, float] = {}
        if self.prices is not None:
            known["cost"] = cost(usage, self.prices)
        if self.tokens_per_second is not None:
            known["seconds"] = usage.completion_tokens / self.tokens_per_second
        return known

    def words(self) -> str:
        """What the estimates rest on, or nothing where nothing is known."""
        parts = []
        if self.prices is not None:
            parts.append(f"{self.prices.prompt:g} for a million tokens of prompts, {self.prices.completion:g} written")
        if self.tokens_per_second is not None:
            parts.append(f"{self.tokens_per_second:g} written tokens a second")
        return "; ".join(parts)


def plan_evaluation(
    found: Sequence[Loaded], configs: Sequence[JudgeConfig], limit: int | None, rates: Rates
) -> list[dict[str, Any]]:
    """Plan the judging of benchmarks without loading a model.

    Args:
        found: The benchmarks.
        configs: How to judge them; several make a sum.
        limit: Judge so many items of each benchmark.
        rates: What makes money and time of tokens.

    Returns:
        For each benchmark ``items``, ``pairs`` and ``generations``; ``prompt_characters`` of the prompts as they will be sent,
        ``prompt_tokens`` estimated from them; ``most_written_tokens``, the bound that the token limit sets; and ``cost`` and
        ``seconds`` of that many tokens, where the rates are known.

    Raises:
        TemplateError: The template does not exist.
        ConfigError: The model argument names no engine.
    """
    plans = [_judging_plan(config) for config in configs]
    return [_plan(loaded, plans, limit, rates) for loaded in found]


def _judging_plan(config: JudgeConfig) -> JudgingPlan:
    template = load_template(config.template or resolve_model(config.model).template or DEFAULT_TEMPLATE)
    return JudgingPlan(config, template, None, logprobs=False)


def _plan(loaded: Loaded, plans: Sequence[JudgingPlan], limit: int | None, rates: Rates) -> dict[str, Any]:
    pairs = list(islice(loaded.pairs, loaded.limited(limit)))
    characters = prompts = written = generations = 0
    for plan in plans:
        asked = len(pairs) * plan.comparisons_per_pair
        of_run = plan.config.votes * sum(_prompt_sizes(pairs, plan))
        generations += asked
        characters += of_run
        prompts += of_run // CHARACTERS_PER_TOKEN
        written += asked * plan.config.max_tokens
    return {
        "benchmark": loaded.benchmark.name,
        "items": len({item_of(pair) for pair in pairs}),
        "pairs": len(pairs),
        "generations": generations,
        "prompt_characters": characters,
        "prompt_tokens": prompts,
        "most_written_tokens": written,
        **rates.estimate(Usage(prompts, written)),
    }


def _prompt_sizes(pairs: Sequence[PreferencePair], plan: JudgingPlan) -> Iterator[int]:
    """Characters of each prompt; all votes of an order get the same one."""
    for pair in pairs:
        for comparison in plan.comparisons(pair):
            if comparison.vote == 0:
                yield sum(len(message.content) for message in plan.request(comparison)[1].messages)
