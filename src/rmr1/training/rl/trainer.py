"""TRL's GRPO trainer with groups over both orders, rollouts of our own, and without the rollouts that have no gradient.

What is TRL's stays TRL's: the loss and its clipping, the divergence from the reference model, the normalisation by the tokens of
the whole batch, the masking of what was cut, the correction for vLLM's probabilities, the distribution over processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object  # type: ignore[import-untyped]
from datasets import Dataset
from trl import GRPOConfig as TrlConfig

from rmr1.config import RlConfig
from rmr1.engines.chat_text import ChatText
from rmr1.errors import ConfigError, TrainingError
from rmr1.models.hardware import Hardware
from rmr1.prefix.decoding.trial import trial_unsupported_reason
from rmr1.records import Sampling
from rmr1.results import RlEvalMetrics, RlStepMetrics
from rmr1.training.adapters import known_warnings, peft_config
from rmr1.training.rl.evaluation import Outcome, RolloutBatch, score
from rmr1.training.rl.groups import Group, JudgePrompt, Rollout
from rmr1.training.rl.rollouts import keep_rows, live_rows, rollout_seed, scaled_by_group, write
from rmr1.training.shared_rows import row_logprobs, sharing_unsupported_reason
from rmr1.training.trainer import CheckpointedTrainer, TrainingCallback, shared_arguments
from rmr1.training.trl_internals import GrpoHooks, Row, Tensors

_LOSSES = {"token-mean": "dapo", "sequence-mean": "grpo"}
"""TRL's names. Its "dapo" divides the sum over all tokens by their number in the global batch: micro-batches do not matter."""


@dataclass(slots=True)
class RolloutsUnderWay:
    """Rollouts that are being written and scored.

    Args:
        rollouts: Those of this process, in the order of TRL's rows.
        seconds: Time of writing; None until they are written.
        outcomes: What became of them; None until they are scored.
    """

    rollouts: Sequence[Rollout]
    seconds: float | None = None
    outcomes: list[Outcome] | None = None


class VerdictTrainer(CheckpointedTrainer, GrpoHooks):
    """Trains a judge on the correctness of its verdicts.

    TRL calls back for the text and for the reward of rollouts that it makes. What these calls share is in one
    attribute, ``_batch``: ``RolloutsUnderWay`` from the beginning of ``make_batch`` to its end, a ``RolloutBatch`` from then on.

    Args:
        config: How to train.
        groups: The groups of the whole training, in their order; the data set has a row with the index of each.
        think_open: Whether the chat template opens a think block.
        checkpoints: Where checkpoints go.
        callback: Follows the training.
        arguments: Those of TRL's trainer.
    """

    def __init__(
        self,
        config: RlConfig,
        groups: Sequence[Group],
        think_open: bool,
        checkpoints: Path,
        callback: TrainingCallback[RlStepMetrics, RlEvalMetrics],
        **arguments: Any,
    ) -> None:
        self.prepare(config, checkpoints)
        self._config = config
        self._groups = groups
        self._think_open = think_open
        self._batch: RolloutsUnderWay | RolloutBatch | None = None
        super().__init__(**{"callbacks": [callback], "reward_funcs": [self.reward], **arguments})
        self.follow(callback)
        self._text = ChatText(arguments["processing_class"], config.model)
        self.sharing_unsupported = sharing_unsupported_reason(self.model, config.prefix_sharing)

    @property
    def batch(self) -> RolloutBatch:
        """The rollouts that the steps under way are taken on.

        Raises:
            TrainingError: There are none yet.
        """
        if not isinstance(self._batch, RolloutBatch):
            raise TrainingError("no rollouts are written and scored yet; read them after the step that asks for them")
        return self._batch

    @property
    def under_way(self) -> RolloutsUnderWay:
        """The rollouts that are being written and scored.

        Raises:
            TrainingError: None are; TRL asks for text or a reward at a time that this trainer was not made for.
        """
        if not isinstance(self._batch, RolloutsUnderWay):
            raise TrainingError(
                "TRL asks for rollouts outside of a batch; install the version that tests/contract names"
            )
        return self._batch

    def make_batch(self, rows: list[Row], complete: Callable[[list[Row]], Tensors]) -> Tensors:
        """One rollout for each row, scored; of the result, the rows that are to be computed.

        TRL repeats each row of the data set as often as its group has rollouts; here they are shared out among the group's
        comparisons.
        """
        size = self._config.group_size
        rollouts = [self._rollout(row["group"], number % size) for number, row in enumerate(rows)]
        under_way = self._batch = RolloutsUnderWay(rollouts)
        tensors = complete([{"prompt": _turns(rollout.shown)} for rollout in rollouts])
        if under_way.outcomes is None or under_way.seconds is None:
            raise TrainingError("TRL made a batch without asking for its text and rewards; see tests/contract")
        outcomes, computed = under_way.outcomes, 1.0
        if self.accelerator.num_processes > 1:
            outcomes = gather_object(outcomes)
        if self._config.normalise:
            tensors["advantages"] = scaled_by_group(tensors["advantages"], size)
        if self._config.skip_zero_variance:
            tensors, computed = self._selected(tensors)
        self._batch = RolloutBatch(outcomes, computed, under_way.seconds)
        return tensors

    def reward(self, completions: list[Any], completion_ids: list[list[int]], **_: Any) -> list[float]:
        """TRL's reward function: +1 for the right verdict, else -1. It is called with the rollouts in the order of the rows."""
        under_way = self.under_way
        # By the tokens: TRL may have parsed the completions, and their thoughts away.
        under_way.outcomes = [
            self.outcome(rollout.shown, ids) for rollout, ids in zip(under_way.rollouts, completion_ids, strict=True)
        ]
        return [outcome.reward for outcome in under_way.outcomes]

    def outcome(self, shown: JudgePrompt, tokens: list[int]) -> Outcome:
        """Parse a completion and reward it."""
        tokenizer: Any = self.processing_class
        return score(
            tokenizer.decode(tokens, skip_special_tokens=True),
            pair_id=shown.pair_id,
            order=shown.order,
            gold=shown.gold,
            tokens=len(tokens),
            cut=not tokens or tokens[-1] not in self.eos_token_ids,
            think_open=self._think_open,
        )

    def write(self, prompts: Sequence[Sequence[int]], samplings: Sequence[Sampling]) -> list[list[int]]:
        """Write completions with the model as it is now."""
        model = self.accelerator.unwrap_model(self.model)
        with self.accelerator.autocast():
            return write(model, prompts, samplings, frozenset(self.eos_token_ids), self._config.slots)

    def prompt_tokens(self) -> list[list[int]]:
        """The tokens of the prompt of each rollout; those of a group stand next to each other and are tokenised once."""
        tokens: list[list[int]] = []
        rollouts = self.under_way.rollouts
        for number, rollout in enumerate(rollouts):
            repeated = number > 0 and rollout.shown is rollouts[number - 1].shown
            tokens.append(tokens[-1] if repeated else list(self._text.prompt(rollout.shown.messages)))
        return tokens

    def write_rollouts(
        self, prompts: Sequence[Sequence[int]], by_trl: Callable[[int], tuple[Any, Any]]
    ) -> tuple[Any, Any]:
        """Write the rollouts. vLLM gets each comparison's prompt once, and not each group's, whose prompts may differ."""
        under_way, began = self.under_way, time.monotonic()
        if self._config.rollout_backend == "batch":
            written = self.write(prompts, [self._sampling(rollout) for rollout in under_way.rollouts]), None
        else:
            written = by_trl(self._config.rollouts)
        under_way.seconds = time.monotonic() - began
        return written

    @property
    def shares_rows(self) -> bool:
        """Whether log-probabilities are computed over the rows' prefix tree."""
        return self.sharing_unsupported is None

    def completion_logprobs(
        self, model: Any, ids: torch.Tensor, mask: torch.Tensor, width: int, entropy: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Log-probabilities of the current, old and reference policies, over the rows' prefix tree, see ``row_logprobs``."""
        with self.accelerator.autocast():
            return row_logprobs(model, ids, mask, width, temperature=self.temperature, entropy=entropy)

    def _rollout(self, group: int, place: int) -> Rollout:
        order, number = divmod(place, self._config.rollouts)
        return Rollout(self._groups[group].comparisons[order], group, number)

    def _sampling(self, rollout: Rollout) -> Sampling:
        config, shown = self._config, rollout.shown
        seed = rollout_seed(config.seed, rollout.group, shown.pair_id, shown.order, rollout.number)
        return Sampling(config.temperature, config.top_p, config.max_tokens, seed)

    def _selected(self, batch: Tensors) -> tuple[Tensors, float]:
        """The rows to compute, and their share of all.

        All processes keep as many rows as the one that has most to learn from, and at least one for each micro-batch.
        """
        live = live_rows(batch["advantages"], batch["completion_mask"])
        slices: int = self.args.steps_per_generation  # type: ignore[attr-defined]
        most = int(self.accelerator.gather(torch.tensor([len(live)], device=live.device)).max())
        count = max(1, -(-most // slices)) * slices
        return keep_rows(batch, live, count), count / len(batch["advantages"])


def build_trainer(
    config: RlConfig,
    hardware: Hardware,
    model: Any,
    tokenizer: Any,
    groups: Sequence[Group],
    steps: int,
    run: Path,
    callback: TrainingCallback[RlStepMetrics, RlEvalMetrics],
    *,
    think_open: bool,
    evaluates: bool,
) -> VerdictTrainer:
    """Put a trainer together; adapters are added to the model where the configuration asks for them.

    Raises:
        ConfigError: Our own batches are to write rollouts, or greedy completions of held-out pairs, and cannot run this model.
    """
    with known_warnings():
        trainer = VerdictTrainer(
            config,
            groups,
            think_open,
            run / "checkpoints",
            callback,
            model=model,
            args=trl_arguments(config, hardware, steps, run),
            train_dataset=Dataset.from_dict({"prompt": ["?"] * len(groups), "group": list(range(len(groups)))}),
            processing_class=tokenizer,
            peft_config=peft_config(config),
        )
    sharded = "it is sharded, so that no process holds it whole" if trainer.sharded else None
    reason = sharded or trial_unsupported_reason(trainer.model)
    if reason and (config.rollout_backend == "batch" or evaluates):
        raise ConfigError(
            f"our own batches cannot write with this model: {reason}; "
            f"take rollout_backend generate or vllm, and held_out_share=0"
        )
    return trainer


def trl_arguments(config: RlConfig, hardware: Hardware, steps: int, run: Path) -> TrlConfig:
    """The configuration in TRL's terms.

    TRL leaves the advantages centred; dividing them by the standard deviation is ours, because TRL adds another epsilon.
    """
    micro = min(config.micro_batch_size, config.rows_per_step // hardware.processes)
    accumulation = config.rows_per_step // (micro * hardware.processes)
    return TrlConfig(
        **shared_arguments(config, hardware, run),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation * config.steps_per_rollout,
        num_generations=config.group_size,
        max_steps=steps,
        max_completion_length=config.max_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=0,
        loss_type=_LOSSES[config.loss],
        scale_rewards="none",
        epsilon=config.clip,
        epsilon_high=config.clip_high,
        beta=config.kl,
        use_bias_correction_kl=config.unbiased_kl,
        mask_truncated_completions=config.mask_truncated,
        shuffle_dataset=False,
        remove_unused_columns=False,
        **_vllm(config, hardware),
    )


def _vllm(config: RlConfig, hardware: Hardware) -> dict[str, Any]:
    if config.rollout_backend != "vllm":
        return {}
    vllm = config.vllm
    on_gpu = hardware.device == "cuda"
    if vllm.sleep and not on_gpu:
        raise ConfigError("vllm.sleep: vLLM frees no memory on a CPU; leave it out")
    return {
        "use_vllm": True,
        "vllm_mode": vllm.mode,
        "vllm_gpu_memory_utilization": vllm.memory,
        "vllm_enable_sleep_mode": on_gpu if vllm.sleep is None else vllm.sleep,
        "vllm_tensor_parallel_size": vllm.tensor_parallel,
        "vllm_max_model_length": config.max_prompt_tokens + config.max_tokens,
        "vllm_server_host": vllm.host,
        "vllm_server_port": vllm.port,
        "vllm_server_timeout": vllm.timeout_s,
        "vllm_importance_sampling_correction": True,
        "vllm_importance_sampling_mode": "token_truncate",
    }


def _turns(shown: JudgePrompt) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in shown.messages]
