"""Stage 1 as a run: from traces to a model folder (paper section 3.1: the loss is on the tokens of the trace, not on the prompt).

The run's directory holds ``run.json``, ``metrics.jsonl`` (a line for each optimiser step and each evaluation), ``checkpoints/``
while it is under way, and at the end ``model/`` (a Hugging Face folder with ``rmr1.json``) and ``results.json``, the last of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmr1.arguments import expect_events
from rmr1.config import SftConfig, resolve_config
from rmr1.engines.chat_text import ChatText
from rmr1.errors import ConfigError, DataError
from rmr1.models.card import ModelCard
from rmr1.models.hardware import detect_hardware, has_flash_attention
from rmr1.models.loading import context_of, hf_folder, load_causal_lm, published_type
from rmr1.prompts import load_template
from rmr1.results import SftEvalMetrics, SftResults, SftStepMetrics
from rmr1.runs import NullCallbacks, read_manifest
from rmr1.training.callbacks import SftCallbacks, StepCallbacks
from rmr1.training.chat_tokens import end_of_turn, settle_think
from rmr1.training.run import (
    TrainingResult,
    TrainingRun,
    TrainingTask,
    card_of,
    check_batch,
    identity_of,
    run_once,
)
from rmr1.training.schedule import evaluation_steps
from rmr1.training.sft.evaluation import conclude, evaluate
from rmr1.training.sft.traces import Tokenised, Trace, read_traces, split_held_out, tokenise

if TYPE_CHECKING:
    from rmr1.training.sft.trainer import Rows, TraceTrainer


def train_sft(
    data: Path | str,
    config: SftConfig | None = None,
    *,
    held_out: Path | str | None = None,
    run: Path | str | None = None,
    callbacks: SftCallbacks | None = None,
    **settings: Any,
) -> TrainingResult[SftResults]:
    """Fine-tune a model on traces, as a run that the same call resumes after any interruption.

    >>> train_sft("traces.jsonl", model="smollm2-135m-instruct", epochs=2).model  # doctest: +SKIP
    PosixPath('runs/sft-traces-3f2a9c01/model')

    Optimiser, schedule, order of examples and random numbers resume where they were: on one thread the weights are the same to
    the last bit as those of a run without interruption.

    Args:
        data: Traces, such as ``traces.jsonl`` of ``rmr1 distill``.
        config: How to train; the defaults if neither it nor ``settings`` are given.
        held_out: Traces to evaluate on; a share of ``data`` if not given, see ``held_out_share``.
        run: The run's directory; one that belongs to exactly this training if not given.
        callbacks: Receive progress; the default reports nothing.
        settings: Instead of ``config``, any field of ``SftConfig``.

    Raises:
        DataError: The traces cannot be read, or none fits ``max_length``.
        ConfigError: A setting is wrong, does not fit the machine, or the template is not that of the traces.
        ModelNotFoundError: There is no such model.
        RunError: The run's directory is in use, or is another run's.
        MissingExtraError: A library is not installed.
        KeyboardInterrupt: The user interrupted; a checkpoint was written.
    """
    config = resolve_config(SftConfig, config, settings)
    task = TrainingTask.of(data, held_out, run, "traces")
    expect_events(callbacks, StepCallbacks)
    callbacks = callbacks or NullCallbacks()
    template = _template(task.data.parent / "run.json", config.template)
    training, held = _read(task, config)
    folder = hf_folder(config.model.removeprefix("hf/"), callbacks.say)
    hardware = detect_hardware(
        precision=config.precision,
        packing=config.packing,
        gradient_checkpointing=config.gradient_checkpointing,
        threads=config.threads,
    )
    check_batch(config.batch_size, config.micro_batch_size, hardware)
    card = card_of(config, folder, template)
    identity = {**identity_of("sft", task, config, hardware, folder, card), "packing": hardware.packing}

    def work(opened: TrainingRun) -> tuple[SftResults | None, int]:
        return _SftRun(opened, config).train(training, held, folder, card)

    return run_once(SftResults, task, config, hardware, identity, callbacks, work)


class _SftRun:
    """Trains, resumes, saves.

    Args:
        run: The training in its run.
        config: How to train.
    """

    def __init__(self, run: TrainingRun, config: SftConfig) -> None:
        self._run = run
        self._config = config

    def train(
        self, training: list[Trace], held: list[Trace], folder: Path, card: ModelCard
    ) -> tuple[SftResults | None, int]:
        """Do what is left to do; gives the results, and the optimiser steps that this process did."""
        from rmr1.training.sft.trainer import Rows

        run, config = self._run, self._config
        published = published_type(folder)
        model, tokenizer = load_causal_lm(str(folder), dtype=run.weights(published), attention=self._attention())
        stop_at(model, end_of_turn(tokenizer))
        text = ChatText(tokenizer, config.model)
        card = settle_think(card, text, config.think)
        longest = min(config.max_length, context_of(model))
        trained = tokenise(training, tokenizer, text, longest)
        unseen = tokenise(held, tokenizer, text, longest, verdicts=True)
        self._tell(trained, unseen, longest)
        rows = Rows(trained.examples, config, run.hardware)
        evaluated = evaluation_steps(rows.steps, config.evaluations)
        checkpoint, done = run.find_checkpoint(evaluated if unseen.examples else frozenset())
        trainer = self._trainer(model, tokenizer, rows, unseen)
        run.train(trainer, checkpoint)
        run.save_model(trainer, tokenizer, card, published)
        steps, evaluations = run.metrics(SftStepMetrics), run.metrics(SftEvalMetrics)
        precision = run.hardware.precision
        results = conclude(steps, evaluations, trained, unseen, epochs=rows.epochs, precision=precision)
        run.conclude(results)
        return results, rows.steps - done

    def _attention(self) -> str:
        hardware = self._run.hardware
        flash = hardware.packing and hardware.device == "cuda" and has_flash_attention()
        return "flash_attention_2" if flash else "sdpa"

    def _tell(self, trained: Tokenised, unseen: Tokenised, longest: int) -> None:
        say = self._run.callbacks.say
        limit = f"max_length {longest}" if longest == self._config.max_length else f"the model's context of {longest}"
        if not trained.examples:
            fix = "raise it" if longest == self._config.max_length else "take a model that can attend to more"
            raise DataError(f"every trace is longer than {limit}; {fix}")
        counts = f"{len(trained.examples)} traces, {trained.tokens} tokens, {trained.supervised} of them supervised"
        say(f"{counts}; {len(unseen.examples)} traces held out")
        dropped = len(trained.too_long) + len(unseen.too_long)
        if dropped:
            say(f"{dropped} traces are longer than {limit} and are left out, not cut")
        self._run.tell_hardware()

    def _trainer(self, model: Any, tokenizer: Any, rows: Rows, unseen: Tokenised) -> TraceTrainer:
        from rmr1.training.sft.trainer import build_trainer
        from rmr1.training.trainer import TrainingCallback

        run, config = self._run, self._config

        def describe(number: int, logs: Mapping[str, float], seconds: float) -> SftStepMetrics:
            tokens, supervised = trainer.take_token_counts()
            return SftStepMetrics(
                step=number,
                loss=logs["loss"],
                learning_rate=logs["learning_rate"],
                grad_norm=float(logs.get("grad_norm", 0.0)),
                epoch=number / rows.epoch_steps,
                tokens=tokens,
                supervised=supervised,
                seconds=seconds,
            )

        callback: TrainingCallback[SftStepMetrics, SftEvalMetrics] = TrainingCallback(
            run.callbacks, run.record, evaluation_steps(rows.steps, config.evaluations), config, describe
        )
        trainer = build_trainer(config, run.hardware, model, tokenizer, rows, run.path, callback)
        if unseen.examples:
            callback.evaluate = lambda step: evaluate(trainer.model_wrapped, unseen.examples, step, trainer.args.device)
        return trainer


def stop_at(model: Any, token: int) -> None:
    """Make the model end where its traces end, also where its tokenizer has another end than its chat template."""
    stops = model.generation_config.eos_token_id
    known = stops if isinstance(stops, list) else [] if stops is None else [stops]
    if token not in known:
        model.generation_config.eos_token_id = [token, *known]


def _read(task: TrainingTask, config: SftConfig) -> tuple[list[Trace], list[Trace]]:
    traces = read_traces(task.data)
    if task.held_out is not None:
        return traces, read_traces(task.held_out)[: config.held_out_most]
    training, held = split_held_out(traces, config.held_out_share, config.seed)
    if not training:
        raise DataError(f"{task.data}: held_out_share {config.held_out_share} leaves no traces to train on; lower it")
    return training, held[: config.held_out_most]


def _template(manifest: Path, wanted: str | None) -> str | None:
    """The template that is wanted, else that of the run which wrote the traces; a judge is used with the prompt of its traces."""
    if not manifest.is_file():
        return wanted
    written = read_manifest(manifest.parent).identity
    name, sha256 = written.get("template"), written.get("template_sha256")
    if wanted and sha256 and load_template(wanted).sha256 != sha256:
        raise ConfigError(
            f'{manifest}: these traces answer the prompt "{name}", and template is "{wanted}"; train with --set template={name}, '
            f"or write traces with rmr1 distill --template {wanted}"
        )
    return wanted or (name if isinstance(name, str) else None)
