"""Stage 2 as a run: from labelled pairs to a model folder (paper section 3.3).

The run's directory holds ``run.json``, ``metrics.jsonl`` (a line for each optimiser step and each evaluation), ``checkpoints/``
while it is under way, and at the end ``model/`` (the last weights), ``best/`` (those of the best evaluation on held-out pairs) and
``results.json``, the last of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmr1.config import RlConfig
from rmr1.data import load_pairs, split_of
from rmr1.errors import ConfigError, DataError
from rmr1.models.hardware import Hardware, check_batch, detect_hardware
from rmr1.models.loading import hf_folder
from rmr1.prompts import load_template
from rmr1.records import PreferencePair
from rmr1.training.callbacks import RlCallbacks
from rmr1.training.runs import TrainingResult, TrainingTask, card_of, identity_of, run_once

if TYPE_CHECKING:
    from rmr1.training.job import TrainingJob


def train_rl(task: TrainingTask, config: RlConfig, callbacks: RlCallbacks) -> TrainingResult:
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
    training, held = _read(task, config)
    folder = hf_folder(config.model.removeprefix("hf/"), callbacks.say)
    hardware = detect_hardware(config)
    _check_groups(config, hardware)
    card = card_of(config, folder, config.template)
    template = load_template(card.template or "cor")
    card = replace(card, template=card.template or "cor")
    identity = {**identity_of("rl", task, config, hardware, folder, card), "template_sha256": template.sha256}

    def train(job: TrainingJob) -> tuple[Mapping[str, Any], int]:
        from rmr1.training.rl.rl_run import RlRun

        return RlRun(job, config, template, folder, card).run(training, held)

    return run_once("rl", task, config, hardware, identity, callbacks, train)


def _read(task: TrainingTask, config: RlConfig) -> tuple[list[PreferencePair], list[PreferencePair]]:
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
    pairs = list(load_pairs(str(path)))
    if not pairs:
        raise DataError(f"{path}: holds no pairs")
    return pairs


def _check_groups(config: RlConfig, hardware: Hardware) -> None:
    """A group's rollouts are written and compared on one process."""
    check_batch(config.rows_per_step, config.micro_batch_size, hardware, "the rollouts of a step,")
    if config.rows_per_step // hardware.processes % config.group_size:
        raise ConfigError(
            f"pairs_per_step {config.pairs_per_step} cannot be shared by {hardware.processes} processes in whole groups; "
            f"make it a multiple of {hardware.processes}"
        )
