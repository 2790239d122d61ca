"""How each pair is judged: which comparisons it makes, and the request of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from rmr1.config import JudgeConfig
from rmr1.engines import Engine, LoadedModel, gives_scores, is_grammar_engine, prompt_sha256
from rmr1.errors import ConfigError, TemplateError, did_you_mean
from rmr1.judging.completions import ComparisonLayout
from rmr1.prompts import FENCE_SHA256, SCALAR, Prompt, Template, load_grammar, load_template, render_prompt
from rmr1.records import Comparison, Generation, GenerationRequest, PreferencePair, Sampling, Verdict
from rmr1.sides import show, shown_orders
from rmr1.verdict import RULES, parse_rating, parse_score, parse_verdict

DEFAULT_TEMPLATE = "cor"
_IF_SET = ("top_k", "min_p", "retry_truncated")
_ROOM = 3


@dataclass(frozen=True, slots=True)
class JudgingPlan:
    """Everything that decides what a judge reads and how it is sampled. Build it with ``plan_judging``."""

    config: JudgeConfig
    template: Template
    grammar: str | None
    logprobs: bool

    @property
    def scores_one(self) -> bool:
        """Whether the judge sees one response at a time and scores it."""
        return False

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user has to know about this way of judging, in sentences."""
        return ()

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
        for order in shown_orders(self.layout.orders, pair.id, self.config.seed):
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

    def longer(self, request: GenerationRequest) -> GenerationRequest | None:
        """The request with the larger limit that is for completions which were cut; None if it has that limit, or there is none."""
        limit = self.config.retry_truncated
        if limit is None or request.sampling.max_tokens >= limit:
            return None
        return replace(request, sampling=replace(request.sampling, max_tokens=limit))

    def read(self, generation: Generation) -> Verdict:
        """The verdict of a generation by the configured rule."""
        return parse_verdict(generation, self.config.rule)

    def identity(self) -> Mapping[str, object]:
        """What decides the results, for a run's manifest. How the engine is run and what may be spent is not part of it."""
        left_out = {
            "engine",
            "concurrency",
            "temperature",
            "template",
            "logprobs",
            "prices",
            "max_total_tokens",
            "max_cost",
        }
        chosen = self.config.model_dump(exclude=left_out | _unused(self.config))
        return {
            **chosen,
            "temperature": self.config.effective_temperature,
            "template": self.template.name,
            "template_sha256": self.template.sha256,
            **({"fence_sha256": FENCE_SHA256} if self.config.fence else {}),
            **({"grammar_sha256": hashlib.sha256(self.grammar.encode()).hexdigest()} if self.grammar else {}),
        }


@dataclass(frozen=True, slots=True)
class ScoringPlan(JudgingPlan):
    """How single responses are scored: rated by a judge that writes, or given a number by a scalar reward model.

    The order "ab" stands for the pair's A alone, "ba" for its B alone, so no setting of ``orders`` has an effect. The seed of a
    request depends on what it shows: a response that occurs in several pairs has one score for each vote, and is asked for once.
    """

    scalar: bool

    @property
    def scores_one(self) -> bool:
        """That it does."""
        return True

    @property
    def remarks(self) -> tuple[str, ...]:
        """That the order of responses has no part in it."""
        return ("each response is scored by itself: position cannot matter, and orders have no effect",)

    @property
    def layout(self) -> ComparisonLayout:
        """Each response by itself, vote by vote."""
        return ComparisonLayout("each", self.config.votes, self.config.seed)

    def request(self, comparison: Comparison) -> tuple[GenerationRequest, Prompt]:
        """The request for the score of the response that is shown first, whose id is ``PAIR/ORDER/VOTE``."""
        name = f"{comparison.pair_id}/{comparison.order}/{comparison.vote}"
        if self.scalar:
            prompt = Prompt((*comparison.prompt, *comparison.shown_a), 0)
        else:
            prompt = render_prompt(
                comparison, self.template, fenced=self.config.fence, system_role=self.config.system_role
            )
        request = self.request_for(name, prompt, comparison)
        seed = _seed(f"{prompt_sha256(prompt.messages)}/{comparison.vote}", self.config.seed)
        return replace(request, sampling=replace(request.sampling, seed=seed)), prompt

    def read(self, generation: Generation) -> Verdict:
        """The score of a generation."""
        return parse_score(generation) if self.scalar else parse_rating(generation)

    def identity(self) -> Mapping[str, object]:
        """As of the plan for pairs; the orders are "each"."""
        return {**JudgingPlan.identity(self), "orders": "each"}


def plan_judging(config: JudgeConfig, engine: Engine, *, model_template: str | None = None) -> JudgingPlan:
    """Check a configuration against an engine and load what it names.

    A scalar reward model, and a template that shows one response, make a ``ScoringPlan``.

    Args:
        config: How to judge.
        engine: What will judge.
        model_template: The template that suits the model, used where ``config`` names none.

    Raises:
        ConfigError: The rule is unknown, a grammar is wanted from an engine that takes none or within too few tokens, or a scalar
            reward model is asked for what it has not.
        TemplateError: The template or its grammar does not exist.
    """
    if config.rule not in RULES:
        raise ConfigError(
            f"--rule {config.rule}: unknown; the rules are {', '.join(RULES)}{did_you_mean(config.rule, RULES)}"
        )
    if gives_scores(engine):
        return plan_scalar(config, engine.name)
    if config.constrain and not engine.obeys_grammars:
        raise ConfigError(
            f"--constrain: {engine.name} takes no grammar; for your own llama.cpp or vLLM server say which it is with "
            f"--set engine.server_grammar=llamacpp"
        )
    template = load_template(config.template or model_template or DEFAULT_TEMPLATE)
    grammar = _grammar(template, config, engine) if config.constrain else None
    wanted = engine.writes_logprobs and engine.embedded if config.logprobs is None else config.logprobs
    if template.rates:
        if config.stop != "never":
            raise ConfigError(
                f"--stop {config.stop}: the template {template.name} asks for ratings, which are averaged, so that no vote is "
                f"needless; leave --stop out"
            )
        return ScoringPlan(config, template, grammar, logprobs=False, scalar=False)
    return JudgingPlan(config, template, grammar, logprobs=wanted)


def _unused(config: JudgeConfig) -> set[str]:
    """Settings that decide nothing beside the others."""
    stopping = {"never": {"stop", "stop_error"}, "early": {"stop_error"}, "sequential": set[str]()}
    return stopping[config.stop] | {name for name in _IF_SET if getattr(config, name) is None}


def plan_scalar(config: JudgeConfig, name: str) -> ScoringPlan:
    """The plan for a scalar reward model.

    Args:
        config: How to judge.
        name: Of the model, for messages.

    Raises:
        ConfigError: It is asked for what it has not: a template, a grammar, several votes.
    """
    for flag, given, why in (
        ("--template", config.template is not None, "reads no instructions, only the conversation"),
        ("--constrain", config.constrain, "writes nothing"),
        ("--votes", config.votes > 1, "gives a response the same score each time"),
    ):
        if given:
            raise ConfigError(f"{flag}: {name} is a scalar reward model and {why}; leave {flag} out")
    return ScoringPlan(config, SCALAR, None, logprobs=False, scalar=True)


def _grammar(template: Template, config: JudgeConfig, engine: Engine) -> str:
    grammar = load_grammar(template, think_open=engine.think_open)
    least = engine.least_tokens(grammar) if is_grammar_engine(engine) else 0
    if config.max_tokens < least:
        raise ConfigError(
            f"--max-tokens {config.max_tokens} with --constrain: the shortest completion of the template {template.name} "
            f"has {least} tokens; take {least} at least, and {_ROOM * least} or more to leave room for reasons"
        )
    return grammar


def _seed(name: str, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") & 0x7FFFFFFF


def template_advice(model: LoadedModel, config: JudgeConfig) -> Iterator[str]:
    """What is worth saying about the template that a model is asked with.

    Args:
        model: The model, with what it says of itself.
        config: How it is asked.
    """
    entry, card = model.entry, model.card
    if entry is not None and entry.exact_template and config.template is None:
        yield (
            f"{entry.name} was trained with the prompt on its {entry.exact_template}; for its published results, "
            f"copy that text to a file and pass --template FILE"
        )
    if card is None or card.template is None:
        return
    if config.template is None:
        if model.served_from is not None:
            yield (
                f"{config.model} is served from {model.served_from}, which was trained with the template {card.template}; it is "
                f"asked with that one"
            )
    elif not _same_template(config.template, card.template):
        yield (
            f"{config.model} was trained with the template {card.template} and is asked with {config.template}: a trained judge is "
            f"worse with another template than its own; leave --template out, or say --template {card.template}"
        )


def _same_template(one: str, other: str) -> bool:
    try:
        return load_template(one).sha256 == load_template(other).sha256
    except TemplateError:  # that of the card may be a file of another machine
        return one == other
