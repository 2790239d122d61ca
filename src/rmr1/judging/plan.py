"""How each pair is judged: which comparisons it makes, and the request of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rmr1.config import JudgeConfig
from rmr1.engines import Engine
from rmr1.errors import ConfigError, did_you_mean
from rmr1.judging.completions import ComparisonLayout
from rmr1.prompts import FENCE_SHA256, Prompt, Template, load_grammar, load_template, render_prompt
from rmr1.records import Comparison, Generation, GenerationRequest, PreferencePair, Sampling, Verdict
from rmr1.sides import show, shown_orders
from rmr1.verdict import RULES, parse_verdict

DEFAULT_TEMPLATE = "cor"
_IF_SET = ("top_k", "min_p")


@dataclass(frozen=True, slots=True)
class JudgingPlan:
    """Everything that decides what a judge reads and how it is sampled. Build it with ``plan_judging``."""

    config: JudgeConfig
    template: Template
    grammar: str | None
    logprobs: bool

    @property
    def comparisons_per_pair(self) -> int:
        """Generations for each pair, at most."""
        return self.layout.per_pair

    @property
    def layout(self) -> ComparisonLayout:
        """Which comparison of a pair has which number."""
        config = self.config
        return ComparisonLayout(config.orders, config.votes, config.seed, config.stop, config.stop_error)

    def comparisons(self, pair: PreferencePair) -> Iterator[Comparison]:
        """All comparisons of a pair: order by order, vote by vote."""
        for order in shown_orders(self.config.orders, pair.id, self.config.seed):
            for vote in range(self.config.votes):
                yield show(pair, order, vote)

    def comparison(self, pair: PreferencePair, index: int) -> Comparison:
        """The comparison of a pair that has this number."""
        return show(pair, *self.layout.comparison(pair.id, index))

    def request(self, comparison: Comparison) -> tuple[GenerationRequest, Prompt]:
        """The request of a comparison, whose id is ``PAIR/ORDER/VOTE``. Its seed depends on that id and the plan's seed alone."""
        name = f"{comparison.pair_id}/{comparison.order}/{comparison.vote}"
        prompt = render_prompt(comparison, self.template, fenced=self.config.fence, system_role=self.config.system_role)
        return self.request_for(name, prompt, comparison), prompt

    def request_for(self, name: str, prompt: Prompt, comparison: Comparison) -> GenerationRequest:
        """The request of any prompt about a comparison, under a name of its own."""
        sampling = Sampling(
            temperature=self.config.effective_temperature,
            top_p=self.config.top_p,
            max_tokens=self.config.max_tokens,
            seed=_seed(name, self.config.seed),
            top_k=self.config.top_k,
            min_p=self.config.min_p,
        )
        return GenerationRequest(name, prompt.messages, sampling, self.grammar, self.logprobs, comparison)

    def read(self, generation: Generation) -> Verdict:
        """The verdict of a generation by the configured rule."""
        return parse_verdict(generation, self.config.rule)

    def identity(self) -> Mapping[str, object]:
        """What decides the results, for a run's manifest. How the engine is run (threads, concurrency) is not part of it."""
        left_out = {"engine", "concurrency", "temperature", "template", "logprobs"}
        chosen = self.config.model_dump(exclude=left_out | _unused(self.config))
        return {
            **chosen,
            "temperature": self.config.effective_temperature,
            "template": self.template.name,
            "template_sha256": self.template.sha256,
            **({"fence_sha256": FENCE_SHA256} if self.config.fence else {}),
        }


def plan_judging(config: JudgeConfig, engine: Engine, *, model_template: str | None = None) -> JudgingPlan:
    """Check a configuration against an engine and load what it names.

    Args:
        config: How to judge.
        engine: What will judge.
        model_template: The template that suits the model, used where ``config`` names none.

    Raises:
        ConfigError: The rule is unknown, or a grammar is wanted from an engine that takes none.
        TemplateError: The template or its grammar does not exist.
    """
    if config.rule not in RULES:
        raise ConfigError(
            f"--rule {config.rule}: unknown; the rules are {', '.join(RULES)}{did_you_mean(config.rule, RULES)}"
        )
    if config.constrain and not engine.obeys_grammars:
        raise ConfigError(
            f"--constrain: {engine.name} takes no grammar; for your own llama.cpp or vLLM server say which it is with "
            f"--set engine.server_grammar=llamacpp"
        )
    template = load_template(config.template or model_template or DEFAULT_TEMPLATE)
    grammar = (
        load_grammar(template, max_tokens=config.max_tokens, think_open=engine.think_open) if config.constrain else None
    )
    wanted = engine.writes_logprobs and engine.embedded if config.logprobs is None else config.logprobs
    return JudgingPlan(config, template, grammar, logprobs=wanted)


def _unused(config: JudgeConfig) -> set[str]:
    """Settings that decide nothing beside the others."""
    stopping = {"never": {"stop", "stop_error"}, "early": {"stop_error"}, "sequential": set[str]()}
    return stopping[config.stop] | {name for name in _IF_SET if getattr(config, name) is None}


def _seed(name: str, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") & 0x7FFFFFFF
