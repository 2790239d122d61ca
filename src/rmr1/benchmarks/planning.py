"""What an evaluation will judge, and what that may cost and how long it may take, before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from rmr1.benchmarks.loading import Loaded, item_of
from rmr1.config import JudgeConfig, Prices, cost
from rmr1.judging import DEFAULT_TEMPLATE, JudgingPlan, ScoringPlan, plan_choice, plan_scalar, prices_of_judge
from rmr1.models import resolve_model
from rmr1.prompts import SCALAR, load_template
from rmr1.records import PreferencePair, Usage
from rmr1.results import BenchmarkPlan

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English text; only a loaded engine can count, and a plan loads none."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices and throughput for the estimate.

    Args:
        prices: Of a million tokens; no cost is planned where None.
        tokens_per_second: Written by all requests together; no time is planned where None.
    """

    prices: Prices | None = None
    tokens_per_second: float | None = None

    def cost(self, usage: Usage) -> float | None:
        """In the currency of the prices; None where they are not known."""
        return None if self.prices is None else cost(usage, self.prices)

    def seconds(self, usage: Usage) -> float | None:
        """Time to write the tokens; None where the speed is not known."""
        return None if self.tokens_per_second is None else usage.completion_tokens / self.tokens_per_second

    def words(self) -> str:
        """What the estimates rest on, or nothing where nothing is known."""
        parts = []
        if self.prices is not None:
            parts.append(f"{self.prices.prompt:g} for a million tokens of prompts, {self.prices.completion:g} written")
        if self.tokens_per_second is not None:
            parts.append(f"{self.tokens_per_second:g} written tokens a second")
        return "; ".join(parts)


def plan_prices(config: JudgeConfig) -> Prices | None:
    """What the tokens of a judge cost, before its engine is loaded; None where that is not known.

    Raises:
        ConfigError: The money is limited, and the prices are not known; or the model argument names no engine.
    """
    resolved = resolve_model(config.model)
    known = prices_of_judge(config, f"{resolved.engine}/{resolved.name}")
    return None if known is None else known.prices


def plan_evaluation(
    found: Sequence[Loaded], configs: Sequence[JudgeConfig], limit: int | None, rates: Rates
) -> list[BenchmarkPlan]:
    """Plan the judging of benchmarks without loading a model.

    Args:
        found: The benchmarks.
        configs: How to judge them; several make a sum.
        limit: Judge this many items of each benchmark.
        rates: Prices and throughput for the estimate.

    Returns:
        A plan for each benchmark. Prompt tokens are estimated from the prompts as they will be sent; the completions are bounded by
        the token limit.

    Raises:
        TemplateError: The template does not exist.
        ConfigError: The model argument names no engine.
    """
    plans = [_judging_plan(config) for config in configs]
    return [_plan(loaded, plans, limit, rates) for loaded in found]


def _judging_plan(config: JudgeConfig) -> JudgingPlan:
    resolved = resolve_model(config.model)
    if resolved.engine == "scalar":
        return plan_scalar(config, config.model)
    template = load_template(config.template or resolved.template or DEFAULT_TEMPLATE)
    if template.rates:
        return ScoringPlan(config, template, None, logprobs=False, scalar=False)
    return JudgingPlan(config, template, None, logprobs=False)


def _plan(loaded: Loaded, plans: Sequence[JudgingPlan], limit: int | None, rates: Rates) -> BenchmarkPlan:
    pairs = list(islice(loaded.pairs, loaded.limited(limit)))
    characters = prompts = written = completions = 0
    for settings in plans:
        plan = plan_choice(settings) if loaded.benchmark.choice else settings
        of_run = len(pairs) * plan.comparisons_per_pair
        sent = plan.config.votes * sum(_prompt_sizes(pairs, plan))
        completions += of_run
        characters += sent
        prompts += sent // CHARACTERS_PER_TOKEN
        written += 0 if plan.template is SCALAR else of_run * plan.config.max_tokens
    usage = Usage(prompts, written)
    return BenchmarkPlan(
        benchmark=loaded.benchmark.name,
        items=len({item_of(pair) for pair in pairs}),
        pairs=len(pairs),
        completions=completions,
        prompt_characters=characters,
        prompt_tokens=prompts,
        max_completion_tokens=written,
        cost=rates.cost(usage),
        seconds=rates.seconds(usage),
    )


def _prompt_sizes(pairs: Sequence[PreferencePair], plan: JudgingPlan) -> Iterator[int]:
    """Characters of each prompt; all votes of an order get the same one."""
    for pair in pairs:
        for comparison in plan.comparisons(pair):
            if comparison.vote == 0:
                yield sum(len(message.content) for message in plan.request(comparison)[1].messages)
