"""Several judges on the same benchmarks as one run: scalar reward models, judges that give verdicts, judges that reason.

Inside the run's directory is an evaluation like any other for each judge, with its own model, engine and template; what they
conclude is compared as ``compare_runs`` does it. One judge is loaded at a time. The framing is that of the paper's section 1:
regression (ScalarRM), generation (GenRM), reasoning (ReasRM).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from rmr1.benchmarks.comparing import compare_runs
from rmr1.benchmarks.report import report_of
from rmr1.benchmarks.running import REPORT, EvalCallbacks, EvalRunResult, EvalTask, judge_and_score
from rmr1.config import JudgeConfig
from rmr1.engines import Engine, gives_scores, open_model
from rmr1.errors import ConfigError, did_you_mean
from rmr1.files import YamlError, parse_yaml, read_text, write_text
from rmr1.models import resolve_model
from rmr1.prompts import load_template, template_names
from rmr1.report.comparison import comparison_csv, write_comparison
from rmr1.report.evaluation import write_eval_report
from rmr1.results import CompareResults
from rmr1.runs import RunDirectory

JUDGES = "judges.json"
JUDGES_PAGE = "judges.html"
JUDGES_CSV = "judges.csv"
_NOT_OF_THE_NAME = {"engine", "concurrency", "logprobs", "prices", "max_total_tokens", "max_cost"}
"""Settings that do not decide which run it is; the evaluation of each judge refuses those that do."""


@dataclass(frozen=True, slots=True)
class JudgeEntry:
    """A judge of several: its name, and what it sets by dotted key; everything else is as for the others."""

    name: str
    settings: Mapping[str, object]


def parse_judges(text: str) -> tuple[JudgeEntry, ...]:
    """The judges of ``--models``.

    Args:
        text: ``MODEL`` or ``MODEL@TEMPLATE``, several with commas between them; or a YAML file with a list ``judges``, each with a
            ``model``, if need be a ``name``, and any other key of ``JudgeConfig``.

    Raises:
        ConfigError: There are fewer than two, two have one name, or an entry is not understood.
    """
    path = Path(text)
    if path.suffix in (".yaml", ".yml"):
        entries = _entries_of_file(path)
    else:
        given = [_entry(f"--models {text}", one.strip()) for one in text.split(",")]
        entries = [JudgeEntry(name, settings) for name, settings in zip(_names(given), given, strict=True)]
    if len(entries) < 2:
        raise ConfigError(f"--models {text}: one judge; name several, or take --model for one")
    slugs = [_slug(entry.name) for entry in entries]
    for number, (slug, entry) in enumerate(zip(slugs, entries, strict=True)):
        if slug in slugs[:number]:
            raise ConfigError(
                f'--models {text}: two judges are called "{entry.name}"; name them in a YAML file of judges'
            )
    return tuple(entries)


def _entries_of_file(path: Path) -> list[JudgeEntry]:
    try:
        content, _ = parse_yaml(read_text(path))
    except YamlError as error:
        raise ConfigError(f"{path}{'' if error.line is None else f':{error.line}'}: {error}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"--models {path}: {error}") from error
    rows = content.get("judges") if isinstance(content, dict) else None
    if not isinstance(rows, list) or set(content) != {"judges"}:
        raise ConfigError(f'{path}: expected one key, "judges", with a list of judges, each with a "model"')
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not isinstance(row.get("model"), str):
            raise ConfigError(f'{path}: judge {number} has no "model"')
        if not isinstance(row.get("name", ""), str):
            raise ConfigError(f'{path}: judge {number}: "name" is no text')
    named = _names([{"model": row["model"], "template": row.get("template")} for row in rows])
    return [
        JudgeEntry(str(row.get("name") or name), _flat({key: value for key, value in row.items() if key != "name"}))
        for row, name in zip(rows, named, strict=True)
    ]


def _flat(settings: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in settings.items():
        whole = isinstance(value, dict) and (prefix or key != "engine")
        found |= {f"{prefix}{key}": value} if whole or not isinstance(value, dict) else _flat(value, f"{key}.")
    return found


def _entry(where: str, text: str) -> dict[str, object]:
    """What ``MODEL@TEMPLATE`` sets."""
    model, at, template = text.rpartition("@")
    if not text or (at and not model):
        raise ConfigError(f'{where}: "{text}" names no model; write MODEL or MODEL@TEMPLATE')
    if not at:
        return {"model": text}
    if template not in template_names() and not Path(template).is_file():
        near = did_you_mean(template, template_names())
        raise ConfigError(
            f'{where}: "{template}" is no template{near}; a model whose own name has an @ belongs into a YAML file of judges'
        )
    return {"model": model, "template": template}


def _names(given: Sequence[Mapping[str, object]]) -> list[str]:
    """A short name for each judge: the last part of its model, as much of it as tells models apart, and its template."""
    models = [str(one["model"]) for one in given]
    depth = 1
    while depth < 20 and len({_tail(model, depth) for model in models}) < len(set(models)):
        depth += 1
    templates = [one.get("template") for one in given]
    return [
        _tail(model, depth) + (f"@{PurePath(str(template)).stem}" if template else "")
        for model, template in zip(models, templates, strict=True)
    ]


def _tail(model: str, depth: int) -> str:
    return "/".join([part for part in model.split("/") if part][-depth:])


def _slug(name: str) -> str:
    return re.sub(r"[^\w.@+-]+", "-", name).strip("-.") or "judge"


def fitting(config: JudgeConfig, say: Callable[[str], None], engine: Engine | None = None) -> JudgeConfig:
    """The configuration without what such a judge has not: settings that all judges share need not fit each of them.

    Args:
        config: As it follows from the settings that all judges share and from its own.
        say: Called with a sentence about what is left out.
        engine: The judge if it is loaded.
    """
    change: dict[str, object] = {}
    why = ""
    if gives_scores(engine) if engine is not None else resolve_model(config.model).engine == "scalar":
        change = {"template": None, "votes": 1, "constrain": False, "stop": "never", "temperature": None}
        why = "a scalar reward model gives a response one score"
    elif config.template and load_template(config.template).rates:
        change, why = {"stop": "never"}, "ratings are averaged, so that every vote counts"
    left = [name for name, value in change.items() if getattr(config, name) != value]
    if left:
        say(f"{config.model}: {', '.join(left)} left out, since {why}")
    return config.model_copy(update={name: change[name] for name in left})


@dataclass(frozen=True, slots=True)
class JudgesRunResult:
    """What an evaluation of several judges leaves behind.

    Args:
        run: Its directory.
        results: How they compare.
        evals: What each leaves behind, by its name.
    """

    run: Path
    results: CompareResults
    evals: Mapping[str, EvalRunResult]


async def evaluate_judges(
    task: EvalTask,
    judges: Mapping[str, JudgeConfig],
    callbacks: EvalCallbacks,
    *,
    engines: Mapping[str, Engine] | None = None,
) -> JudgesRunResult:
    """Evaluate every judge that is not evaluated yet, and compare them: one table, one page, JSON and CSV.

    Args:
        task: What to evaluate on.
        judges: How each judges, by its name.
        callbacks: Receive progress.
        engines: Loaded engines in place of models, by the name of the judge; they stay open.

    Raises:
        RMR1Error: As ``evaluate``; what is done is kept.
    """
    given = engines or {}
    judges = {
        name: fitting(_named_by(config, given.get(name)), callbacks.say, given.get(name))
        for name, config in judges.items()
    }
    found = task.load(callbacks)
    task.say_plan(found, [config for name, config in judges.items() if name not in given], callbacks)
    identity: dict[str, object] = {
        "job": "judges",
        "judges": {name: config.model_dump(mode="json", exclude=_NOT_OF_THE_NAME) for name, config in judges.items()},
    }
    path = task.directory("judges", found, identity)
    evals: dict[str, EvalRunResult] = {}
    with RunDirectory(path, identity) as run:
        for number, (name, config) in enumerate(judges.items(), 1):
            callbacks.say(f"judge {number} of {len(judges)}: {name}")
            loaded = open_model(given.get(name) or config.model, config.engine, concurrency=config.concurrency)
            own = replace(task, run=path / _slug(name))
            try:
                judged, result = await judge_and_score(found, own, config, loaded, callbacks)
            finally:
                if name not in given:
                    await loaded.engine.aclose()
            write_eval_report(report_of(judged, result.results, task.protocol), result.run / REPORT)
            evals[name] = result
        comparison = compare_runs(
            [result.run for result in evals.values()], protocol=task.protocol, benchmarks=task.benchmarks
        )
        run.write_json(JUDGES, comparison.results.to_json())
        write_text(path / JUDGES_CSV, comparison_csv(comparison.results))
        write_comparison(comparison.results, comparison.samples, path / JUDGES_PAGE)
    return JudgesRunResult(path, comparison.results, evals)


def _named_by(config: JudgeConfig, engine: Engine | None) -> JudgeConfig:
    return config if engine is None else config.model_copy(update={"model": engine.name})
