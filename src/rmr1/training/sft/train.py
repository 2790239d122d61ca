"""Stage 1 as a run: from traces to a model folder (paper section 3.1: the loss is on the tokens of the trace, not on the prompt).

The run's directory holds ``run.json``, ``metrics.jsonl`` (a line for each optimiser step and each evaluation), ``checkpoints/``
while it is under way, and at the end ``model/`` (a Hugging Face folder with ``rmr1.json``) and ``results.json``, the last of all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmr1.config import SftConfig
from rmr1.errors import ConfigError, DataError
from rmr1.models.hardware import check_batch, detect_hardware
from rmr1.models.loading import hf_folder
from rmr1.prompts import load_template
from rmr1.training.callbacks import SftCallbacks
from rmr1.training.runs import TrainingResult, TrainingTask, card_of, identity_of, run_once
from rmr1.training.sft.traces import Trace, read_traces, split_held_out

if TYPE_CHECKING:
    from rmr1.training.job import TrainingJob


def train_sft(task: TrainingTask, config: SftConfig, callbacks: SftCallbacks) -> TrainingResult:
    """Fine-tune a model on traces, as a run that the same task resumes after any interruption.

    Optimiser, schedule, order of examples and random numbers go on where they were: on one thread the weights are the same to the
    last bit as those of a run without interruption.

    Raises:
        DataError: The traces cannot be read, or none fits ``max_length``.
        ConfigError: The configuration does not fit the machine, or its template is not that of the traces.
        ModelNotFoundError: There is no such model.
        RunError: The run's directory is in use, or is another run's.
        MissingExtraError: A library is not installed.
        KeyboardInterrupt: The user interrupted; a checkpoint was written.
    """
    template = _template(task.data.parent / "run.json", config.template)
    training, held = _read(task, config)
    folder = hf_folder(config.model.removeprefix("hf/"), callbacks.say)
    hardware = detect_hardware(config, packing=config.packing)
    check_batch(config.batch_size, config.micro_batch_size, hardware)
    card = card_of(config, folder, template)
    identity = {**identity_of("sft", task, config, hardware, folder, card), "packing": hardware.packing}

    def train(job: TrainingJob) -> tuple[Mapping[str, Any], int]:
        from rmr1.training.sft.sft_run import SftRun

        return SftRun(job, config).run(training, held, folder, card)

    return run_once("sft", task, config, hardware, identity, callbacks, train)


def _read(task: TrainingTask, config: SftConfig) -> tuple[list[Trace], list[Trace]]:
    traces = read_traces(task.data)
    if task.held_out is not None:
        return traces, read_traces(task.held_out)[: config.held_out_most]
    training, held = split_held_out(traces, config.held_out_share, config.seed)
    if not training:
        raise DataError(f"{task.data}: held_out_share {config.held_out_share} leaves no traces to train on; lower it")
    return training, held[: config.held_out_most]


def _template(manifest: Path, wanted: str | None) -> str | None:
    """The template that is wanted, else that of the run which wrote the traces; a judge is asked as its traces were."""
    try:
        written = json.loads(manifest.read_text(encoding="utf-8"))["identity"]
        name, sha256 = written.get("template"), written.get("template_sha256")
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return wanted
    if wanted and sha256 and load_template(wanted).sha256 != sha256:
        raise ConfigError(
            f'{manifest}: these traces answer the prompt "{name}", and template is "{wanted}"; train with --set template={name}, '
            f"or write traces with rmr1 distill --template {wanted}"
        )
    return wanted or (name if isinstance(name, str) else None)
