"""A training as a run: what decides its weights, where it resumes, how it ends, and that it is done once."""

from __future__ import annotations

import gc
import hashlib
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rmr1.arguments import optional_path, source_of
from rmr1.config import TrainerConfig
from rmr1.errors import ConfigError, JournalError, StorageError, TrainingError
from rmr1.files import storage
from rmr1.models import find_model
from rmr1.models.card import ModelCard, read_card
from rmr1.models.files import folder_fingerprint
from rmr1.models.hardware import Hardware
from rmr1.models.loading import DType, quiet_transformers
from rmr1.results import Results, TrainingMetrics, read_metrics
from rmr1.runs import Journal, NullCallbacks, RunDirectory, default_run_name, read_document
from rmr1.training.adapters import known_warnings
from rmr1.training.callbacks import StepCallbacks
from rmr1.training.checkpoints import checkpoint_step, latest_whole

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from rmr1.training.trainer import CheckpointedTrainer, TrainingCallback

METRICS = "metrics.jsonl"
_WRITE_FAILED = ("PytorchStreamWriter", "unexpected pos", "I/O error", "IoError", "No space left")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
ResultsT = TypeVar("ResultsT", bound=Results)
MetricsT = TypeVar("MetricsT", bound=TrainingMetrics)


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """What to train on, what to evaluate on (None: a share of the same), and the run's directory (None: by what it is)."""

    data: Path
    held_out: Path | None
    run: Path | None

    @classmethod
    def of(cls, data: str | Path, held_out: str | Path | None, run: str | Path | None, holds: str) -> TrainingTask:
        """A task from what a Python caller has.

        Args:
            data: What to train on.
            held_out: What to evaluate on.
            run: The run's directory.
            holds: What the files hold, in words.

        Raises:
            DataError: One of the files is no path.
            InputError: The run is none.
        """
        wanted = f"a path to a file of {holds}"
        unseen = None if held_out is None else Path(source_of("held_out", held_out, f"{wanted}, or None"))
        return cls(Path(source_of("data", data, wanted)), unseen, optional_path("run", run))


@dataclass(frozen=True, slots=True)
class TrainingResult(Generic[ResultsT]):
    """What a training leaves behind.

    Args:
        run: Its directory.
        model: The folder of the trained model.
        concluded: What ``results.json`` holds; None on all processes but the first of several that train together.
        steps: Optimiser steps that this process did.
        seconds: Time that this process took.
    """

    run: Path
    model: Path
    concluded: ResultsT | None
    steps: int
    seconds: float

    @property
    def results(self) -> ResultsT:
        """What ``results.json`` holds.

        Raises:
            TrainingError: This is not the first of several processes that train together.
        """
        if self.concluded is None:
            raise TrainingError(f"{self.run}: only the first of several processes has results; look at concluded first")
        return self.concluded


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A training in its run.

    Args:
        config: How to train.
        hardware: On what.
        path: The run's directory.
        directory: The same, opened; None in all processes but the first.
        callbacks: Receive progress.
    """

    config: TrainerConfig
    hardware: Hardware
    path: Path
    directory: RunDirectory | None
    callbacks: StepCallbacks[Any, Any]

    def weights(self, published: DType) -> DType:
        """The type of the weights: a step of 5e-6 is lost in a bfloat16 weight; weights under adapters take no steps."""
        frozen = self.config.method == "lora" and self.hardware.precision == "bfloat16"
        return published if frozen else "float32"

    def tell_hardware(self) -> None:
        """Say what is trained on which device, in which precision."""
        hardware = self.hardware
        where = f"{hardware.processes} x {hardware.device}" if hardware.processes > 1 else hardware.device
        self.callbacks.say(f"{self.config.method} fine-tune on {where} in {hardware.precision}")

    def train(self, trainer: CheckpointedTrainer, checkpoint: Path | None) -> None:
        """Train from a checkpoint, or from the beginning.

        Raises:
            KeyboardInterrupt: The user interrupted before the last step was done; a checkpoint was written.
        """
        with weights_on_disk(self.path), known_warnings(), self._interruptible(trainer.callback):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
        if trainer.callback.interrupted and not trainer.callback.finished:
            raise KeyboardInterrupt

    def find_checkpoint(self, evaluated: frozenset[int]) -> tuple[Path | None, int]:
        """The newest whole checkpoint with its step. Metrics of later steps are dropped, because those steps are done again.

        Args:
            evaluated: After which steps the training evaluates; none if nothing is held out.

        Raises:
            JournalError: The metrics up to the checkpoint are not those of its steps and evaluations.
        """
        checkpoint, damaged = latest_whole(self.path / "checkpoints")
        for broken in damaged:
            self.callbacks.say(f"{broken} is damaged and passed over")
        if checkpoint is not None:
            self.callbacks.say(f"resuming from {checkpoint}")
        done = checkpoint_step(checkpoint) if checkpoint is not None else 0
        if self.directory is not None:
            with self.directory.journal(METRICS) as metrics:
                kept = list(_metrics_until(done, metrics, evaluated))
            with self.directory.rewrite(METRICS, sealed=True) as add:
                for record in kept:
                    add(record)
        return checkpoint, done

    def record(self, metrics: TrainingMetrics) -> None:
        """Add a line to ``metrics.jsonl``."""
        if self.directory is not None:
            with self.directory.journal(METRICS) as lines:
                lines.append(metrics.to_json())

    def metrics(self, kind: type[MetricsT]) -> list[MetricsT]:
        """What was recorded so far of one kind; nothing in all processes but the first."""
        if self.directory is None:
            return []
        with self.directory.journal(METRICS) as lines:
            return read_metrics(lines, kind)

    def save_model(
        self,
        trainer: CheckpointedTrainer,
        tokenizer: PreTrainedTokenizerBase,
        card: ModelCard,
        published: DType,
        *,
        best: bool = False,
    ) -> None:
        """Write the model's folder aside and give it its name once it is whole: ``model``, or ``best`` while training goes on."""
        name = "best" if best else "model"
        target, staging = self.path / name, self.path / f".{name}"
        if self.hardware.rank == 0:
            shutil.rmtree(staging, ignore_errors=True)
        write = trainer.write_copy if best else trainer.write_model
        with weights_on_disk(target):
            write(staging, published)
        if self.hardware.rank:
            return
        tokenizer.save_pretrained(staging)
        card.write(staging)
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)

    def conclude(self, results: Results | None) -> None:
        """Write the results, the last of all, and remove what was needed to resume."""
        if self.directory is None or results is None:
            return
        self.directory.write_json("results.json", results.to_json())
        if not self.config.keep_checkpoints:
            shutil.rmtree(self.path / "checkpoints", ignore_errors=True)

    def _interruptible(self, callback: TrainingCallback[Any, Any]) -> AbstractContextManager[None]:
        def stop() -> None:
            callback.interrupted = True
            self.callbacks.say("ending after this step, with a checkpoint; once more ends at once")

        # Several processes would not stop after the same step.
        return gentle_interruption(stop) if self.hardware.processes == 1 else nullcontext()


def run_once(
    kind: type[ResultsT],
    task: TrainingTask,
    config: TrainerConfig,
    hardware: Hardware,
    identity: Mapping[str, object],
    callbacks: StepCallbacks[Any, Any],
    train: Callable[[TrainingRun], tuple[ResultsT | None, int]],
) -> TrainingResult[ResultsT]:
    """Train in a run, unless it is complete.

    Args:
        kind: What it concludes; its ``kind`` is the verb.
        task: What to train on and where.
        config: How to train.
        hardware: On what.
        identity: What decides the weights.
        callbacks: Receive progress, by the first process.
        train: Does what is left to do; gives the results, and the optimiser steps that this process did.
    """
    began = time.monotonic()
    callbacks = NullCallbacks() if hardware.rank else callbacks
    path = task.run or Path("runs") / default_run_name(kind.kind, task.data.name.partition(".")[0], identity)
    with _open(path, identity, hardware) as directory:
        results, steps = _read_results(path, kind), 0
        if results is not None:
            callbacks.say(f"{path} is complete")
        else:
            check_launch(hardware)
            with quiet_transformers():
                results, steps = train(TrainingRun(config, hardware, path, directory, callbacks))
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
    verb: str, task: TrainingTask, config: TrainerConfig, hardware: Hardware, folder: Path, card: ModelCard
) -> dict[str, object]:
    """What decides the weights of either stage."""
    return {
        "job": verb,
        "data_sha256": _sha256(task.data),
        "held_out_sha256": _sha256(task.held_out) if task.held_out is not None else None,
        "model": config.model,
        "model_fingerprint": folder_fingerprint(folder),
        **config.identity(),
        "template": card.template,
        "think": card.think,
        "precision": hardware.precision,
    }


def check_launch(hardware: Hardware) -> None:
    """Refuse one process that sees several GPUs: torch's DataParallel, which it would lead to, is not supported.

    Raises:
        ConfigError: It does.
    """
    import torch

    count = torch.cuda.device_count()
    if hardware.device == "cuda" and hardware.processes == 1 and count > 1:
        raise ConfigError(
            f"{count} GPUs and one process: begin with accelerate launch --multi_gpu --num_processes {count} -m rmr1.cli.main, "
            f"or take one GPU with CUDA_VISIBLE_DEVICES=0"
        )


def check_batch(batch_size: int, micro_batch_size: int, hardware: Hardware, name: str = "batch_size") -> None:
    """Refuse a batch that the processes cannot share evenly.

    Args:
        batch_size: Rows of a step.
        micro_batch_size: Rows that a process computes at once.
        hardware: With its processes.
        name: How an error calls the rows.

    Raises:
        ConfigError: It is not a multiple of what they compute at once.
    """
    together = min(micro_batch_size, batch_size) * hardware.processes
    if batch_size % together:
        raise ConfigError(
            f"{name} {batch_size} cannot be shared by {hardware.processes} processes with micro_batch_size "
            f"{micro_batch_size}; make it a multiple of {together}"
        )


@contextmanager
def weights_on_disk(path: Path) -> Iterator[None]:
    """Turn what torch and safetensors raise where weights cannot be written into ``StorageError``."""
    from safetensors import SafetensorError

    try:
        with storage(path):
            yield
    except (RuntimeError, SafetensorError) as error:
        said = " ".join(str(error).split())
        if any(sign in said for sign in _WRITE_FAILED):
            raise StorageError(
                f"{path}: the weights cannot be written ({said[:200]}); free some space and run the same command again"
            ) from error
        raise


@contextmanager
def gentle_interruption(on_first: Callable[[], None]) -> Iterator[None]:
    """Call ``on_first`` on the first Ctrl-C or SIGTERM; after it and at the end, the handlers are again those of before.

    Handlers can only be set in the main thread; in others nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {kind: signal.getsignal(kind) for kind in _SIGNALS}

    def restore() -> None:
        for kind, handler in before.items():
            signal.signal(kind, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        on_first()

    for kind in _SIGNALS:
        signal.signal(kind, handle)
    try:
        yield
    finally:
        restore()


def _read_results(run: Path, kind: type[ResultsT]) -> ResultsT | None:
    """The results of a complete training, or None where it is under way or was never begun."""
    file = run / "results.json"
    if not file.is_file() or not (run / "model" / "config.json").is_file():
        return None
    return kind.from_json(read_document(run, file.name), str(file))


def _metrics_until(done: int, metrics: Journal, evaluated: frozenset[int]) -> Iterator[dict[str, Any]]:
    """The lines of the steps that a checkpoint holds and of the evaluations between them: each once, in the order of the training.

    Raises:
        JournalError: A line is no metrics, or another one stands in its place.
    """
    fix = "restore metrics.jsonl, or remove the checkpoints to train again from the beginning"
    expected = [
        place
        for step in range(done + 1 if done else 0)
        for place in ((("step", step),) if step else ()) + ((("held_out", step),) if step in evaluated else ())
    ]
    number = 0
    for number, line in enumerate(metrics.lines(), 1):
        kind, step = line.record.get("kind"), line.record.get("step")
        if not isinstance(kind, str) or not isinstance(step, int):
            raise line.refuse("not the metrics of a training", fix)
        if number <= len(expected):
            if (kind, step) != expected[number - 1]:
                wanted, of = expected[number - 1]
                raise line.refuse(
                    f'step {step} of kind "{kind}" stands in the place of step {of} of kind "{wanted}"', fix
                )
            yield line.record
    if number < len(expected):
        kind, step = expected[number]
        raise JournalError(
            f'{metrics.path}:{number + 1}: step {step} of kind "{kind}" is missing, with all after it; {fix}'
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def _open(path: Path, identity: Mapping[str, object], hardware: Hardware) -> Iterator[RunDirectory | None]:
    """Open the run; of several processes that train together, only the first one holds it."""
    if hardware.rank:
        yield None
        return
    with RunDirectory(path, identity) as directory:
        yield directory
