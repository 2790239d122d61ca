"""Stage 2 as a run: from labelled pairs to a model folder (paper section 3.3).

The run's directory holds ``run.json``, ``metrics.jsonl`` (a line for each optimiser step and each evaluation), ``checkpoints/``
while it is under way, and at the end ``model/`` (the last weights), ``best/`` (those of the best evaluation on held-out pairs) and
``results.json``, the last of all.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmr1.config import GrpoConfig
from rmr1.data import open_source, split_of
from rmr1.engines.fingerprint import folder_fingerprint
from rmr1.engines.hf_model import ModelCard, hf_folder, quiet_transformers, read_card
from rmr1.errors import ConfigError, DataError
from rmr1.prompts import Template, load_template
from rmr1.records import PreferencePair
from rmr1.runs import default_run_name
from rmr1.training.listener import GrpoListener, Silence
from rmr1.training.machine import Machine, check_batch, look_at_machine
from rmr1.training.results import file_sha256, open_run, read_results


@dataclass(frozen=True, slots=True)
class GrpoTask:
    """What to train on and where to keep it.

    Args:
        data: Labelled pairs, see ``rmr1.data.open_source``.
        held_out: Pairs to judge on the way; a share of ``data`` where not given, see ``GrpoConfig.held_out_share``.
        run: The run's directory; one that belongs to exactly this task where not given.
    """

    data: Path
    held_out: Path | None = None
    run: Path | None = None


@dataclass(frozen=True, slots=True)
class GrpoResult:
    """What a training leaves behind. ``results`` is ``results.json``; ``steps`` and ``seconds`` are of this process."""

    run: Path
    model: Path
    results: Mapping[str, Any]
    steps: int
    seconds: float


def train_grpo(task: GrpoTask, config: GrpoConfig, listener: GrpoListener) -> GrpoResult:
    """Train a judge on the correctness of its verdicts, as a run that the same task resumes after any interruption.

    Optimiser, schedule, order of pairs and random numbers go on where they were: on one thread the losses are the same to the last
    bit as those of a run without interruption.

    Raises:
        DataError: The pairs cannot be read, one has no label, or there are too few.
        ConfigError: The configuration does not fit the machine.
        TemplateError: There is no such prompt template.
        ModelNotFoundError: There is no such model.
        RunError: The run's directory is in use, or is another run's.
        MissingExtraError: A library is not installed.
        KeyboardInterrupt: The user interrupted; a checkpoint was written.
    """
    began = time.monotonic()
    training, held = _read(task, config)
    folder = hf_folder(config.model.removeprefix("hf/"), listener.say)
    machine = look_at_machine(config)
    _check_groups(config, machine)
    if machine.rank:
        listener = Silence()
    card, template = _card(config, folder)
    identity = _identity(task, config, folder, card, template, machine.precision)
    path = task.run or Path("runs") / default_run_name("grpo", task.data.name.partition(".")[0], identity)
    with open_run(path, identity, machine) as run:
        finished = read_results(path)
        if finished is not None:
            listener.say(f"{path} is complete")
            return GrpoResult(path, path / "model", finished, 0, time.monotonic() - began)
        with quiet_transformers():
            from rmr1.training.grpo.optimisation import Optimisation
            from rmr1.training.job import TrainingJob

            job = TrainingJob(config, machine, path, run, listener)
            results, steps = Optimisation(job, config, template, folder, card).run(training, held)
    return GrpoResult(path, path / "model", results, steps, time.monotonic() - began)


def _read(task: GrpoTask, config: GrpoConfig) -> tuple[list[PreferencePair], list[PreferencePair]]:
    pairs = _pairs(task.data)
    if task.held_out is not None:
        return pairs, _pairs(task.held_out)[: config.held_out_most]
    if config.held_out_share == 0:
        return pairs, []
    shares = {"train": 1 - config.held_out_share, "held_out": config.held_out_share}
    splits = [split_of(pair.prompt, shares, config.seed) for pair in pairs]
    training = [pair for pair, split in zip(pairs, splits, strict=True) if split == "train"]
    held = [pair for pair, split in zip(pairs, splits, strict=True) if split == "held_out"]
    if not training:
        raise DataError(f"{task.data}: held_out_share {config.held_out_share} leaves no pairs to train on; lower it")
    return training, held[: config.held_out_most]


def _pairs(path: Path) -> list[PreferencePair]:
    pairs = list(open_source(str(path)))
    if not pairs:
        raise DataError(f"{path}: holds no pairs")
    return pairs


def _check_groups(config: GrpoConfig, machine: Machine) -> None:
    """A group's rollouts are written and compared on one process."""
    check_batch(config.rows_per_step, config.micro_batch_size, machine)
    if config.rows_per_step // machine.processes % config.group_size:
        raise ConfigError(
            f"pairs_per_step {config.pairs_per_step} cannot be shared by {machine.processes} processes in whole groups; "
            f"make it a multiple of {machine.processes}"
        )


def _card(config: GrpoConfig, folder: Path) -> tuple[ModelCard, Template]:
    base = read_card(folder)
    template = config.template or (base.template if base else None) or "cor"
    card = ModelCard(
        base=base.base if base and base.base else config.model,
        template=template,
        think=config.think if config.think != "auto" else base.think if base else "auto",
        gguf=base.gguf if base else None,
    )
    return card, load_template(template)


def _identity(
    task: GrpoTask, config: GrpoConfig, folder: Path, card: ModelCard, template: Template, precision: str
) -> dict[str, Any]:
    return {
        "job": "grpo",
        "data_sha256": file_sha256(task.data),
        "held_out_sha256": file_sha256(task.held_out) if task.held_out is not None else None,
        "model": config.model,
        "model_fingerprint": folder_fingerprint(folder),
        **config.identity(),
        "template": card.template,
        "template_sha256": template.sha256,
        "think": card.think,
        "precision": precision,
    }
