"""One examination: the checks in their order, each made if what it needs is there, and told with its fix."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from rmr1.config import EngineConfig, JudgeConfig, list_keys, resolve_config
from rmr1.doctor import answers, files, server, setup
from rmr1.doctor.answers import Answered, Interview, failed
from rmr1.doctor.cases import MARKS, SAMPLED, SHORT, grammar_request, obvious_pairs
from rmr1.engines import Engine, open_model
from rmr1.errors import ConfigError, EngineError, MissingExtraError, ModelNotFoundError, RMR1Error
from rmr1.judging import JudgingPlan, plan_judging, run_blocking
from rmr1.models import ResolvedModel, cached_file, resolve_model
from rmr1.records import Usage
from rmr1.results import CheckResult, CheckStatus, DoctorResults
from rmr1.runs import Callbacks, NullCallbacks

MODEL, LIBRARY, LEARNT = "model argument", "engine library", "request fields"
CHECKS = (
    *(MODEL, LIBRARY, server.SERVER, server.ADDRESS, server.KEY, server.LISTED, files.FILES, files.TEMPLATE),
    *(files.SYSTEM, files.THINK, files.BEGIN, answers.MARKED, setup.JUDGE_TEMPLATE, setup.CONTEXT, setup.MACHINE),
    *(answers.ANSWER, LEARNT, answers.VERDICTS, answers.OBVIOUS, answers.POSITION, answers.LENGTH),
    *(answers.PROBABILITIES, answers.GRAMMAR, answers.SAME, answers.SAMPLING, answers.REUSE),
)
"""All checks in the order in which they are told."""
_DECISIVE = frozenset(
    {MODEL, LIBRARY, server.SERVER, server.ADDRESS, server.KEY, files.FILES, files.TEMPLATE, answers.ANSWER}
)
"""If one of these fails, nothing can be asked."""
_OURS = ("hf", "llamacpp", "vllm")
"""Engines that run files of this machine."""


class DoctorCallbacks(Callbacks, Protocol):
    """Events of an examination."""

    def started(self, total: int | None, done: int) -> None:
        """Up to ``total`` requests will be sent."""

    def answered(self, usage: Usage) -> None:
        """One more request is answered."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen before anything was asked."""

    resolved: ResolvedModel | None = None
    server: server.ServerFacts | None = None
    files: files.ModelFiles | None = None


class _Record:
    """Findings by the name of their check; the first one about a check counts, unless a later one is worse."""

    def __init__(self) -> None:
        self.checks: dict[str, CheckResult] = {}

    def add(self, *checks: CheckResult) -> None:
        for check in checks:
            known = self.checks.get(check.name)
            if known is None or _WORSE.index(check.status) > _WORSE.index(known.status):
                self.checks[check.name] = check

    @property
    def decisive(self) -> CheckResult | None:
        """The first failure after which nothing can be asked."""
        found = (self.checks[name] for name in CHECKS if name in self.checks and name in _DECISIVE)
        return next((check for check in found if check.status == "fail"), None)

    def complete(self) -> tuple[CheckResult, ...]:
        """All checks; one that was not made says why."""
        failure = self.decisive
        why = f"{failure.name} has to be fixed first" if failure else "it does not apply to this engine"
        return tuple(
            self.checks.get(name) or CheckResult(name, "skipped", f"not checked, because {why}") for name in CHECKS
        )


_WORSE = ("skipped", "ok", "warn", "fail")


def examine(
    model: str, config: JudgeConfig | None = None, *, callbacks: DoctorCallbacks | None = None, **settings: Any
) -> DoctorResults:
    """Find out what is wrong with a set-up.

    Args:
        model: As in ``JudgeConfig.model``.
        config: How it is going to be used; the examination itself judges with one vote in both orders at temperature 0.
        callbacks: Receive progress; the default reports nothing.
        settings: Instead of ``config``, any field of ``JudgeConfig``.

    Returns:
        Every check: what was seen, and its fix. Nothing is raised for a set-up that does not work.

    Raises:
        ConfigError: A setting is wrong.
    """
    began = time.monotonic()
    config = resolve_config(JudgeConfig, config, {} if config is not None else settings)
    config = config.model_copy(update={"model": model, "votes": 1, "temperature": 0.0, "orders": "both"})
    record = _Record()
    seen = _look(config, record)
    interview: Interview | None = None
    if record.decisive is None and seen.resolved is not None:
        told = callbacks or NullCallbacks()
        interview = run_blocking(_examine_engine(config, seen, record, told))
    return DoctorResults(
        model,
        record.complete(),
        interview.requests if interview else 0,
        interview.usage if interview else Usage(),
        round(time.monotonic() - began, 3),
    )


def _look(config: JudgeConfig, record: _Record) -> _Seen:
    """Everything that can be seen without asking the model."""
    try:
        resolved = resolve_model(config.model)
    except (ConfigError, ModelNotFoundError) as error:
        record.add(failed(MODEL, str(error)))
        return _Seen()
    record.add(CheckResult(MODEL, "ok", f"{resolved.name}, run by the engine {resolved.engine}"))
    record.add(setup.check_judge_template(config, resolved))
    if resolved.engine == "openai" or (config.engine.base_url and resolved.engine not in _OURS):
        return _look_at_server(config, resolved, record)
    path = _path_of(resolved)
    if path is None:
        return _Seen(resolved)
    found = files.look_at_files(path)
    record.add(*found.checks)
    if any(check.status == "fail" for check in found.checks):
        return _Seen(resolved, None, found)
    record.add(files.check_template(found))
    if found.template is not None and record.decisive is None:
        record.add(files.check_begin(found), _system_of(config, found.template))
    record.add(setup.check_machine(config, engine=None, slots=None, size=found.size))
    return _Seen(resolved, None, found)


def _look_at_server(config: JudgeConfig, resolved: ResolvedModel, record: _Record) -> _Seen:
    try:
        facts = server.look_at_server(resolved.name, config.engine)
    except MissingExtraError as error:
        record.add(failed(LIBRARY, str(error)))
        return _Seen(resolved)
    record.add(*facts.checks)
    if facts.begin is not None:
        record.add(facts.begin)
    if facts.template is not None:
        record.add(_system_of(config, files.ChatTemplate(facts.template)))
    return _Seen(resolved, facts)


def _system_of(config: JudgeConfig, template: files.ChatTemplate) -> CheckResult:
    if config.system_role == "merge":
        return CheckResult(
            files.SYSTEM, "ok", "instructions stand at the head of the user message, as with --system-role merge"
        )
    return files.check_system(template)


def _path_of(resolved: ResolvedModel) -> Path | None:
    """The model's files on this machine; None if an engine has to find, fetch or convert them first."""
    if resolved.engine not in _OURS:
        return None
    if resolved.entry is not None and resolved.engine == "llamacpp":
        return cached_file(resolved.entry)
    path = Path(resolved.name).expanduser()
    return path if path.is_file() or (path / "config.json").is_file() else None


async def _examine_engine(
    config: JudgeConfig, seen: _Seen, record: _Record, callbacks: DoctorCallbacks
) -> Interview | None:
    assert seen.resolved is not None
    quick = config.engine.model_copy(update={"max_retries": min(config.engine.max_retries, 1)})
    try:
        model = open_model(seen.resolved, quick, concurrency=config.concurrency)
    except MissingExtraError as error:
        record.add(failed(LIBRARY, str(error)))
        return None
    except RMR1Error as error:
        record.add(failed(answers.ANSWER, str(error)))
        return None
    record.add(CheckResult(LIBRARY, "ok", f"what the engine {seen.resolved.engine} needs is installed"))
    system = record.checks.get(files.SYSTEM)
    if system is not None and system.status == "fail":  # so that the rest can be examined too
        config = config.model_copy(update={"system_role": "merge"})
    interview = Interview(model.engine, callbacks.answered)
    try:
        sober = config.model_copy(update={"constrain": config.constrain and model.engine.obeys_grammars})
        sober = sober.model_copy(update={"logprobs": model.engine.writes_logprobs})
        plan = plan_judging(sober, model.engine, model_template=model.template)
        if plan.scores_one:
            raise ConfigError(
                "it scores one response at a time, and the examination asks which of two is better; judge labelled pairs with it: "
                "rmr1 judge FILE"
            )
        _say_cost(plan, model.engine, callbacks)
        await _question(config, plan, seen, interview, record)
    except RMR1Error as error:
        record.add(failed(answers.ANSWER, str(error)))
    finally:
        await model.engine.aclose()
    return interview


def _say_cost(plan: JudgingPlan, engine: Engine, callbacks: DoctorCallbacks) -> None:
    """Say before the first request what the examination may take at most."""
    comparisons = 2 * len(obvious_pairs())
    requests = 2 + comparisons + 2 + 6 + 3 + 3 + (0 if engine.embedded else 2 + 1 + len(MARKS))
    longest = plan.config.max_tokens
    tokens = comparisons * longest + 2 * max(4096, longest) + 6 * SHORT + 3 * SAMPLED + 200
    callbacks.say(f"up to {requests} requests, which write {tokens:,} tokens at the very most")
    callbacks.started(requests, 0)


async def _question(config: JudgeConfig, plan: JudgingPlan, seen: _Seen, interview: Interview, record: _Record) -> None:
    engine, facts = interview.engine, seen.server
    record.add(await _guarded(answers.ANSWER, answers.check_first_answer(interview)))
    if facts is not None:
        answers_at_all = record.checks[answers.ANSWER].status == "ok"
        record.add(server.check_listed(_named(seen), facts.models, answers=answers_at_all))
    if record.decisive is not None:
        return
    if not engine.embedded and config.system_role == "system":
        record.add(await _guarded(files.SYSTEM, answers.check_system_answer(interview)))
        if record.checks[files.SYSTEM].status == "fail":
            plan = plan_judging(
                plan.config.model_copy(update={"system_role": "merge"}), engine, model_template=plan.template.name
            )
    comparisons = list(chain.from_iterable(plan.comparisons(pair) for pair in obvious_pairs()))
    answered = await answers.ask_obvious(interview, plan, comparisons)
    opens = _template_opens(seen)
    record.add(answers.check_verdicts(answered), answers.check_obvious(answered), answers.check_position(answered))
    record.add(answers.check_think(engine, answered, template_opens=opens))
    record.add(answers.check_probabilities(engine, answered))
    record.add(setup.check_context(config, answered, context=_context(seen, engine), embedded=engine.embedded))
    slots = facts.slots if facts else None
    if not engine.embedded:
        record.add(setup.check_machine(config, engine=engine, slots=slots, size=0))
    await _question_further(config, plan, seen, interview, record, answered)


async def _question_further(
    config: JudgeConfig,
    plan: JudgingPlan,
    seen: _Seen,
    interview: Interview,
    record: _Record,
    answered: Sequence[Answered],
) -> None:
    """The checks that ask more than to judge the obvious pairs; one that fails leaves the others to be made."""
    engine = interview.engine
    if any(one.generation.finish_reason != "error" for one in answered):
        record.add(
            await _guarded(answers.LENGTH, answers.check_length(interview, plan, answered)),
            await _guarded(answers.SAME, answers.check_determinism(interview, answered)),
        )
    else:
        because = f"not checked, because {answers.VERDICTS} has to be fixed first"
        record.add(*(CheckResult(name, "skipped", because) for name in (answers.LENGTH, answers.SAME)))
    record.add(
        await _guarded(answers.SAMPLING, answers.check_sampling(interview)),
        await _guarded(answers.GRAMMAR, _check_grammar(config, seen, interview)),
        await _guarded(answers.REUSE, answers.check_reuse(interview, answered)),
    )
    if engine.embedded:
        record.add(CheckResult(answers.MARKED, "ok", "this engine makes no control tokens of the letters in a text"))
    else:
        fenced = config.fence
        record.add(await _guarded(answers.MARKED, answers.check_marks(interview, fenced=fenced)))
    record.add(_check_learnt(interview))


async def _guarded(name: str, check: Awaitable[CheckResult]) -> CheckResult:
    """A check, or its failure if the engine ends."""
    try:
        return await check
    except EngineError as error:
        return failed(name, str(error))


async def _check_grammar(config: JudgeConfig, seen: _Seen, interview: Interview) -> CheckResult:
    engine = interview.engine
    if engine.obeys_grammars:
        return await answers.check_grammar(interview, wanted=config.constrain)
    ways = next(key for key in list_keys(EngineConfig) if key.name == "server_grammar").choices
    if seen.server is None or seen.resolved is None:
        return CheckResult(
            answers.GRAMMAR,
            "fail" if config.constrain else "skipped",
            f"{engine.name} takes no grammar",
            _WITHOUT * config.constrain,
        )
    for way in ways:
        settings = config.engine.model_copy(update={"server_grammar": way, "max_retries": 0})
        other = open_model(seen.resolved, settings, concurrency=1).engine
        try:
            asked = Interview(other, lambda usage: None)
            generation, _ = await asked.one(grammar_request(f"grammar/{way}"))
        finally:
            await other.aclose()
        interview.requests += asked.requests
        interview.usage += asked.usage
        if answers.obeys(generation):
            status: CheckStatus = "fail" if config.constrain else "ok"
            seen_now = f"the server obeys grammars, as {way} takes them"
            return CheckResult(
                answers.GRAMMAR, status, seen_now, f"to use --constrain, pass --engine-server-grammar {way}"
            )
    sought = f"the server obeys no grammar, sent as any of {', '.join(ways)} takes it: it leaves the field aside"
    return CheckResult(answers.GRAMMAR, "fail" if config.constrain else "warn", sought, _WITHOUT)


_WITHOUT = "do without --constrain on this server"


def _check_learnt(interview: Interview) -> CheckResult:
    """What the server refuses of our requests."""
    notes = [note for note in interview.notes if "refuses" in note]
    if not notes:
        return CheckResult(LEARNT, "ok", "the engine takes all fields of our requests")
    fix = "set what the note names, so that no run has to learn it again"
    return CheckResult(LEARNT, "warn", "; ".join(notes), fix)


def _named(seen: _Seen) -> str:
    return seen.resolved.name if seen.resolved is not None else ""


def _template_opens(seen: _Seen) -> bool | None:
    if seen.files is not None and seen.files.template is not None:
        return files.opens_think(seen.files.template)
    if seen.server is not None and seen.server.template is not None:
        return files.opens_think(files.ChatTemplate(seen.server.template))
    return None


def _context(seen: _Seen, engine: Engine) -> int | None:
    """The smallest of the contexts that anybody names."""
    own = engine.identity().get("context")
    named = (
        own if isinstance(own, int) else None,
        seen.server.context if seen.server else None,
        seen.files.context if seen.files else None,
    )
    found: Iterable[int] = [one for one in named if one]
    return min(found, default=None)
