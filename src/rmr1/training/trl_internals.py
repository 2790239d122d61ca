"""What we use of TRL beyond its public interface, all of it: this is the only file that names it.

TRL's GRPO trainer makes, scores and computes its rollouts in methods that begin with an underscore. ``GrpoHooks`` overrides them
and gives each a public name, for a trainer to fill in. ``tests/contract/test_trl.py`` fails if a release of TRL changes a method
that is overridden here; if it changes parameters, importing this module fails already, with the version to install.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
import trl
from trl import GRPOTrainer
from trl.trainer.utils import split_tensor_dict

from rmr1.errors import TrainingError

Tensors: TypeAlias = dict[str, Any]
"""A batch of TRL's trainer: tensors with one row a rollout, and scalars."""
Row: TypeAlias = dict[str, Any]
"""A row of the data set: its columns by name."""
OVERRIDDEN = {
    "_generate_and_score_completions": ("self", "inputs"),
    "_tokenize_prompts": ("self", "prompts"),
    "_generate_single_turn": ("self", "prompt_ids", "images", "multimodal_fields", "num_generations"),
    "_prepare_inputs": ("self", "generation_batch"),
    "_get_per_token_logps_and_entropies": (
        *("self", "model", "input_ids", "attention_mask", "logits_to_keep", "batch_size", "compute_entropy"),
    ),
}
"""The methods that are overridden, with the parameters that they begin with."""


def check_trl() -> None:
    """Refuse a TRL whose methods are not those that are overridden here.

    Raises:
        TrainingError: One is missing, or takes other parameters.
    """
    for name, parameters in OVERRIDDEN.items():
        method = getattr(GRPOTrainer, name, None)
        found = tuple(inspect.signature(inspect.unwrap(method)).parameters) if method is not None else ()
        if found[: len(parameters)] != parameters:
            raise TrainingError(
                f"trl {trl.__version__}: GRPOTrainer.{name} is not the one that this version of rmr1 was made for; "
                f"install trl 1.16"
            )


check_trl()


class GrpoHooks(GRPOTrainer):  # type: ignore[misc]
    """TRL's GRPO trainer with its inner steps under public names."""

    _buffered_inputs: list[Tensors] | None
    _step: int

    def make_batch(self, rows: list[Row], complete: Callable[[list[Row]], Tensors]) -> Tensors:
        """Make the tensors of a generation batch.

        Args:
            rows: Of the data set, each as often as its group has rollouts.
            complete: TRL's own way: given rows with prompts, it calls ``write_rollouts`` and the reward functions, and computes
                advantages and log-probabilities.
        """
        raise NotImplementedError

    def prompt_tokens(self) -> list[list[int]]:
        """The tokens of the prompt of each row that is being made."""
        raise NotImplementedError

    def write_rollouts(
        self, prompts: Sequence[Sequence[int]], by_trl: Callable[[int], tuple[Any, Any]]
    ) -> tuple[Any, Any]:
        """Write a completion for each prompt.

        Args:
            prompts: Their tokens.
            by_trl: TRL's own way; it is given how many prompts in succession are equal.

        Returns:
            The completions' tokens, and their log-probabilities or None.
        """
        raise NotImplementedError

    @property
    def shares_rows(self) -> bool:
        """Whether ``completion_logprobs`` is to be called, instead of TRL's own way."""
        raise NotImplementedError

    def completion_logprobs(
        self, model: Any, ids: torch.Tensor, mask: torch.Tensor, width: int, entropy: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Log-probabilities of the last ``width`` columns, and entropies where asked for: ``[rows, width]``, nats."""
        raise NotImplementedError

    def _generate_and_score_completions(self, inputs: list[Row]) -> Tensors:
        return self.make_batch(inputs, super()._generate_and_score_completions)

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        # TRL's own way reads control tokens in what users wrote.
        return self.prompt_tokens(), None, {}

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, num_generations: int, *rest: Any, **more: Any
    ) -> tuple[Any, Any]:
        def by_trl(equal: int) -> tuple[Any, Any]:
            written: tuple[Any, Any] = super(GrpoHooks, self)._generate_single_turn(
                prompt_ids, images, multimodal_fields, equal, *rest, **more
            )
            return written

        return self.write_rollouts(prompt_ids, by_trl)

    def _prepare_inputs(self, generation_batch: Any) -> Tensors:
        """The rows of a micro-batch. Unlike TRL's they are not shuffled: rows of a group stay together and share a beginning."""
        slices: int = self.args.steps_per_generation
        if self._step % slices == 0 or self._buffered_inputs is None:
            self._buffered_inputs = split_tensor_dict(self._generate_and_score_completions(generation_batch), slices)
        inputs: Tensors = self._buffered_inputs[self._step % slices]
        return inputs

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
        if not self.shares_rows:
            return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, *rest, **more
            )
        found = []
        size = batch_size or len(input_ids)
        for start in range(0, len(input_ids), size):
            rows = slice(start, start + size)
            found.append(
                self.completion_logprobs(model, input_ids[rows], attention_mask[rows], logits_to_keep, compute_entropy)
            )
        logprobs = torch.cat([part for part, _ in found])
        entropies = [part for _, part in found if part is not None]
        return logprobs, torch.cat(entropies) if entropies else None, None
