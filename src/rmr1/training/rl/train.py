"""Stage 2 as a run: from labelled pairs to a model folder (paper section 3.3).

The run's directory holds ``run.json``, ``metrics.jsonl`` (a line for each optimiser step and each evaluation), ``checkpoints/``
while it is under way, and at the end ``model/`` (the last weights), ``best/`` (those of the best evaluation on held-out pairs) and
``results.json``, the last of all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmr1.arguments import expect_events
from rmr1.config import RlConfig, resolve_config
from rmr1.data import load_pairs, split_of
from rmr1.engines.chat_text import ChatText
from rmr1.errors import ConfigError, DataError
from rmr1.models.card import ModelCard
from rmr1.models.hardware import Hardware, detect_hardware
from rmr1.models.loading import context_of, hf_folder, load_causal_lm, published_type
from rmr1.prompts import Template, load_template
from rmr1.records import PreferencePair
from rmr1.results import RlEvalMetrics, RlResults, RlStepMetrics
from rmr1.runs import NullCallbacks
from rmr1.sides import decisive
from rmr1.training.adapters import merge_adapters
from rmr1.training.callbacks import RlCallbacks, StepCallbacks
from rmr1.training.chat_tokens import prompt_tokens, settle_think
from rmr1.training.rl.evaluation import conclude, judge_held_out, step_metrics
from rmr1.training.rl.groups import JudgePrompt, flatten, judge_prompts, steps_of
from rmr1.training.run import (
    TrainingResult,
    TrainingRun,
    TrainingTask,
    card_of,
    check_batch,
    identity_of,
    run_once,
)
from rmr1.training.schedule import evaluation_steps, pair_order

if TYPE_CHECKING:
    from rmr1.training.rl.trainer import VerdictTrainer


def train_rl(
    data: Path | str,
    config: RlConfig | None = None,
    *,
    held_out: Path | str | None = None,
    run: Path | str | None = None,
    callbacks: RlCallbacks | None = None,
    **settings: Any,
) -> TrainingResult[RlResults]:
    """Train a judge on the correctness of its verdicts, as a run that the same call resumes after any interruption.

    >>> train_rl("pairs.jsonl", model="runs/judge", max_steps=100).model  # doctest: +SKIP
    PosixPath('runs/rl-pairs-3f2a9c01/model')

    Optimiser, schedule, order of pairs and random numbers resume where they were: on one thread the losses are the same to the
    last bit as those of a run without interruption.

    Args:
        data: Labelled pairs, in any form that ``load_pairs`` reads.
        config: How to train; the defaults if neither it nor ``settings`` are given.
        held_out: Pairs to judge on the way; a share of ``data`` if not given, see ``held_out_share``.
        run: The run's directory; one that belongs to exactly this training if not given.
        callbacks: Receive progress; the default reports nothing.
        settings: Instead of ``config``, any field of ``RlConfig``.

    Raises:
        DataError: The pairs cannot be read, one has no label, or there are too few.
        ConfigError: A setting is wrong or does not fit the machine.
        TemplateError: There is no such prompt template.
        ModelNotFoundError: There is no such model.
        RunError: The run's directory is in use, or is another run's.
        MissingExtraError: A library is not installed.
        KeyboardInterrupt: The user interrupted; a checkpoint was written.
    """
    config = resolve_config(RlConfig, config, settings)
    task = TrainingTask.of(data, held_out, run, "pairs")
    expect_events(callbacks, StepCallbacks)
    callbacks = callbacks or NullCallbacks()
    training, held = _read(task, config, callbacks.say)
    folder = hf_folder(config.model.removeprefix("hf/"), callbacks.say)
    hardware = detect_hardware(
        precision=config.precision, gradient_checkpointing=config.gradient_checkpointing, threads=config.threads
    )
    _check_groups(config, hardware)
    card = card_of(config, folder, config.template)
    template = load_template(card.template or "cor")
    card = replace(card, template=card.template or "cor")
    identity = {**identity_of("rl", task, config, hardware, folder, card), "template_sha256": template.sha256}

    def work(opened: TrainingRun) -> tuple[RlResults | None, int]:
        return _RlRun(opened, config, template, folder, card).train(training, held)

    return run_once(RlResults, task, config, hardware, identity, callbacks, work)


@dataclass(frozen=True, slots=True)
class EncodedPairs:
    """Comparisons with the tokens of their prompts, pair by pair, and how many pairs were dropped because theirs are too long."""

    pairs: list[tuple[JudgePrompt, ...]]
    prompts: list[list[list[int]]]
    too_long: int


class _RlRun:
    """Trains, resumes, saves.

    Args:
        run: The training in its run.
        config: How to train.
        template: The judge's prompt template.
        folder: The model to begin with.
        card: The card of the trained model.
    """

    def __init__(self, run: TrainingRun, config: RlConfig, template: Template, folder: Path, card: ModelCard) -> None:
        self._run = run
        self._config = config
        self._template = template
        self._folder = folder
        self._published = published_type(folder)
        self._model, self._tokenizer = load_causal_lm(str(folder), dtype=run.weights(self._published), attention="sdpa")
        self._text = ChatText(self._tokenizer, config.model)
        self._card = settle_think(card, self._text, config.think)
        self._longest = min(config.max_prompt_tokens, context_of(self._model) - config.max_tokens)
        self._best = -1.0

    def train(self, training: list[PreferencePair], held: list[PreferencePair]) -> tuple[RlResults | None, int]:
        """Do what is left to do; gives the results, and the optimiser steps that this process did."""
        run, config = self._run, self._config
        trained = self._encode(training, config)
        unseen = self._encode(held, config.model_copy(update={"orders": "both"}))
        if not trained.pairs:
            fix = "raise it" if self._longest == config.max_prompt_tokens else "lower max_tokens"
            raise DataError(f"the prompt of every pair is longer than {self._limit()}; {fix}")
        steps = steps_of(len(trained.pairs), config)
        self._tell(trained, unseen, steps)
        evaluated = evaluation_steps(steps, config.evaluations)
        checkpoint, done = run.find_checkpoint(evaluated if unseen.pairs else frozenset())
        self._best = max([each.accuracy for each in run.metrics(RlEvalMetrics) if each.step], default=-1.0)
        trainer = self._trainer(trained, unseen, steps)
        if trainer.sharing_unsupported:
            run.callbacks.say(f"rows are computed one by one: {trainer.sharing_unsupported}")
        # What is left of a policy's rollouts is not saved, so a training can resume only where new ones are written.
        trainer.callback.steps_together = config.steps_per_rollout
        if config.max_minutes is not None:
            spent_s = sum(step.seconds for step in run.metrics(RlStepMetrics))
            trainer.callback.budget_s = config.max_minutes * 60 - spent_s
        run.train(trainer, checkpoint)
        run.save_model(trainer, self._tokenizer, self._card, self._published)
        if run.hardware.rank == 0:
            merge_adapters(run.path / "best", self._folder, self._published)
        results = conclude(
            run.metrics(RlStepMetrics),
            run.metrics(RlEvalMetrics),
            pairs=len(trained.pairs),
            held_out=len(unseen.pairs),
            dropped_too_long=trained.too_long,
            rows_per_step=config.rows_per_step,
            precision=run.hardware.precision,
        )
        run.conclude(results)
        return results, trainer.state.global_step - done

    def _encode(self, pairs: Sequence[PreferencePair], config: RlConfig) -> EncodedPairs:
        shown = [judge_prompts(pair, self._template, config) for pair in pairs]
        prompts = [
            [prompt_tokens(each.messages, self._text, f"pair {each.pair_id}") for each in orders] for orders in shown
        ]
        fits = [max(map(len, orders)) <= self._longest for orders in prompts]
        return EncodedPairs(
            [orders for orders, fit in zip(shown, fits, strict=True) if fit],
            [orders for orders, fit in zip(prompts, fits, strict=True) if fit],
            fits.count(False),
        )

    def _tell(self, trained: EncodedPairs, unseen: EncodedPairs, steps: int) -> None:
        config, say = self._config, self._run.callbacks.say
        say(
            f"{len(trained.pairs)} pairs; {steps} steps of {config.rows_per_step} rollouts in groups of {config.group_size}; "
            f"{len(unseen.pairs)} pairs held out"
        )
        dropped = trained.too_long + unseen.too_long
        if dropped:
            say(f"{dropped} pairs have prompts longer than {self._limit()} and are left out")
        self._run.tell_hardware()

    def _limit(self) -> str:
        if self._longest == self._config.max_prompt_tokens:
            return f"max_prompt_tokens {self._longest}"
        return f"the {self._longest} tokens that the model's context leaves"

    def _trainer(self, trained: EncodedPairs, unseen: EncodedPairs, steps: int) -> VerdictTrainer:
        from rmr1.training.rl.trainer import build_trainer
        from rmr1.training.trainer import TrainingCallback

        run, config, pairs = self._run, self._config, len(trained.pairs)

        def describe(number: int, logs: Mapping[str, float], seconds: float) -> RlStepMetrics:
            return step_metrics(number, trainer.batch, logs, seconds, pairs, config)

        callback: TrainingCallback[RlStepMetrics, RlEvalMetrics] = TrainingCallback(
            run.callbacks, run.record, evaluation_steps(steps, config.evaluations), config, describe
        )
        trainer = build_trainer(
            config,
            run.hardware,
            self._model,
            self._tokenizer,
            flatten(trained.pairs, pair_order(pairs, steps * config.pairs_per_step, config.seed), config),
            steps,
            run.path,
            callback,
            think_open=self._card.think == "open",
            evaluates=bool(unseen.pairs),
        )
        if unseen.pairs:
            callback.evaluate = lambda step: self._evaluate(trainer, unseen, step)
        return trainer

    def _evaluate(self, trainer: VerdictTrainer, unseen: EncodedPairs, step: int) -> RlEvalMetrics:
        shown = [each for orders in unseen.pairs for each in orders]
        prompts = [tokens for orders in unseen.prompts for tokens in orders]
        held = judge_held_out(shown, prompts, trainer.write, trainer.outcome, self._config.max_tokens, step)
        if step and held.accuracy > self._best:
            self._best = held.accuracy
            self._run.save_model(trainer, self._tokenizer, self._card, self._published, best=True)
        return held


def _read(
    task: TrainingTask, config: RlConfig, say: Callable[[str], None]
) -> tuple[list[PreferencePair], list[PreferencePair]]:
    pairs = _pairs(task.data, say)
    if task.held_out is not None:
        return pairs, _pairs(task.held_out, say)[: config.held_out_most]
    if config.held_out_share == 0:
        return pairs, []
    shares = {"train": 1 - config.held_out_share, "held_out": config.held_out_share}
    splits = [split_of(pair.prompt, shares, config.seed) for pair in pairs]
    training = [pair for pair, split in zip(pairs, splits, strict=True) if split == "train"]
    held = [pair for pair, split in zip(pairs, splits, strict=True) if split == "held_out"]
    if not training:
        raise DataError(f"{task.data}: held_out_share {config.held_out_share} leaves no pairs to train on; lower it")
    return training, held[: config.held_out_most]


def _pairs(path: Path, say: Callable[[str], None]) -> list[PreferencePair]:
    """The pairs with a side as label: a reward for the right verdict needs one."""
    source = load_pairs(str(path), advice="correct or drop the row")
    pairs = list(source)
    for notice in source.notices():
        say(notice)
    usable = [pair for pair in pairs if decisive(pair.label) is not None]
    ties = sum(pair.label == "tie" for pair in pairs)
    unlabelled = len(pairs) - len(usable) - ties
    if not usable:
        raise DataError(
            f"{path}: no pair with a side as label ({len(pairs)} pairs: {ties} ties, {unlabelled} without a label)"
        )
    if len(usable) < len(pairs):
        say(f"{path}: {ties} ties and {unlabelled} pairs without a label are left out")
    return usable


def _check_groups(config: RlConfig, hardware: Hardware) -> None:
    """A group's rollouts are written and compared on one process."""
    check_batch(config.rows_per_step, config.micro_batch_size, hardware, "the rollouts of a step,")
    if config.rows_per_step // hardware.processes % config.group_size:
        raise ConfigError(
            f"pairs_per_step {config.pairs_per_step} cannot be shared by {hardware.processes} processes in whole groups; "
            f"make it a multiple of {hardware.processes}"
        )
