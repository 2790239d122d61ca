"""A training from its recipe to ``report.html``: every stage is a run of its own inside the training's directory.

A stage that is complete is recognised and not done again; one that was interrupted goes on where it was. So the same command
resumes a training at any point, and ends with the same results.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rmr1.curation import curate
from rmr1.distill import Listener as DistillListener
from rmr1.distill import distill_source
from rmr1.judging import JobResult, PairTask, judge_source
from rmr1.judging import Listener as JudgeListener
from rmr1.pipeline.recipe import TrainRecipe
from rmr1.pipeline.report import Evaluation, training_report
from rmr1.reporting.html import write_training_report
from rmr1.runs import RunDirectory, default_run_name
from rmr1.training import SftListener, SftResult, SftTask, train_sft


class TrainListener(Protocol):
    """Told which stage begins; gives each stage a listener of its own, for as long as the stage takes."""

    def say(self, message: str) -> None:
        """A sentence for the user."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def distilling(self) -> AbstractContextManager[DistillListener]:
        """For the writing of traces."""
        ...

    def judging(self) -> AbstractContextManager[JudgeListener]:
        """For an evaluation."""
        ...

    def fine_tuning(self) -> AbstractContextManager[SftListener]:
        """For stage 1."""
        ...


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training leaves behind: its directory, the model's folder, each evaluation by its name, ``results.json``."""

    run: Path
    model: Path
    evaluations: tuple[Evaluation, ...]
    results: Mapping[str, Any]


def train(recipe: TrainRecipe, listener: TrainListener, *, name: str, run: Path | None = None) -> TrainResult:
    """Do what is left to do of a training.

    Args:
        recipe: What to do.
        listener: Told of progress.
        name: What the run is called.
        run: Its directory; one that belongs to exactly this recipe where not given.

    Raises:
        RMR1Error: Whatever a stage raises; what is done is kept.
    """
    identity = {"job": "train", **recipe.model_dump(mode="json")}
    with RunDirectory(run or Path("runs") / default_run_name("train", name, identity), identity) as directory:
        return _Training(recipe, directory, listener).run(name)


class _Training:
    def __init__(self, recipe: TrainRecipe, directory: RunDirectory, listener: TrainListener) -> None:
        self._recipe = recipe
        self._directory = directory
        self._path = directory.path
        self._listener = listener

    def run(self, name: str) -> TrainResult:
        self._listener.stage("data")
        data = curate(self._recipe.data, self._listener, out=self._path / "data")
        self._listener.stage("traces")
        traces = self._distill(data.run / f"{self._recipe.train_split}.jsonl")
        pairs = data.run / f"{self._recipe.evaluation.split}.jsonl"
        before = self._evaluate("before training", pairs, "before", self._recipe.evaluation.judge.model)
        self._listener.stage("supervised fine-tuning")
        tuned = self._fine_tune(traces)
        after = self._evaluate("after SFT", pairs, "after-sft", f"hf/{tuned.model}")
        return self._conclude(name, data.results, tuned, (before, after))

    def _distill(self, pairs: Path) -> Path:
        task = PairTask(str(pairs), run=self._path / "traces")
        with self._listener.distilling() as listener:
            return asyncio.run(distill_source(task, self._recipe.distill, listener)).traces

    def _fine_tune(self, traces: Path) -> SftResult:
        with self._listener.fine_tuning() as listener:
            return train_sft(SftTask(traces, run=self._path / "sft"), self._recipe.sft, listener)

    def _evaluate(self, name: str, pairs: Path, folder: str, model: str) -> Evaluation:
        self._listener.stage(f"evaluation {name}")
        evaluation = self._recipe.evaluation
        config = evaluation.judge.model_copy(update={"model": model})
        task = PairTask(str(pairs), limit=evaluation.limit, run=self._path / folder)
        with self._listener.judging() as listener:
            result: JobResult = asyncio.run(judge_source(task, config, listener))
        return Evaluation(name, result)

    def _conclude(
        self, name: str, data: Mapping[str, Any], tuned: SftResult, evaluations: tuple[Evaluation, ...]
    ) -> TrainResult:
        results = {
            "evaluations": {evaluation.name: evaluation.result.results for evaluation in evaluations},
            "sft": tuned.results,
            "data": {"splits": data["splits"]},
        }
        self._directory.write_json("results.json", results)
        report = training_report(name, self._directory.identity, tuned.run / "metrics.jsonl", evaluations)
        write_training_report(report, self._path / "report.html")
        return TrainResult(self._path, tuned.model, evaluations, results)
