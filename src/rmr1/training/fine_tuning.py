"""One fine-tuning, from tokens to the finished model folder."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from rmr1.config import SftConfig
from rmr1.engines.hf_model import DType, ModelCard, load_causal_lm, published_type
from rmr1.errors import DataError
from rmr1.runs import RunDirectory
from rmr1.training.checkpoints import checkpoint_step, latest_whole
from rmr1.training.course import Course
from rmr1.training.evaluation import evaluate, evaluation_steps
from rmr1.training.examples import Tokenised, end_of_turn, tokenise
from rmr1.training.interruption import gentle_interruption
from rmr1.training.listener import SftListener
from rmr1.training.machine import Machine
from rmr1.training.traces import Trace
from rmr1.training.trainer import Rows, TraceTrainer, build_trainer

_METRICS = "metrics.jsonl"


class FineTuning:
    """Trains, resumes, saves.

    Args:
        config: How.
        machine: On what.
        path: The run's directory.
        run: The same, opened; None in all processes but the first.
        listener: Told of progress.
    """

    def __init__(
        self, config: SftConfig, machine: Machine, path: Path, run: RunDirectory | None, listener: SftListener
    ) -> None:
        self._config = config
        self._machine = machine
        self._path = path
        self._run = run
        self._listener = listener

    def run(
        self, training: list[Trace], held: list[Trace], folder: Path, card: ModelCard
    ) -> tuple[Mapping[str, Any], int]:
        """Do what is left to do; gives the results, and the optimiser steps that this process did."""
        published = published_type(folder)
        model, tokenizer = load_causal_lm(str(folder), dtype=self._weights(published), attention=self._attention())
        _stop_at(model, end_of_turn(tokenizer))
        think_open = card.think == "open"
        learnt = tokenise(training, tokenizer, self._config.max_length)
        unseen = tokenise(held, tokenizer, self._config.max_length, verdicts=True, think_open=think_open)
        self._tell(learnt, unseen)
        rows = Rows(learnt.examples, self._config, self._machine)
        checkpoint = self._checkpoint()
        done = checkpoint_step(checkpoint) if checkpoint is not None else 0
        self._forget_after(done)
        trainer = self._trainer(model, tokenizer, rows, unseen)
        with self._interruptible(trainer.course):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
        if trainer.course.interrupted:
            raise KeyboardInterrupt
        self._save_model(trainer, tokenizer, card, published)
        results = self._results(learnt, unseen, rows)
        if self._run is not None:
            self._run.write_json("results.json", results)
            if not self._config.keep_checkpoints:
                shutil.rmtree(self._path / "checkpoints", ignore_errors=True)
        return results, rows.steps - done

    def _weights(self, published: DType) -> DType:
        # A step of 5e-6 is lost in a bfloat16 weight; weights under adapters take no steps.
        frozen = self._config.method == "lora" and self._machine.precision == "bfloat16"
        return published if frozen else "float32"

    def _attention(self) -> str | None:
        if not self._machine.packing or self._machine.device == "cpu":
            return "sdpa"
        from rmr1.training.machine import has_flash_attention

        return "flash_attention_2" if has_flash_attention() else "sdpa"

    def _tell(self, learnt: Tokenised, unseen: Tokenised) -> None:
        longest = self._config.max_length
        if not learnt.examples:
            raise DataError(f"every trace is longer than max_length {longest}; raise it")
        counts = f"{len(learnt.examples)} traces, {learnt.tokens} tokens, {learnt.supervised} of them learnt"
        self._listener.say(f"{counts}; {len(unseen.examples)} traces held out")
        dropped = len(learnt.too_long) + len(unseen.too_long)
        if dropped:
            self._listener.say(f"{dropped} traces are longer than max_length {longest} and are left out, not cut")
        machine = self._machine
        where = f"{machine.processes} x {machine.device}" if machine.processes > 1 else machine.device
        self._listener.say(f"{self._config.method} fine-tune on {where} in {machine.precision}")

    def _checkpoint(self) -> Path | None:
        checkpoint, damaged = latest_whole(self._path / "checkpoints")
        for broken in damaged:
            self._listener.say(f"{broken} is damaged and passed over")
        if checkpoint is not None:
            self._listener.say(f"resuming from {checkpoint}")
        return checkpoint

    def _forget_after(self, step: int) -> None:
        """Drop the metrics of steps that no checkpoint holds: they are done again."""
        if self._run is None:
            return
        with self._run.journal(_METRICS) as metrics:
            kept = [line for line in metrics if 0 < step >= line["step"]]
        with self._run.rewrite(_METRICS) as add:
            for line in kept:
                add(line)

    def _trainer(self, model: Any, tokenizer: Any, rows: Rows, unseen: Tokenised) -> TraceTrainer:
        config = self._config
        metrics = self._run.journal(_METRICS) if self._run is not None else None
        course = Course(
            self._listener,
            record=metrics.append if metrics is not None else lambda line: None,
            evaluate_after=evaluation_steps(rows.steps, config.evaluations),
            save_every_s=config.checkpoint_minutes * 60,
            save_steps=config.checkpoint_steps,
            epoch_steps=rows.epoch_steps,
        )
        trainer = build_trainer(config, self._machine, model, tokenizer, rows, self._path, course)
        if unseen.examples:
            course.evaluate = lambda step: evaluate(trainer.model_wrapped, unseen.examples, step, trainer.args.device)
        return trainer

    def _interruptible(self, course: Course) -> AbstractContextManager[None]:
        def stop() -> None:
            course.interrupted = True
            self._listener.say("ending after this step, with a checkpoint; once more ends at once")

        # Several processes would not stop after the same step.
        return gentle_interruption(stop) if self._machine.processes == 1 else nullcontext()

    def _save_model(self, trainer: TraceTrainer, tokenizer: Any, card: ModelCard, published: DType) -> None:
        target = self._path / "model"
        staging = self._path / ".model"
        if self._machine.rank == 0:
            shutil.rmtree(staging, ignore_errors=True)
        trainer.write_model(staging, getattr(torch, published))
        if self._machine.rank:
            return
        tokenizer.save_pretrained(staging)
        card.write(staging)
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)

    def _results(self, learnt: Tokenised, unseen: Tokenised, rows: Rows) -> dict[str, Any]:
        if self._run is None:
            return {}
        with self._run.journal(_METRICS) as metrics:
            lines = list(metrics)
        steps = [line for line in lines if line["kind"] == "step"]
        held = [line for line in lines if line["kind"] == "held_out"]
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
            "precision": self._machine.precision,
        }


def _stop_at(model: Any, token: int) -> None:
    """Let the finished model end where its traces ended, also where its chat template is not its tokenizer's habit."""
    stops = model.generation_config.eos_token_id
    known = stops if isinstance(stops, list) else [] if stops is None else [stops]
    if token not in known:
        model.generation_config.eos_token_id = [token, *known]


def _evaluation(lines: list[dict[str, Any]]) -> dict[str, Any] | None:
    return {name: value for name, value in lines[0].items() if name != "kind"} if lines else None
