"""An audit as one resumable run: a part for each attack and each setting of the fence, and the figures of all.

Each part is a judge run in a directory of its own. A prompt that another part has asked already, since the fence or the attack
changes nothing in it, is not asked again: its completion is taken over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from rmr1.config import JudgeConfig, resolve_config
from rmr1.data import PairSource, cluster_of
from rmr1.engines import Engine, open_model, prompt_sha256
from rmr1.errors import ConfigError, DataError
from rmr1.judging import (
    Completion,
    JudgeCallbacks,
    JudgeRun,
    JudgeRunResult,
    JudgingPlan,
    PairTask,
    plan_judging,
    run_blocking,
)
from rmr1.prompts import Attack, Prompt, find_attacks
from rmr1.records import Comparison, Generation, GenerationRequest, Judgment, PreferencePair, Side, Usage
from rmr1.report.audit import AuditFacts, AuditSample, write_audit_report
from rmr1.results import AuditResults
from rmr1.robustness.figures import Answers, Target, attack_results, corrected, preferred, read_answers
from rmr1.runs import NullCallbacks, RunDirectory, read_journal
from rmr1.sides import OTHER_SIDE, decisive, pair_side

RESULTS, REPORT = "results.json", "report.html"
_JOURNAL = "completions.jsonl"
_CLEAN = "clean"
_SHOWN = 3
"""This many flips of each attack are shown in the report."""
Known = Mapping[tuple[str, str], Completion]
"""Completions by request and hash of the prompt."""


@dataclass(frozen=True, slots=True)
class AuditRunResult:
    """What an audit leaves behind: its directory, what ``results.json`` says, and how many requests the engine failed on."""

    run: Path
    results: AuditResults
    unanswered: int


@dataclass(frozen=True, slots=True)
class AttackPlan(JudgingPlan):
    """A plan that shows one response of each pair under attack.

    Args:
        attack: The attack; None shows pairs as they are.
        losers: The side of each pair that should lose, by the pair's id.
    """

    attack: Attack | None
    losers: Mapping[str, Side]

    def request(self, comparison: Comparison) -> tuple[GenerationRequest, Prompt]:
        """The request of a comparison whose losing response is under attack."""
        return JudgingPlan.request(self, self.attacked(comparison))

    def attacked(self, comparison: Comparison) -> Comparison:
        """The comparison as the judge is shown it."""
        loser = self.losers.get(comparison.pair_id)
        if self.attack is None or loser is None:
            return comparison
        letter = pair_side(loser, comparison.order)
        seed = f"{self.config.seed}/{comparison.pair_id}"
        if letter == "A":
            return replace(comparison, shown_a=self.attack.apply(comparison.shown_a, "A", self.template, seed))
        return replace(comparison, shown_b=self.attack.apply(comparison.shown_b, "B", self.template, seed))

    def identity(self) -> Mapping[str, object]:
        """As of the plan without an attack, with the attack and its texts."""
        own = JudgingPlan.identity(self)
        if self.attack is None:
            return own
        return {**own, "attack": self.attack.name, "attack_sha256": self.attack.sha256(self.template)}


class RecallingEngine:
    """Answers prompts that are answered already from memory, and has another engine answer the rest.

    Args:
        engine: The other engine.
        known: What is answered.
    """

    def __init__(self, engine: Engine, known: Known) -> None:
        self.name = engine.name
        self.embedded = engine.embedded
        self.computes_in_caller = engine.computes_in_caller
        self.think_open = engine.think_open
        self.writes_logprobs = engine.writes_logprobs
        self.obeys_grammars = engine.obeys_grammars
        self._engine = engine
        self._known = known

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def identity(self) -> Mapping[str, object]:
        """The other engine's."""
        return self._engine.identity()

    async def aclose(self) -> None:
        """Whoever opened the other engine closes it."""

    async def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        """The generations of all requests."""
        recalled: deque[Generation] = deque()

        def unknown() -> Iterator[GenerationRequest]:
            for request in requests:
                found = self._known.get((request.id, prompt_sha256(request.messages)))
                if found is None:
                    yield request
                else:
                    recalled.append(_again(found))

        async with aclosing(self._engine.generate(unknown())) as generations:
            async for generation in generations:
                while recalled:
                    yield recalled.popleft()
                yield generation
        while recalled:
            yield recalled.popleft()


def _again(completion: Completion) -> Generation:
    """A completion as the generation that it was; its tokens were counted where it was written."""
    return Generation(
        completion.request,
        completion.text,
        completion.finish_reason,
        Usage(),
        think_open=completion.think_open,
        finish_detail=completion.finish_detail,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """A part that is done: its completions by request, what other parts need of them, and its result."""

    answers: Answers
    known: Known
    result: JudgeRunResult


class _Audit:
    """The parts of one audit."""

    def __init__(self, directory: RunDirectory, engine: Engine, plan: JudgingPlan, callbacks: JudgeCallbacks) -> None:
        self._directory = directory
        self._engine = engine
        self._plan = plan
        self._callbacks = callbacks
        self.tokens = Usage()
        self.repeated = self.unanswered = 0

    def plan(self, attack: Attack | None, losers: Mapping[str, Side], *, fence: bool) -> AttackPlan:
        config = self._plan.config.model_copy(update={"fence": fence})
        return AttackPlan(config, self._plan.template, self._plan.grammar, False, attack=attack, losers=losers)

    async def part(self, plan: AttackPlan, pairs: Sequence[PreferencePair], known: Sequence[Known]) -> _Part:
        """Judge the pairs under one attack with one setting of the fence."""
        name = f"{plan.attack.name if plan.attack else _CLEAN}-{'fenced' if plan.config.fence else 'unfenced'}"
        self._callbacks.say(name)
        identity = {**self._directory.identity, **plan.identity(), "part": name}
        everything = {key: one for part in known for key, one in part.items()}
        path = self._directory.path / name
        with RunDirectory(path, identity) as directory:
            engine: Any = RecallingEngine(self._engine, everything)
            run = JudgeRun(engine, plan, directory, self._callbacks, total_pairs=len(pairs))
            result = await run.conclude(pairs)
        completions = [Completion.from_record(line.record) for line in read_journal(path, _JOURNAL)]
        mine = {(one.request, one.prompt_sha256): one for one in completions}
        self.tokens += sum((one.usage for one in completions), Usage())
        self.repeated += sum(key in everything for key in mine)
        self.unanswered += result.results.unanswered
        return _Part(read_answers(completions, plan.config.rule), mine, result)


def audit_judge(
    pairs: PairTask | PairSource | str | Path,
    config: JudgeConfig | None = None,
    *,
    attacks: Sequence[str] = (),
    engine: Engine | None = None,
    limit: int | None = None,
    run: str | Path | None = None,
    callbacks: JudgeCallbacks | None = None,
    **settings: Any,
) -> AuditRunResult:
    """Attack a judge, and count the verdicts that flip.

    The response that should lose is attacked: the worse one by the label, or by the judge's own judgment where there is no label.

    Args:
        pairs: A path or ``hf:OWNER/NAME``, what ``load_pairs`` gave, or a task.
        config: How to judge; ``fence`` is ignored, since both settings are measured.
        attacks: Names of attacks; all of them by default.
        engine: A loaded engine instead of the model that the configuration names; it stays open.
        limit: Take the first N pairs.
        run: Directory of the run; the same one resumes it. By default it is named after the data and the configuration.
        callbacks: Receive progress; the default reports nothing.
        settings: Instead of ``config``, any field of ``JudgeConfig``.

    Raises:
        ConfigError: A setting or an attack is unknown, or the judge scores each response by itself.
        DataError: The source cannot be read, or no pair has a response that should lose.
        EngineError: The engine is gone; what is done is kept.
    """
    config = resolve_config(JudgeConfig, config, settings)
    if config.max_total_tokens is not None or config.max_cost is not None:
        raise ConfigError("--audit takes no budget: each attack needs all its pairs; take fewer with --limit")
    if engine is not None:
        config = config.model_copy(update={"model": engine.name})
    task = PairTask.of(pairs, limit=limit, run=run)
    return run_blocking(_audit(task, config, find_attacks(attacks), engine, callbacks or NullCallbacks()))


async def _audit(
    task: PairTask, config: JudgeConfig, attacks: Sequence[Attack], engine: Engine | None, callbacks: JudgeCallbacks
) -> AuditRunResult:
    source = task.open()
    callbacks.say(source.shape.describe())
    pairs = list(islice(source, task.limit))
    model = open_model(engine or config.model, config.engine, concurrency=config.concurrency)
    try:
        plan = plan_judging(config.model_copy(update={"logprobs": False}), model.engine, model_template=model.template)
        if plan.scores_one:
            raise ConfigError(
                f"--audit: {model.engine.name} scores each response by itself; only judges that compare are attacked"
            )
        identity = {
            "job": "audit",
            "data_sha256": source.fingerprint(),
            "limit": task.limit,
            "engine": model.engine.name,
            **model.engine.identity(),
            **{name: value for name, value in plan.identity().items() if not name.startswith("fence")},
        }
        with RunDirectory(task.run_path("audit", identity), identity) as directory:
            audit = _Audit(directory, model.engine, plan, callbacks)
            results, samples = await _run_parts(audit, attacks, pairs)
            directory.write_json(RESULTS, results.to_json())
            facts = AuditFacts(
                f"{config.model} on {task.title}", {"model": config.model, "data": task.called, **identity}
            )
            write_audit_report(facts, results, samples, directory.path / REPORT)
            return AuditRunResult(directory.path, results, audit.unanswered)
    finally:
        if engine is None:
            await model.engine.aclose()


async def _run_parts(
    audit: _Audit, attacks: Sequence[Attack], pairs: Sequence[PreferencePair]
) -> tuple[AuditResults, list[AuditSample]]:
    everything, pairs = pairs, [pair for pair in pairs if pair.label != "tie"]
    clean_on = await audit.part(audit.plan(None, {}, fence=True), pairs, ())
    losers, by_label = _losers(pairs, clean_on)
    attacked = [pair for pair in pairs if pair.id in losers]
    if not attacked:
        raise DataError(
            "no pair has a response that should lose: neither a label nor a judgment names one; take other pairs"
        )
    clean_off = await audit.part(audit.plan(None, {}, fence=False), pairs, (clean_on.known,))
    found, samples = [], []
    targets = _targets(attacked, losers, clean_on.answers)
    for attack in attacks:
        plan = audit.plan(attack, losers, fence=True)
        on = await audit.part(plan, attacked, (clean_on.known,))
        open_plan = audit.plan(attack, losers, fence=False)
        off = await audit.part(open_plan, attacked, (clean_off.known, on.known))
        parts = (clean_on.answers, clean_off.answers), (on.answers, off.answers)
        found.append(attack_results(attack.name, attack.meaning, targets, *parts))
        samples += [*_flips(plan, attacked, clean_on, on), *_flips(open_plan, attacked, clean_off, off)]
    results = AuditResults(
        pairs=len(attacked),
        by_label=by_label,
        left_out=len(everything) - len(attacked),
        completions=len(targets),
        preferred=preferred(clean_on.answers, targets),
        attacks=corrected(found),
        tokens=audit.tokens,
        repeated=audit.repeated,
    )
    return results, samples


def _losers(pairs: Iterable[PreferencePair], clean: _Part) -> tuple[dict[str, Side], int]:
    """The side of each pair that should lose, and how many are known by their label."""
    losers: dict[str, Side] = {}
    by_label = 0
    sides: dict[str, set[Side | None]] = {}
    for request, seen in clean.answers.items():
        sides.setdefault(request.rsplit("/", 2)[0], set()).add(seen.side)
    for pair in pairs:
        better = decisive(pair.label)
        if better is not None:
            losers[pair.id] = OTHER_SIDE[better]
            by_label += 1
            continue
        said = sides.get(pair.id, set())
        winner = next(iter(said)) if len(said) == 1 else None
        if winner is not None:
            losers[pair.id] = OTHER_SIDE[winner]
    return losers, by_label


def _targets(pairs: Iterable[PreferencePair], losers: Mapping[str, Side], clean: Answers) -> dict[str, Target]:
    clusters = {pair.id: cluster_of(pair) for pair in pairs}
    found = {}
    for request in clean:
        pair_id = request.rsplit("/", 2)[0]
        if pair_id in clusters:
            found[request] = Target(losers[pair_id], clusters[pair_id])
    return found


def _flips(plan: AttackPlan, pairs: Sequence[PreferencePair], clean: _Part, attacked: _Part) -> Iterator[AuditSample]:
    """The first pairs whose judgment was right and is not any more, with what the judge was shown."""
    before = {judgment.id: judgment for _, judgment in clean.result.first}
    shown = 0
    for pair, judgment in attacked.result.first:
        loser = plan.losers[pair.id]
        if shown < _SHOWN and _is_flip(loser, before.get(pair.id), judgment):
            shown += 1
            comparison = plan.attacked(next(plan.comparisons(pair)))
            sides = (comparison.shown_a, comparison.shown_b)
            first, second = sides if comparison.order == "ab" else sides[::-1]
            changed = replace(pair, response_a=first, response_b=second)
            name = plan.attack.name if plan.attack else _CLEAN
            yield AuditSample(name, plan.config.fence, changed, judgment)


def _is_flip(loser: Side, before: Judgment | None, after: Judgment) -> bool:
    if before is None:
        return False
    held = {vote.side for vote in before.votes} == {OTHER_SIDE[loser]}
    return held and any(vote.side == loser for vote in after.votes)
