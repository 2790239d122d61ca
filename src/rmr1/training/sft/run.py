"""Stage 1 as a run: from traces to a model folder (paper section 3.1: the loss is on the tokens of the trace, not on the prompt).

The run's directory holds ``run.json``, ``metrics.jsonl`` (a line for each optimiser step and each evaluation), ``checkpoints/``
while it is under way, and at the end ``model/`` (a Hugging Face folder with ``rmr1.json``) and ``results.json``, the last of all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmr1.config import SftConfig
from rmr1.engines.fingerprint import folder_fingerprint
from rmr1.engines.hf_model import ModelCard, hf_folder, quiet_transformers, read_card
from rmr1.errors import DataError
from rmr1.runs import default_run_name
from rmr1.training.listener import SftListener, Silence
from rmr1.training.machine import Machine, check_batch, look_at_machine
from rmr1.training.results import file_sha256, open_run, read_results
from rmr1.training.sft.traces import Trace, read_traces, split_held_out


@dataclass(frozen=True, slots=True)
class SftTask:
    """What to train on and where to keep it.

    Args:
        data: Traces, see ``rmr1.training.sft.traces``.
        held_out: Traces to evaluate on; a share of ``data`` where not given, see ``SftConfig.held_out_share``.
        run: The run's directory; one that belongs to exactly this task where not given.
    """

    data: Path
    held_out: Path | None = None
    run: Path | None = None


@dataclass(frozen=True, slots=True)
class SftResult:
    """What a training leaves behind. ``results`` is ``results.json``; ``steps`` and ``seconds`` are of this process."""

    run: Path
    model: Path
    results: Mapping[str, Any]
    steps: int
    seconds: float


def train_sft(task: SftTask, config: SftConfig, listener: SftListener) -> SftResult:
    """Fine-tune a model on traces, as a run that the same task resumes after any interruption.

    Optimiser, schedule, order of examples and random numbers go on where they were: on one thread the weights are the same to the
    last bit as those of a run without interruption.

    Raises:
        DataError: The traces cannot be read, or none fits ``max_length``.
        ConfigError: The configuration does not fit the machine.
        ModelNotFoundError: There is no such model.
        RunError: The run's directory is in use, or is another run's.
        MissingExtraError: A library is not installed.
        KeyboardInterrupt: The user interrupted; a checkpoint was written.
    """
    began = time.monotonic()
    training, held = _read(task, config)
    folder = hf_folder(config.model.removeprefix("hf/"), listener.say)
    machine = look_at_machine(config, packing=config.packing)
    check_batch(config.batch_size, config.micro_batch_size, machine)
    if machine.rank:
        listener = Silence()
    card = _card(task, config, folder)
    identity = _identity(task, config, machine, folder, card)
    path = task.run or Path("runs") / default_run_name("sft", task.data.name.partition(".")[0], identity)
    with open_run(path, identity, machine) as run:
        finished = read_results(path)
        if finished is not None:
            listener.say(f"{path} is complete")
            return SftResult(path, path / "model", finished, 0, time.monotonic() - began)
        with quiet_transformers():
            from rmr1.training.job import TrainingJob
            from rmr1.training.sft.fine_tuning import FineTuning

            tuning = FineTuning(TrainingJob(config, machine, path, run, listener), config)
            results, steps = tuning.run(training, held, folder, card)
    return SftResult(path, path / "model", results, steps, time.monotonic() - began)


def _read(task: SftTask, config: SftConfig) -> tuple[list[Trace], list[Trace]]:
    traces = read_traces(task.data)
    if task.held_out is not None:
        return traces, read_traces(task.held_out)[: config.held_out_most]
    training, held = split_held_out(traces, config.held_out_share, config.seed)
    if not training:
        raise DataError(f"{task.data}: held_out_share {config.held_out_share} leaves no traces to train on; lower it")
    return training, held[: config.held_out_most]


def _card(task: SftTask, config: SftConfig, folder: Path) -> ModelCard:
    base = read_card(folder)
    template = config.template or _template_of(task.data.parent / "run.json") or (base.template if base else None)
    think = config.think if config.think != "auto" else base.think if base else "auto"
    return ModelCard(
        base=base.base if base and base.base else config.model,
        template=template,
        think=think,
        gguf=base.gguf if base else None,
    )


def _template_of(manifest: Path) -> str | None:
    """The template with which the run that wrote the traces made its prompts."""
    try:
        template = json.loads(manifest.read_text(encoding="utf-8"))["identity"].get("template")
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return template if isinstance(template, str) else None


def _identity(task: SftTask, config: SftConfig, machine: Machine, folder: Path, card: ModelCard) -> dict[str, Any]:
    return {
        "job": "sft",
        "data_sha256": file_sha256(task.data),
        "held_out_sha256": file_sha256(task.held_out) if task.held_out is not None else None,
        "model": config.model,
        "model_fingerprint": folder_fingerprint(folder),
        **config.identity(),
        "template": card.template,
        "think": card.think,
        "precision": machine.precision,
        "packing": machine.packing,
    }
