"""A run as logs of inspect_ai: one for each benchmark, to be read with its viewer and its data frames.

A sample is a comparison, see ``inspect_samples``. Metrics are the figures of ``results.json`` with their intervals,
not means over samples: averages weigh subsets, and of best of N what counts is the item. The shapes are those of
``inspect_ai.log``, written with its own classes. The same run makes the same log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rmr1.benchmarks.benchmark import PROTOCOLS, Policy, Protocol
from rmr1.benchmarks.entries import Entry
from rmr1.benchmarks.exports.inspect_samples import JudgePrompt, inspect_sample
from rmr1.benchmarks.results import JudgedBenchmark, read_run
from rmr1.benchmarks.scoring import score
from rmr1.benchmarks.texts import read_texts
from rmr1.errors import ConfigError, MissingExtraError, RunError
from rmr1.records import PreferencePair
from rmr1.runs import read_manifest

ENDINGS = (".eval", ".json")
FEATURE = "a log of inspect_ai"


@dataclass(frozen=True, slots=True)
class _Source:
    """What a log is made of: a benchmark with its results, the protocol that is shown, the judge, and texts if there are any."""

    judged: JudgedBenchmark
    found: Mapping[str, Any]
    protocol: Protocol
    policy: Policy
    judge: Mapping[str, Any]
    created: str
    texts: Mapping[str, PreferencePair]

    @property
    def block(self) -> Mapping[str, Any]:
        block: Mapping[str, Any] = self.found["protocols"][self.protocol]
        return block

    @property
    def shown(self) -> JudgePrompt:
        return JudgePrompt(str(self.judge.get("engine", "unknown")), self.protocol, self.policy)


def write_inspect_logs(run: Path, out: Path, protocol: Protocol) -> list[Path]:
    """Write a log for each benchmark of a run that is judged, even in part.

    Args:
        run: A run of ``rmr1 eval``.
        out: A name that ends in ``.eval`` or ``.json``. Where the run has several benchmarks, each name gets the benchmark's
            before its ending.
        protocol: Which values and figures the log has; where a benchmark has not got it, the first one that it has.

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
    sources = list(_sources(run, protocol))
    if not sources:
        raise RunError(f"{run}: nothing is judged yet; run the same rmr1 eval again")
    out.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for source in sources:
        name = source.judged.benchmark.name
        path = out if len(sources) == 1 else out.with_name(f"{out.stem}-{name}{out.suffix}")
        write_eval_log(_log(source), str(path))
        written.append(path)
    return written


def _sources(run: Path, protocol: Protocol) -> Iterator[_Source]:
    judge, benchmarks = read_run(run)
    created = read_manifest(run)["created"]
    for judged in benchmarks:
        found = score(judged.benchmark, judged.completions, judged.asked)
        shown = [name for name in (protocol, *PROTOCOLS) if name in found["protocols"]]
        if shown:
            policy = judged.benchmark.policies[shown[0]]
            yield _Source(judged, found, shown[0], policy, judge, created, read_texts(judged.path))


def _log(source: _Source) -> Any:
    from inspect_ai.log import EvalLog, EvalResults, EvalStats
    from inspect_ai.model import ModelUsage

    completions = source.judged.completions
    tokens = completions.tokens()
    usage = ModelUsage(input_tokens=tokens["prompt_tokens"], output_tokens=tokens["completion_tokens"])
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


def _spec(source: _Source) -> Any:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalSpec
    from inspect_ai.model import GenerateConfig

    benchmark, judge = source.judged.benchmark, source.judge
    asked = {name: judge[name] for name in ("template", "orders", "votes", "rule", "fence") if name in judge}
    name = f"{benchmark.name} {json.dumps(dict(judge), sort_keys=True)}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:22]
    return EvalSpec(
        eval_id=digest,
        run_id=digest,
        task_id=digest,
        created=source.created,
        task=benchmark.name,
        task_display_name=benchmark.title,
        task_version=str(source.judged.data.get("data_sha256", ""))[:12],
        task_args=asked | {"protocol": source.protocol},
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
        metadata={"problems": list(source.judged.data.get("problems", ())), "notes": list(benchmark.notes)},
    )


def _figures(source: _Source) -> Any:
    from inspect_ai.log import EvalMetric, EvalScore

    metrics = {
        name: EvalMetric(name=name, value=figure["value"], metadata={k: v for k, v in figure.items() if k != "value"})
        for name, figure in source.block["metrics"].items()
    }
    completions = source.judged.completions
    return EvalScore(
        name=source.protocol,
        scorer=source.protocol,
        scored_samples=len(_values(source)),
        unscored_samples=len(completions.judged) - len(_values(source)),
        metrics=metrics,
        metadata={"policy": source.block["policy"], "interval": "low and high of a metric's metadata, 95 %"},
    )


def _values(source: _Source) -> dict[Entry, float]:
    judged = source.judged
    return dict(judged.completions.values(source.policy, judged.asked, whole_items=judged.benchmark.whole_items))


def _samples(source: _Source) -> Iterator[Any]:
    completions, values = source.judged.completions, _values(source)
    for judged in completions.read(source.policy.rule or source.judged.asked.rule):
        entry = judged.entry
        written = completions.samples(entry)
        yield inspect_sample(judged, written, values.get(entry), source.shown, source.texts.get(entry.id))
