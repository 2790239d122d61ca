"""One training of stage 2, from labelled pairs to the finished model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from rmr1.config import RlConfig
from rmr1.errors import ConfigError, DataError
from rmr1.models.card import ModelCard
from rmr1.models.loading import context_of, load_causal_lm, published_type
from rmr1.prefix.decoding.trial import trial_unsupported_reason
from rmr1.prompts import Template
from rmr1.records import PreferencePair
from rmr1.results import RlEvalMetrics, RlStepMetrics
from rmr1.training.callback import TrainingCallback
from rmr1.training.chat_tokens import prompt_tokens, settle_think
from rmr1.training.checkpointed_trainer import adapters, known_warnings, merge_adapters
from rmr1.training.job import TrainingJob
from rmr1.training.rl.arguments import trl_arguments
from rmr1.training.rl.evaluation import judge_held_out
from rmr1.training.rl.groups import JudgePrompt, flatten, judge_prompts, steps_of, training_order
from rmr1.training.rl.outcomes import summarise
from rmr1.training.rl.trainer import VerdictTrainer
from rmr1.training.schedule import evaluation_steps


@dataclass(frozen=True, slots=True)
class EncodedPairs:
    """Comparisons with the tokens of their prompts, pair by pair, and how many pairs were dropped because theirs are too long."""

    pairs: list[tuple[JudgePrompt, ...]]
    prompts: list[list[list[int]]]
    too_long: int


class RlRun:
    """Trains, resumes, saves.

    Args:
        job: The training in its run.
        config: How.
        template: What the judge is asked with.
        folder: The model to begin with.
        card: The card of the trained model.
    """

    def __init__(self, job: TrainingJob, config: RlConfig, template: Template, folder: Path, card: ModelCard) -> None:
        self._job = job
        self._config = config
        self._template = template
        self._folder = folder
        self._published = published_type(folder)
        self._model, self._tokenizer = load_causal_lm(str(folder), dtype=job.weights(self._published), attention="sdpa")
        self._card = settle_think(card, self._tokenizer)
        self._longest = min(config.max_prompt_tokens, context_of(self._model) - config.max_tokens)
        self._best = -1.0

    def run(self, training: list[PreferencePair], held: list[PreferencePair]) -> tuple[Mapping[str, Any], int]:
        """Do what is left to do; gives the results, and the optimiser steps that this process did."""
        job, config = self._job, self._config
        learnt, unseen = self._ask(training, config), self._ask(held, config.model_copy(update={"orders": "both"}))
        if not learnt.pairs:
            fix = "raise it" if self._longest == config.max_prompt_tokens else "lower max_tokens"
            raise DataError(f"the prompt of every pair is longer than {self._limit()}; {fix}")
        steps = steps_of(len(learnt.pairs), config)
        self._tell(learnt, unseen, steps)
        checkpoint, done = job.find_checkpoint()
        self._best = max([line["accuracy"] for line in job.lines("held_out") if line["step"]], default=-1.0)
        trainer = self._trainer(learnt, unseen, steps)
        if trainer.sharing_unsupported:
            job.callbacks.say(f"rows are computed one by one: {trainer.not_shared}")
        # What is left of a policy's rollouts is not saved, so a training goes on only where the next ones are written.
        trainer.course.whole = config.steps_per_rollout
        if config.max_minutes is not None:
            trainer.course.budget_s = config.max_minutes * 60 - sum(line["seconds"] for line in job.lines("step"))
        job.train(trainer, checkpoint)
        job.save_model(trainer, self._tokenizer, self._card, self._published)
        if job.hardware.rank == 0:
            merge_adapters(job.path / "best", self._folder, self._published)
        results = self._results(learnt, unseen)
        job.conclude(results)
        return results, trainer.state.global_step - done

    def _ask(self, pairs: Sequence[PreferencePair], config: RlConfig) -> EncodedPairs:
        shown = [judge_prompts(pair, self._template, config) for pair in pairs]
        prompts = [
            [prompt_tokens(each.messages, self._tokenizer, f"pair {each.pair_id}") for each in orders]
            for orders in shown
        ]
        fits = [max(map(len, orders)) <= self._longest for orders in prompts]
        return EncodedPairs(
            [orders for orders, fit in zip(shown, fits, strict=True) if fit],
            [orders for orders, fit in zip(prompts, fits, strict=True) if fit],
            fits.count(False),
        )

    def _tell(self, learnt: EncodedPairs, unseen: EncodedPairs, steps: int) -> None:
        config, say = self._config, self._job.callbacks.say
        say(
            f"{len(learnt.pairs)} pairs; {steps} steps of {config.rows_per_step} rollouts in groups of {config.group_size}; "
            f"{len(unseen.pairs)} pairs held out"
        )
        dropped = learnt.too_long + unseen.too_long
        if dropped:
            say(f"{dropped} pairs have prompts longer than {self._limit()} and are left out")
        self._job.tell_hardware()

    def _limit(self) -> str:
        if self._longest == self._config.max_prompt_tokens:
            return f"max_prompt_tokens {self._longest}"
        return f"the {self._longest} tokens that the model's context leaves"

    def _trainer(self, learnt: EncodedPairs, unseen: EncodedPairs, steps: int) -> VerdictTrainer:
        job, config = self._job, self._config
        course: TrainingCallback[RlStepMetrics, RlEvalMetrics] = TrainingCallback(
            job.callbacks,
            job.record,
            evaluation_steps(steps, config.evaluations),
            config,
            lambda number, logs, seconds: self._describe(trainer, learnt, number, logs, seconds),
        )
        groups = flatten(learnt.pairs, training_order(len(learnt.pairs), steps, config), config)
        with known_warnings():
            trainer = VerdictTrainer(
                config,
                groups,
                self._card.think == "open",
                job.path / "checkpoints",
                course,
                model=self._model,
                args=trl_arguments(config, job.hardware, steps, job.path),
                train_dataset=Dataset.from_dict({"prompt": ["?"] * len(groups), "group": list(range(len(groups)))}),
                processing_class=self._tokenizer,
                peft_config=adapters(config),
            )
        reason = (
            "it is sharded, so that no process holds it whole"
            if trainer.sharded
            else trial_unsupported_reason(trainer.model)
        )
        if reason and (config.rollout_backend == "batch" or unseen.pairs):
            raise ConfigError(
                f"our own batches cannot write with this model: {reason}; "
                f"set rollout_backend to generate or vllm, and held_out_share=0"
            )
        if unseen.pairs:
            course.evaluate = lambda step: self._evaluate(trainer, unseen, step)
        return trainer

    def _describe(
        self, trainer: VerdictTrainer, learnt: EncodedPairs, number: int, logs: Mapping[str, Any], seconds: float
    ) -> RlStepMetrics:
        outcomes, computed, rollout_s = trainer.take_outcomes()
        shares = summarise(outcomes, self._config.group_size)
        clipped = logs.get("clip_ratio/region_mean")
        return RlStepMetrics(
            step=number,
            loss=logs["loss"],
            learning_rate=logs["learning_rate"],
            grad_norm=float(logs.get("grad_norm", 0.0)),
            epoch=number * self._config.pairs_per_step / len(learnt.pairs),
            reward=shares.reward,
            accuracy=shares.accuracy,
            position_consistency=shares.position_consistency,
            invalid=shares.invalid,
            invalid_by_reason=shares.invalid_by_reason,
            zero_variance=shares.zero_variance,
            truncated=shares.invalid_by_reason.get("truncated", 0.0)
            if "completions/clipped_ratio" not in logs
            else logs["completions/clipped_ratio"],
            computed=computed,
            completion_tokens=shares.completion_tokens,
            entropy=logs.get("entropy") or 0.0,
            kl=logs.get("kl"),
            clipped=clipped or 0.0,
            tokens=int(logs.get("num_tokens") or 0),
            seconds=seconds,
            seconds_rollout=round(rollout_s, 3),
            seconds_update=round(max(0.0, seconds - rollout_s), 3),
        )

    def _evaluate(self, trainer: VerdictTrainer, unseen: EncodedPairs, step: int) -> RlEvalMetrics:
        shown = [each for orders in unseen.pairs for each in orders]
        prompts = [tokens for orders in unseen.prompts for tokens in orders]
        held = judge_held_out(shown, prompts, trainer.write, trainer.outcome, self._config.max_tokens, step)
        if step and held.accuracy > self._best:
            self._best = held.accuracy
            self._job.save_model(trainer, self._tokenizer, self._card, self._published, best=True)
        return held

    def _results(self, learnt: EncodedPairs, unseen: EncodedPairs) -> dict[str, Any]:
        lines, held = self._job.lines("step"), self._job.lines("held_out")
        if not lines:
            return {}
        tail = lines[-max(1, len(lines) // 10) :]
        best = max(held[1:], key=lambda line: line["accuracy"], default=None)
        return {
            "steps": len(lines),
            "pairs": len(learnt.pairs),
            "dropped_too_long": learnt.too_long,
            "held_out": len(unseen.pairs),
            "rollouts": self._config.rows_per_step * len(lines),
            "first_reward": lines[0]["reward"],
            "last_reward": sum(line["reward"] for line in tail) / len(tail),
            "seconds_rollout": round(sum(line["seconds_rollout"] for line in lines), 1),
            "seconds_update": round(sum(line["seconds_update"] for line in lines), 1),
            "held_out_before": _without_kind(held[0]) if held else None,
            "held_out_after": _without_kind(held[-1]) if held else None,
            "held_out_best": _without_kind(best) if best else None,
            "precision": self._job.hardware.precision,
        }


def _without_kind(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "kind"}
