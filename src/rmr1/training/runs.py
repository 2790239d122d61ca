"""The run of a training: what it is asked, what it leaves, and that it is done once."""

from __future__ import annotations

import gc
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmr1.config import TrainerConfig
from rmr1.models import find_model
from rmr1.models.card import ModelCard, read_card
from rmr1.models.files import folder_fingerprint
from rmr1.models.hardware import Hardware, check_launch
from rmr1.models.loading import quiet_transformers
from rmr1.runs import NullCallbacks, RunDirectory, default_run_name
from rmr1.training.callbacks import StepCallbacks

if TYPE_CHECKING:
    from rmr1.training.job import TrainingJob


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """What to train on and where to keep it.

    Args:
        data: Stage 1: traces, see ``rmr1.training.sft.traces``. Stage 2: labelled pairs, see ``rmr1.data.load_pairs``.
        held_out: The same to evaluate on; a share of ``data`` where not given, see ``held_out_share``.
        run: The run's directory; one that belongs to exactly this task where not given.
    """

    data: Path
    held_out: Path | None = None
    run: Path | None = None


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training leaves behind. ``results`` is ``results.json``; ``steps`` and ``seconds`` are of this process."""

    run: Path
    model: Path
    results: Mapping[str, Any]
    steps: int
    seconds: float


def run_once(
    stage: str,
    task: TrainingTask,
    config: TrainerConfig,
    hardware: Hardware,
    identity: Mapping[str, Any],
    callbacks: StepCallbacks[Any, Any],
    train: Callable[[TrainingJob], tuple[Mapping[str, Any], int]],
) -> TrainingResult:
    """Train in a run, unless it is complete.

    Args:
        stage: "sft" or "rl".
        task: The task.
        config: How to train.
        hardware: On what.
        identity: What decides the weights.
        callbacks: Told of progress, by the first process.
        train: Does what is left to do; gives the results, and the optimiser steps that this process did.
    """
    began = time.monotonic()
    callbacks = NullCallbacks() if hardware.rank else callbacks
    path = task.run or Path("runs") / default_run_name(stage, task.data.name.partition(".")[0], identity)
    with _open(path, identity, hardware) as run:
        results, steps = _read_results(path), 0
        if results is not None:
            callbacks.say(f"{path} is complete")
        else:
            check_launch(hardware)
            with quiet_transformers():
                from rmr1.training.job import TrainingJob

                results, steps = train(TrainingJob(config, hardware, path, run, callbacks))
            # A trainer is part of reference cycles; its optimiser and gradients are three times the model's size, and the next
            # stage loads a model of its own.
            gc.collect()
    return TrainingResult(path, path / "model", results, steps, time.monotonic() - began)


def card_of(config: TrainerConfig, folder: Path, template: str | None) -> ModelCard:
    """The card of the model to be: what its base's or the catalogue says, where the configuration leaves it open."""
    base, entry = read_card(folder), find_model(config.model.removeprefix("hf/"))
    known = base or (ModelCard("", entry.template, entry.think) if entry else ModelCard(""))
    return ModelCard(
        base=known.base or config.model,
        template=template or known.template,
        think=config.think if config.think != "auto" else known.think,
        gguf=known.gguf,
    )


def identity_of(
    stage: str, task: TrainingTask, config: TrainerConfig, hardware: Hardware, folder: Path, card: ModelCard
) -> dict[str, Any]:
    """What decides the weights of either stage."""
    return {
        "job": stage,
        "data_sha256": _sha256(task.data),
        "held_out_sha256": _sha256(task.held_out) if task.held_out is not None else None,
        "model": config.model,
        "model_fingerprint": folder_fingerprint(folder),
        **config.identity(),
        "template": card.template,
        "think": card.think,
        "precision": hardware.precision,
    }


def _read_results(run: Path) -> Mapping[str, Any] | None:
    """The results of a complete training, or None where it is under way or was never begun."""
    try:
        results: dict[str, Any] = json.loads((run / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return results if (run / "model" / "config.json").is_file() else None


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def _open(path: Path, identity: Mapping[str, Any], hardware: Hardware) -> Iterator[RunDirectory | None]:
    """Open the run; of several processes that train together, only the first one holds it."""
    if hardware.rank:
        yield None
        return
    with RunDirectory(path, identity) as run:
        yield run
