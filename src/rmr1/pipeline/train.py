"""A training from its recipe to ``report.html``: every stage is a run of its own inside the training's directory.

A stage that is complete is recognised and not done again; one that was interrupted goes on where it was. So the same command
resumes a training at any point, and ends with the same results.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rmr1.config import DistillConfig, RlConfig, SftConfig
from rmr1.curation import curate
from rmr1.distillation import DistillCallbacks, distill
from rmr1.judging import JudgeCallbacks, PairTask, judge_pairs
from rmr1.pipeline.launch import launch
from rmr1.pipeline.recipe import TrainRecipe
from rmr1.pipeline.report import Evaluation, training_report
from rmr1.report.training import write_training_report
from rmr1.results import DataResults, RlResults, SftResults
from rmr1.runs import RunDirectory, default_run_name
from rmr1.training import RlCallbacks, SftCallbacks, TrainingResult, train_rl, train_sft


class TrainCallbacks(Protocol):
    """Told which stage begins; gives each stage a callbacks of its own, for as long as the stage takes."""

    def say(self, message: str) -> None:
        """A sentence for the user."""

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


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training leaves behind: its directory, the model's folder, each evaluation by its name, ``results.json``."""

    run: Path
    model: Path
    evaluations: tuple[Evaluation, ...]
    results: Mapping[str, Any]


def train(recipe: TrainRecipe, callbacks: TrainCallbacks, *, name: str, run: Path | None = None) -> TrainResult:
    """Do what is left to do of a training.

    Args:
        recipe: What to do.
        callbacks: Told of progress.
        name: What the run is called.
        run: Its directory; one that belongs to exactly this recipe where not given.

    Raises:
        RMR1Error: Whatever a stage raises; what is done is kept.
    """
    identity = {"job": "train", **recipe.model_dump(mode="json")}
    with RunDirectory(run or Path("runs") / default_run_name("train", name, identity), identity) as directory:
        return _Training(recipe, directory, callbacks).run(name)


class _Training:
    def __init__(self, recipe: TrainRecipe, directory: RunDirectory, callbacks: TrainCallbacks) -> None:
        self._recipe = recipe
        self._directory = directory
        self._path = directory.path
        self._callbacks = callbacks

    def run(self, name: str) -> TrainResult:
        recipe = self._recipe
        self._callbacks.stage("data")
        data = curate(recipe.data, out=self._path / "data", callbacks=self._callbacks)
        pairs = data.run / f"{recipe.evaluation.split}.jsonl"
        before = recipe.evaluation.limit_before
        evaluations = [self._evaluate("before training", pairs, "before", recipe.evaluation.judge.model, before)]
        model = recipe.model
        stages: dict[str, Mapping[str, Any]] = {}
        if recipe.sft is not None and recipe.distill is not None:
            traces = self._distill(data.run / f"{recipe.distill_split}.jsonl", recipe.distill)
            tuned = self._fine_tune(traces, recipe.sft)
            model, stages["sft"] = str(tuned.model), tuned.results.to_json()
            evaluations.append(self._evaluate("after SFT", pairs, "after-sft", f"hf/{model}"))
        if recipe.rl is not None:
            optimised = self._optimise(data.run / f"{recipe.rl_split}.jsonl", recipe.rl, model)
            model, stages["rl"] = str(optimised.model), optimised.results.to_json()
            evaluations.append(self._evaluate("after RL", pairs, "after-rl", f"hf/{model}"))
        return self._conclude(name, data.results, stages, Path(model), tuple(evaluations))

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
            launch(self._recipe.launch, stage, {**settings, "model": config.model}, data, self._path / stage)

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
        stages: Mapping[str, Mapping[str, Any]],
        model: Path,
        evaluations: tuple[Evaluation, ...],
    ) -> TrainResult:
        results = {
            "evaluations": {evaluation.name: evaluation.result.results.to_json() for evaluation in evaluations},
            **stages,
            "data": {"splits": data.to_json()["splits"]},
        }
        self._directory.write_json("results.json", results)
        metrics = {stage: self._path / stage / "metrics.jsonl" for stage in stages}
        report = training_report(name, self._recipe.model_dump(mode="json", exclude_unset=True), metrics, evaluations)
        write_training_report(report, self._path / "report.html")
        return TrainResult(self._path, model, evaluations, results)
