"""A run as logs of inspect_ai: one for each benchmark, to be read with its viewer and its data frames.

A sample is a comparison. Its messages are the completions of all orders and votes, each after a message that says what was
shown; the same completions are the choices of the sample's output. Target and answers are in the frame of the pair. Its score is
the comparison's value under a protocol. Metrics are the figures of ``results.json`` with their intervals, not means over samples:
averages weigh subsets, and of best of N what counts is the item. The shapes are those of ``inspect_ai.log``, written with its own
classes. The same run makes the same log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rmr1.benchmarks.benchmark import PROTOCOLS, Benchmark, Entry, Policy, Protocol
from rmr1.benchmarks.eval_runs import JudgedBenchmark, read_run
from rmr1.benchmarks.judged import Judged
from rmr1.errors import ConfigError, MissingExtraError, RunError
from rmr1.files import storage
from rmr1.judging import Completion, read_texts
from rmr1.records import Message, PreferencePair, Side, Verdict
from rmr1.results import ProtocolScores, plain
from rmr1.runs import read_manifest
from rmr1.sides import pair_side, show

ENDINGS = (".eval", ".json")
FEATURE = "a log of inspect_ai"


@dataclass(frozen=True, slots=True)
class ShownProtocol:
    """The judge's name, and the protocol that gives values."""

    model: str
    protocol: Protocol
    policy: Policy


def inspect_sample(
    judged: Judged,
    written: Sequence[Completion],
    value: float | None,
    shown: ShownProtocol,
    pair: PreferencePair | None,
) -> Any:
    """Make an ``inspect_ai.log.EvalSample``.

    Args:
        judged: The comparison, its completions read by the rule of the protocol.
        written: The same completions as texts, in the same order.
        value: The comparison's value under the protocol; None where it has none.
        shown: The judge and the protocol.
        pair: The texts of the comparison, where there are any.
    """
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ModelUsage

    entry = judged.entry
    prompts, answers = (
        [_prompt(sample, pair) for sample in written],
        [_answer(sample, shown.model) for sample in written],
    )
    usage = ModelUsage(
        input_tokens=sum(sample.usage.prompt_tokens for sample in written),
        output_tokens=sum(sample.usage.completion_tokens for sample in written),
        total_tokens=sum(sample.usage.prompt_tokens + sample.usage.completion_tokens for sample in written),
    )
    return EvalSample(
        id=entry.id,
        epoch=1,
        input=_text(pair.prompt) if pair else f"The run does not hold the texts. Prompt {entry.prompt}.",
        choices=[_text(pair.response_a), _text(pair.response_b)] if pair else ["A", "B"],
        target=entry.label,
        messages=[message for turn in zip(prompts, answers, strict=True) for message in turn],
        output=_output(written, answers, usage, shown.model),
        scores={shown.protocol: _score(judged, written, value, shown)},
        metadata={"subset": entry.subset, "item": entry.item, "prompt": entry.prompt,
                  "length_a": entry.length_a, "length_b": entry.length_b},
        model_usage={shown.model: usage},
        uuid=hashlib.sha256(entry.id.encode()).hexdigest()[:22],
    )  # fmt: skip


def _prompt(sample: Completion, pair: PreferencePair | None) -> Any:
    from inspect_ai.model import ChatMessageUser

    first, second = pair_side("A", sample.order), pair_side("B", sample.order)
    text = f"Order {sample.order}, vote {sample.vote}: shown first is the pair's {first}, second its {second}."
    if pair:
        seen = show(pair, sample.order)
        texts = (seen.prompt, seen.shown_a, seen.shown_b)
        named = zip(("Prompt", f"First, {first}", f"Second, {second}"), texts, strict=True)
        text = "\n\n".join([text, *(f"{name}:\n{_text(turns)}" for name, turns in named)])
    return ChatMessageUser(id=f"{sample.request}/asked", content=text)


def _answer(sample: Completion, model: str) -> Any:
    from inspect_ai.model import ChatMessageAssistant

    about = {"order": sample.order, "vote": sample.vote, "prompt_sha256": sample.prompt_sha256}
    return ChatMessageAssistant(id=f"{sample.request}/answered", content=sample.text, model=model, metadata=about)


_STOP_REASONS = {"length": "max_tokens", "refused": "content_filter"}


def _output(written: Sequence[Completion], answers: Sequence[Any], usage: Any, model: str) -> Any:
    from inspect_ai.model import ChatCompletionChoice, ModelOutput

    choices = [
        ChatCompletionChoice(message=answer, stop_reason=_STOP_REASONS.get(sample.finish_reason, "stop"))
        for sample, answer in zip(written, answers, strict=True)
    ]
    return ModelOutput(model=model, choices=choices, usage=usage)


def _score(judged: Judged, written: Sequence[Completion], value: float | None, shown: ShownProtocol) -> Any:
    from inspect_ai.scorer import Score

    read = [(sample, verdict) for sample, (_, verdict) in zip(written, judged.verdicts, strict=True)]
    if judged.scores is not None:
        return _scores_compared(judged, read, value, shown)
    sides = [pair_side(verdict.side, sample.order) for sample, verdict in read]
    named = [f"{sample.order} {side or 'none'}" for (sample, _), side in zip(read, sides, strict=True)]
    answer = (sides[0] or "none") if len(set(sides)) == 1 else ", ".join(named)
    lines = [
        f"{sample.order}, vote {sample.vote}: {_said(side, verdict, judged.entry)}"
        for (sample, verdict), side in zip(read, sides, strict=True)
    ]
    if value is None:
        lines.append("left out: another comparison of its item is not judged")
        return Score.unscored(reason="scoring_failed", answer=answer, explanation="\n".join(lines))
    lines.append(f"worth {value:g} by {shown.protocol}: {shown.policy.note}")
    reason = None if any(sides) else "invalid_response_format"
    return Score(value=value, answer=answer, explanation="\n".join(lines), reason=reason)


def _scores_compared(
    judged: Judged, read: Sequence[tuple[Completion, Verdict]], value: float | None, shown: ShownProtocol
) -> Any:
    """The score of a comparison whose responses were scored one by one."""
    from inspect_ai.scorer import Score

    lines = []
    for sample, verdict in read:
        said = f"no score ({verdict.invalid})" if verdict.score is None else f"score {verdict.score:g}"
        lines.append(f"response {pair_side('A', sample.order)} alone, vote {sample.vote}: {said}")
    named = ", ".join("none" if score is None else f"{score:g}" for score in judged.scores or ())
    if value is None:
        lines.append("left out: another comparison of its item is not judged")
        return Score.unscored(reason="scoring_failed", answer=named, explanation="\n".join(lines))
    lines.append(f"worth {value:g} by {shown.protocol}: {shown.policy.note}")
    reason = None if None not in (judged.scores or ()) else "invalid_response_format"
    return Score(value=value, answer=named, explanation="\n".join(lines), reason=reason)


def _said(side: Side | None, verdict: Verdict, entry: Entry) -> str:
    if side is None:
        return f"no verdict ({verdict.invalid})"
    return f"shown {verdict.side}, which is the pair's {side}: {'right' if side == entry.label else 'wrong'}"


def _text(turns: tuple[Message, ...]) -> str:
    return turns[0].content if len(turns) == 1 else "\n\n".join(f"{turn.role}: {turn.content}" for turn in turns)


@dataclass(frozen=True, slots=True)
class _LogSource:
    """What a log is made of: a benchmark with its results, the protocol that is shown, the judge, and texts if there are any."""

    judged: JudgedBenchmark
    scores: ProtocolScores
    protocol: Protocol
    policy: Policy
    identity: Mapping[str, Any]
    created: str
    texts: Mapping[str, PreferencePair]

    @property
    def shown(self) -> ShownProtocol:
        return ShownProtocol(str(self.identity["engine"]), self.protocol, self.policy)


def write_inspect_logs(run: Path, out: Path, protocol: Protocol, benchmarks: Iterable[Benchmark] = ()) -> list[Path]:
    """Write a log for each benchmark of a run that is judged, even in part.

    Args:
        run: A run of ``rmr1 eval``.
        out: A name that ends in ``.eval`` or ``.json``. Where the run has several benchmarks, each name gets the benchmark's
            before its ending.
        protocol: Which values and figures the log has; where a benchmark does not have it, the first one that it has.
        benchmarks: Benchmarks that no installed package offers.

    Returns:
        The files that were written.

    Raises:
        ConfigError: ``out`` ends otherwise.
        MissingExtraError: inspect_ai is not installed.
        RunError: ``run`` is no run, or nothing in it is judged.
        JournalError: A journal is damaged.
    """
    if out.suffix not in ENDINGS:
        raise ConfigError(f"--out {out}: a log of inspect_ai ends in {' or '.join(ENDINGS)}")
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as error:
        raise MissingExtraError(FEATURE, "inspect") from error
    sources = list(_sources(run, protocol, benchmarks))
    if not sources:
        raise RunError(f"{run}: nothing is judged yet; run the same rmr1 eval again")
    with storage(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for source in sources:
        name = source.judged.benchmark.name
        path = out if len(sources) == 1 else out.with_name(f"{out.stem}-{name}{out.suffix}")
        with storage(path):
            write_eval_log(_log(source), str(path))
        written.append(path)
    return written


def _sources(run: Path, protocol: Protocol, benchmarks: Iterable[Benchmark]) -> Iterator[_LogSource]:
    found = read_run(run, benchmarks=benchmarks)
    created = read_manifest(run).created
    for judged in found.benchmarks:
        protocols = judged.score().protocols
        shown = next((name for name in (protocol, *PROTOCOLS) if name in protocols), None)
        if shown:
            policy = judged.benchmark.policies[shown]
            texts = {pair.id: pair for pair in read_texts(judged.path)}
            yield _LogSource(judged, protocols[shown], shown, policy, found.identity, created, texts)


def _log(source: _LogSource) -> Any:
    from inspect_ai.log import EvalLog, EvalResults, EvalStats
    from inspect_ai.model import ModelUsage

    completions = source.judged.completions
    tokens = completions.tokens
    usage = ModelUsage(input_tokens=tokens.prompt_tokens, output_tokens=tokens.completion_tokens)
    return EvalLog(
        status="started" if completions.unjudged else "success",
        eval=_spec(source),
        results=EvalResults(
            total_samples=len(completions.entries),
            completed_samples=len(completions.judged),
            scores=[_figures(source)],
        ),
        stats=EvalStats(model_usage={source.shown.model: usage}),
        samples=list(_samples(source)),
    )


def _spec(source: _LogSource) -> Any:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalSpec
    from inspect_ai.model import GenerateConfig

    benchmark, judge, data = source.judged.benchmark, source.identity, source.judged.data
    settings = {name: judge[name] for name in ("template", "orders", "votes", "rule", "fence") if name in judge}
    name = f"{benchmark.name} {json.dumps(dict(judge), sort_keys=True)}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:22]
    return EvalSpec(
        eval_id=digest,
        run_id=digest,
        task_id=digest,
        created=source.created,
        task=benchmark.name,
        task_display_name=benchmark.title,
        task_version=data.data_sha256[:12],
        task_args=settings | {"protocol": source.protocol},
        dataset=EvalDataset(
            name=benchmark.title,
            location=benchmark.source,
            samples=len(source.judged.completions.entries),
            sample_ids=[entry.id for entry in source.judged.completions.entries],
        ),
        model=source.shown.model,
        model_generate_config=GenerateConfig(
            **{name: judge[name] for name in ("temperature", "max_tokens", "seed") if name in judge}
        ),
        config=EvalConfig(epochs=1),
        packages={"rmr1": version("rmr1")},
        metadata={"problems": list(data.problems), "notes": list(benchmark.notes)},
    )


def _figures(source: _LogSource) -> Any:
    from inspect_ai.log import EvalMetric, EvalScore

    metrics = {
        name: EvalMetric(
            name=name, value=figure.value, metadata={key: part for key, part in plain(figure).items() if key != "value"}
        )
        for name, figure in source.scores.metrics.items()
    }
    completions = source.judged.completions
    return EvalScore(
        name=source.protocol,
        scorer=source.protocol,
        scored_samples=len(_values(source)),
        unscored_samples=len(completions.judged) - len(_values(source)),
        metrics=metrics,
        metadata={"policy": source.scores.policy, "interval": "low and high of a metric's metadata, 95 %"},
    )


def _values(source: _LogSource) -> dict[Entry, float]:
    judged = source.judged
    return dict(judged.completions.values(source.policy, judged.context, whole_items=judged.benchmark.whole_items))


def _samples(source: _LogSource) -> Iterator[Any]:
    completions, values = source.judged.completions, _values(source)
    for judged in completions.read(source.policy.rule or source.judged.context.rule):
        entry = judged.entry
        written = completions.samples(entry)
        yield inspect_sample(judged, written, values.get(entry), source.shown, source.texts.get(entry.id))
