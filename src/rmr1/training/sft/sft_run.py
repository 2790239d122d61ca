"""One fine-tuning, from tokens to the finished model folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmr1.config import SftConfig
from rmr1.errors import DataError
from rmr1.models.card import ModelCard
from rmr1.models.hardware import has_flash_attention
from rmr1.models.loading import context_of, load_causal_lm, published_type
from rmr1.results import SftEvalMetrics, SftStepMetrics
from rmr1.training.callback import TrainingCallback
from rmr1.training.chat_tokens import end_of_turn, settle_think
from rmr1.training.job import TrainingJob
from rmr1.training.schedule import evaluation_steps
from rmr1.training.sft.evaluation import evaluate
from rmr1.training.sft.examples import Tokenised, tokenise
from rmr1.training.sft.traces import Trace
from rmr1.training.sft.trainer import Rows, TraceTrainer, build_trainer


class SftRun:
    """Trains, resumes, saves.

    Args:
        job: The training in its run.
        config: How.
    """

    def __init__(self, job: TrainingJob, config: SftConfig) -> None:
        self._job = job
        self._config = config

    def run(
        self, training: list[Trace], held: list[Trace], folder: Path, card: ModelCard
    ) -> tuple[Mapping[str, Any], int]:
        """Do what is left to do; gives the results, and the optimiser steps that this process did."""
        job, config = self._job, self._config
        published = published_type(folder)
        model, tokenizer = load_causal_lm(str(folder), dtype=job.weights(published), attention=self._attention())
        stop_at(model, end_of_turn(tokenizer))
        card = settle_think(card, tokenizer)
        longest = min(config.max_length, context_of(model))
        learnt = tokenise(training, tokenizer, longest)
        unseen = tokenise(held, tokenizer, longest, verdicts=True, think_open=card.think == "open")
        self._tell(learnt, unseen, longest)
        rows = Rows(learnt.examples, config, job.hardware)
        checkpoint, done = job.find_checkpoint()
        trainer = self._trainer(model, tokenizer, rows, unseen)
        job.train(trainer, checkpoint)
        job.save_model(trainer, tokenizer, card, published)
        results = self._results(learnt, unseen, rows)
        job.conclude(results)
        return results, rows.steps - done

    def _attention(self) -> str:
        hardware = self._job.hardware
        flash = hardware.packing and hardware.device == "cuda" and has_flash_attention()
        return "flash_attention_2" if flash else "sdpa"

    def _tell(self, learnt: Tokenised, unseen: Tokenised, longest: int) -> None:
        say = self._job.callbacks.say
        limit = f"max_length {longest}" if longest == self._config.max_length else f"the model's context of {longest}"
        if not learnt.examples:
            fix = "raise it" if longest == self._config.max_length else "take a model that can attend to more"
            raise DataError(f"every trace is longer than {limit}; {fix}")
        counts = f"{len(learnt.examples)} traces, {learnt.tokens} tokens, {learnt.supervised} of them learnt"
        say(f"{counts}; {len(unseen.examples)} traces held out")
        dropped = len(learnt.too_long) + len(unseen.too_long)
        if dropped:
            say(f"{dropped} traces are longer than {limit} and are left out, not cut")
        self._job.tell_hardware()

    def _trainer(self, model: Any, tokenizer: Any, rows: Rows, unseen: Tokenised) -> TraceTrainer:
        job, config = self._job, self._config

        def describe(number: int, logs: Mapping[str, Any], seconds: float) -> SftStepMetrics:
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

        course: TrainingCallback[SftStepMetrics, SftEvalMetrics] = TrainingCallback(
            job.callbacks, job.record, evaluation_steps(rows.steps, config.evaluations), config, describe
        )
        trainer = build_trainer(config, job.hardware, model, tokenizer, rows, job.path, course)
        if unseen.examples:
            course.evaluate = lambda step: evaluate(trainer.model_wrapped, unseen.examples, step, trainer.args.device)
        return trainer

    def _results(self, learnt: Tokenised, unseen: Tokenised, rows: Rows) -> dict[str, Any]:
        steps, held = self._job.lines("step"), self._job.lines("held_out")
        if not steps:
            return {}
        tail = steps[-max(1, math.ceil(len(steps) / 10)) :]
        return {
            "steps": rows.steps,
            "epochs": rows.epochs,
            "traces": len(learnt.examples),
            "dropped_too_long": len(learnt.too_long),
            "held_out": len(unseen.examples),
            "held_out_dropped_too_long": len(unseen.too_long),
            "tokens": sum(line["tokens"] for line in steps),
            "supervised_tokens": sum(line["supervised"] for line in steps),
            "first_loss": steps[0]["loss"],
            "last_loss": sum(line["loss"] for line in tail) / len(tail),
            "held_out_before": _evaluation(held[:1]),
            "held_out_after": _evaluation(held[-1:]),
            "precision": self._job.hardware.precision,
        }


def stop_at(model: Any, token: int) -> None:
    """Let the finished model end where its traces ended, also where its chat template is not its tokenizer's habit."""
    stops = model.generation_config.eos_token_id
    known = stops if isinstance(stops, list) else [] if stops is None else [stops]
    if token not in known:
        model.generation_config.eos_token_id = [token, *known]


def _evaluation(lines: list[dict[str, Any]]) -> dict[str, Any] | None:
    return {name: value for name, value in lines[0].items() if name != "kind"} if lines else None
