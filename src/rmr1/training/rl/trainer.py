"""TRL's GRPO trainer with groups over both orders, rollouts of our own, and without the rollouts that nothing can be learnt from.

What is TRL's stays TRL's: the loss and its clipping, the divergence from the reference model, the normalisation by the tokens of
the whole batch, the masking of what was cut, the correction for vLLM's probabilities, the distribution over processes. Its methods
that begin with an underscore are overridden in this file only; ``tests/contract`` fails where a release of TRL changes them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object  # type: ignore[import-untyped]
from trl import GRPOTrainer
from trl.trainer.utils import split_tensor_dict

from rmr1.config import RlConfig
from rmr1.records import Sampling
from rmr1.results import RlEvalMetrics, RlStepMetrics
from rmr1.training.callback import TrainingCallback
from rmr1.training.checkpointed_trainer import CheckpointedTrainer
from rmr1.training.rl.groups import Group, JudgePrompt, Rollout
from rmr1.training.rl.outcomes import Outcome, score
from rmr1.training.rl.rollouts import rollout_seed, write
from rmr1.training.rl.selection import keep_rows, live_rows, scaled_by_group
from rmr1.training.shared_rows import row_logprobs, sharing_unsupported_reason


class VerdictTrainer(CheckpointedTrainer, GRPOTrainer):  # type: ignore[misc]
    """Trains a judge on the correctness of its verdicts.

    Args:
        config: How to train.
        groups: The groups of the whole training, in their order; the data set has a row with the index of each.
        think_open: Whether the chat template opens a think block.
        checkpoints: Where checkpoints go.
        course: Told what happens.
        arguments: Those of TRL's trainer.
    """

    def __init__(
        self,
        config: RlConfig,
        groups: Sequence[Group],
        think_open: bool,
        checkpoints: Path,
        course: TrainingCallback[RlStepMetrics, RlEvalMetrics],
        **arguments: Any,
    ) -> None:
        self.prepare(config, checkpoints)
        self._config = config
        self._groups = groups
        self._think_open = think_open
        self._asked: list[Rollout] = []
        self._scored: list[Outcome] = []
        self._outcomes: list[Outcome] = []
        self._computed = 1.0
        self._rollout_s = 0.0
        self._buffered_inputs: list[dict[str, Any]] | None = None
        super().__init__(**{"callbacks": [course], "reward_funcs": [self.reward], **arguments})
        self.follow(course)
        self.sharing_unsupported = sharing_unsupported_reason(self.model, config.prefix_sharing)

    def take_outcomes(self) -> tuple[list[Outcome], float, float]:
        """What the latest rollouts were, the share of them that is computed, and the seconds of writing since the last call."""
        seconds, self._rollout_s = self._rollout_s, 0.0
        return self._outcomes, self._computed, seconds

    def reward(self, completions: list[Any], completion_ids: list[list[int]], **_: Any) -> list[float]:
        """TRL's reward function: +1 for the right verdict, else -1. It is called with the rollouts in the order of the inputs."""
        # By the tokens: TRL may have parsed the completions, and their thoughts away.
        self._scored = [
            self.outcome(rollout.shown, ids) for rollout, ids in zip(self._asked, completion_ids, strict=True)
        ]
        return [outcome.reward for outcome in self._scored]

    def outcome(self, shown: JudgePrompt, tokens: list[int]) -> Outcome:
        """Parse a completion."""
        return score(
            self._tokenizer.decode(tokens, skip_special_tokens=True),
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

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """One rollout for each input, scored; of the result, the rows that are to be computed.

        TRL repeats each row of the data set as often as its group has rollouts; here they are shared out among the group's
        comparisons.
        """
        size = self._config.group_size
        self._asked = [self._rollout(row["group"], number % size) for number, row in enumerate(inputs)]
        placed = [{"prompt": _turns(rollout.shown)} for rollout in self._asked]
        batch: dict[str, Any] = super()._generate_and_score_completions(placed)
        self._outcomes = gather_object(self._scored) if self.accelerator.num_processes > 1 else self._scored
        if self._config.normalise:
            batch["advantages"] = scaled_by_group(batch["advantages"], size)
        return self._selected(batch) if self._config.skip_zero_variance else batch

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """The rows of a micro-batch. Unlike TRL's they are not shuffled: rows of a group stay together and share a beginning."""
        slices: int = self.args.steps_per_generation  # type: ignore[attr-defined]
        if self._step % slices == 0 or self._buffered_inputs is None:
            self._buffered_inputs = split_tensor_dict(self._generate_and_score_completions(generation_batch), slices)
        return self._buffered_inputs[self._step % slices]

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        *rest: Any,
        **more: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Log-probabilities of the policy, of what it was, and of the reference: over the prefix tree where that is possible."""
        if self.sharing_unsupported:
            return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, *rest, **more
            )
        found = []
        size = batch_size or len(input_ids)
        for start in range(0, len(input_ids), size):
            rows = slice(start, start + size)
            with self.accelerator.autocast():
                found.append(
                    row_logprobs(
                        model,
                        input_ids[rows],
                        attention_mask[rows],
                        logits_to_keep,
                        temperature=self.temperature,
                        entropy=compute_entropy,
                    )
                )
        logprobs = torch.cat([part for part, _ in found])
        entropies = [part for _, part in found if part is not None]
        return logprobs, torch.cat(entropies) if entropies else None, None

    def _rollout(self, group: int, place: int) -> Rollout:
        order, number = divmod(place, self._config.rollouts)
        return Rollout(self._groups[group].comparisons[order], group, number)

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, num_generations: int, *rest: Any, **more: Any
    ) -> tuple[Any, Any]:
        """Write the rollouts. vLLM is asked once for each comparison and not for each group, whose prompts may differ."""
        began = time.monotonic()
        try:
            if self._config.rollout_backend != "batch":
                return super()._generate_single_turn(  # type: ignore[no-any-return]
                    prompt_ids, images, multimodal_fields, self._config.rollouts, *rest, **more
                )
            return self.write(prompt_ids, [self._sampling(rollout) for rollout in self._asked]), None
        finally:
            self._rollout_s += time.monotonic() - began

    def _sampling(self, rollout: Rollout) -> Sampling:
        config, shown = self._config, rollout.shown
        seed = rollout_seed(config.seed, rollout.group, shown.pair_id, shown.order, rollout.number)
        return Sampling(config.temperature, config.top_p, config.max_tokens, seed)

    def _selected(self, batch: dict[str, Any]) -> dict[str, Any]:
        """All processes keep as many rows as the one that has most to learn from, and at least one for each micro-batch."""
        live = live_rows(batch["advantages"], batch["completion_mask"])
        slices: int = self.args.steps_per_generation  # type: ignore[attr-defined]
        most = int(self.accelerator.gather(torch.tensor([len(live)], device=live.device)).max())
        count = max(1, -(-most // slices)) * slices
        self._computed = count / len(batch["advantages"])
        return keep_rows(batch, live, count)


def _turns(shown: JudgePrompt) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in shown.messages]
