"""A training from its recipe to ``report.html``: every stage is a run of its own inside the training's directory.

A stage that is complete is recognised and not done again; one that was interrupted resumes. So the same command resumes a training
at any point, and ends with the same results.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from rmr1.config import DistillConfig, RlConfig, SftConfig, find_recipe, is_setting
from rmr1.curation import curate
from rmr1.distillation import DistillCallbacks, distill
from rmr1.errors import ConfigError, TrainingError
from rmr1.files import write_text
from rmr1.judging import JudgeCallbacks, PairTask, judge_pairs
from rmr1.pipeline.recipe import TrainRecipe, load_train_recipe
from rmr1.pipeline.report import Evaluation, training_report
from rmr1.report.training import write_training_report
from rmr1.results import DataResults, RlResults, SftResults, TrainResults
from rmr1.runs import Callbacks, NullCallbacks, RunDirectory, default_run_name
from rmr1.training import RlCallbacks, SftCallbacks, TrainingResult, train_rl, train_sft


class TrainCallbacks(Callbacks, Protocol):
    """Events of a whole training. Each stage gets callbacks of its own, which live as long as the stage."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def distilling(self) -> AbstractContextManager[DistillCallbacks]:
        """For the writing of traces."""
        ...

    def judging(self) -> AbstractContextManager[JudgeCallbacks]:
        """For an evaluation."""
        ...

    def fine_tuning(self) -> AbstractContextManager[SftCallbacks]:
        """For stage 1."""
        ...

    def optimising(self) -> AbstractContextManager[RlCallbacks]:
        """For stage 2."""
        ...


class _Silent(NullCallbacks):
    """The default callbacks of a whole training, which do nothing."""

    def stage(self, name: str) -> None:
        """Nothing."""

    def distilling(self) -> AbstractContextManager[NullCallbacks]:
        return nullcontext(self)

    judging = fine_tuning = optimising = distilling


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training leaves behind.

    Args:
        run: Its directory.
        model: The folder of the trained model.
        evaluations: What the judge was worth at each point, in the order of the training.
        results: What ``results.json`` holds.
    """

    run: Path
    model: Path
    evaluations: tuple[Evaluation, ...]
    results: TrainResults


def train(
    recipe: TrainRecipe | Path | str,
    *,
    name: str | None = None,
    run: Path | str | None = None,
    callbacks: TrainCallbacks | None = None,
    **settings: object,
) -> TrainResult:
    """Do what is left to do of a training.

    >>> train("smollm2-135m-cpu", rl={"max_steps": 20}).results.evaluations["after RL"].accuracy  # doctest: +SKIP

    Args:
        recipe: What to do: a recipe, its file, or the name of one that comes with rmr1.
        name: What the run is called; as the recipe's file, or else the model.
        run: Its directory; one that belongs to exactly this recipe if not given.
        callbacks: Receive progress; the default reports nothing.
        settings: Keys of a recipe in a file that win over it, those of a stage as a mapping.

    Raises:
        ConfigError: A key is unknown, a value is wrong, or a ready recipe and settings are both given.
        RMR1Error: Whatever a stage raises; what is done is kept.
    """
    if isinstance(recipe, TrainRecipe):
        if settings:
            raise ConfigError(f"recipe and {', '.join(settings)}: change the ready recipe, or name a file")
        name = name or Path(recipe.model).name
    else:
        file = find_recipe("train", str(recipe))
        recipe, name = load_train_recipe(file, flags=dict(_flat(settings))), name or file.stem
    identity = {"job": "train", **recipe.model_dump(mode="json")}
    path = Path(run) if run is not None else Path("runs") / default_run_name("train", name, identity)
    with RunDirectory(path, identity) as directory:
        return _Training(recipe, directory, callbacks or _Silent()).work(name)


class _Training:
    def __init__(self, recipe: TrainRecipe, directory: RunDirectory, callbacks: TrainCallbacks) -> None:
        self._recipe = recipe
        self._directory = directory
        self._path = directory.path
        self._callbacks = callbacks

    def work(self, name: str) -> TrainResult:
        recipe = self._recipe
        self._callbacks.stage("data")
        data = curate(recipe.data, out=self._path / "data", callbacks=self._callbacks)
        pairs = data.run / f"{recipe.evaluation.split}.jsonl"
        before = recipe.evaluation.limit_before
        evaluations = [self._evaluate("before training", pairs, "before", recipe.evaluation.judge.model, before)]
        model = recipe.model
        sft: SftResults | None = None
        rl: RlResults | None = None
        if recipe.sft is not None and recipe.distill is not None:
            traces = self._distill(data.run / f"{recipe.distill_split}.jsonl", recipe.distill)
            tuned = self._fine_tune(traces, recipe.sft)
            model, sft = str(tuned.model), tuned.results
            evaluations.append(self._evaluate("after SFT", pairs, "after-sft", f"hf/{model}"))
        if recipe.rl is not None:
            optimised = self._optimise(data.run / f"{recipe.rl_split}.jsonl", recipe.rl, model)
            model, rl = str(optimised.model), optimised.results
            evaluations.append(self._evaluate("after RL", pairs, "after-rl", f"hf/{model}"))
        return self._conclude(name, data.results, Path(model), tuple(evaluations), sft, rl)

    def _distill(self, pairs: Path, config: DistillConfig) -> Path:
        self._callbacks.stage("traces")
        task = PairTask(str(pairs), run=self._path / "traces")
        with self._callbacks.distilling() as callbacks:
            return distill(task, config, callbacks=callbacks).traces

    def _fine_tune(self, traces: Path, config: SftConfig) -> TrainingResult[SftResults]:
        self._callbacks.stage("stage 1, supervised fine-tuning")
        self._launch("sft", config, traces)
        with self._callbacks.fine_tuning() as callbacks:
            return train_sft(traces, config, run=self._path / "sft", callbacks=callbacks)

    def _optimise(self, pairs: Path, config: RlConfig, model: str) -> TrainingResult[RlResults]:
        self._callbacks.stage("stage 2, reinforcement learning")
        config = config.model_copy(update={"model": model})
        self._launch("rl", config, pairs)
        with self._callbacks.optimising() as callbacks:
            return train_rl(pairs, config, run=self._path / "rl", callbacks=callbacks)

    def _launch(self, stage: str, config: SftConfig | RlConfig, data: Path) -> None:
        """Train under the recipe's launcher, if it has one; the run is then complete, and this process only reads its results."""
        if self._recipe.launch:
            settings = config.model_dump(mode="json", exclude_unset=True)
            run_launched(self._recipe.launch, stage, {**settings, "model": config.model}, data, self._path / stage)

    def _evaluate(self, name: str, pairs: Path, folder: str, model: str, most: int | None = None) -> Evaluation:
        self._callbacks.stage(f"evaluation {name}")
        evaluation = self._recipe.evaluation
        config = evaluation.judge.model_copy(update={"model": model})
        limit = min((given for given in (evaluation.limit, most) if given is not None), default=None)
        task = PairTask(str(pairs), limit=limit, run=self._path / folder)
        with self._callbacks.judging() as callbacks:
            result = judge_pairs(task, config, callbacks=callbacks)
        return Evaluation(name, result)

    def _conclude(
        self,
        name: str,
        data: DataResults,
        model: Path,
        evaluations: tuple[Evaluation, ...],
        sft: SftResults | None,
        rl: RlResults | None,
    ) -> TrainResult:
        judged = {evaluation.name: evaluation.result.results for evaluation in evaluations}
        results = TrainResults(judged, sft, rl, data.splits)
        self._directory.write_json("results.json", results.to_json())
        report = training_report(name, self._recipe, self._path, evaluations)
        write_training_report(report, self._path / "report.html")
        return TrainResult(self._path, model, evaluations, results)


def run_launched(command: Sequence[str], stage: str, config: Mapping[str, object], data: Path, run: Path) -> None:
    """Run ``rmr1 sft`` or ``rmr1 rl`` under a launcher and wait for it.

    Args:
        command: The launcher with its options.
        stage: "sft" or "rl".
        config: The stage's configuration, as JSON values.
        data: Its traces or pairs.
        run: Its run directory.

    Raises:
        TrainingError: The launcher is not there, or the training failed; what is done is kept.
        KeyboardInterrupt: It was interrupted.
    """
    recipe = run.parent / f"{stage}.yaml"
    write_text(recipe, yaml.safe_dump(dict(config), sort_keys=False))
    # torchrun has options that begin with --run, and takes a bare --run for one of them.
    arguments = [stage, "--recipe", str(recipe), "--data", str(data), "--run-directory", str(run)]
    # The recipe says it all: settings of the environment would make another run of it.
    environment = {name: text for name, text in os.environ.items() if not is_setting(name)}
    try:
        ended = subprocess.run(
            [*command, "-m", "rmr1.cli.main", *arguments], stdout=sys.stderr, check=False, env=environment
        )
    except FileNotFoundError as error:
        raise TrainingError(
            f"launch: no command {command[0]!r}; pip install 'rmr1[train]' brings accelerate"
        ) from error
    if ended.returncode:
        raise TrainingError(f"{stage} ended with status {ended.returncode} under {command[0]}; see its messages above")


def _flat(settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
