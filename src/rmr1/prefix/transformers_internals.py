"""What we use of transformers beyond its public interface, all of it: this is the only file that names it.

``tests/contract/test_transformers.py`` fails if a release of transformers changes what is overridden or read here. The trainer's
module is imported only where there is a trainer, because this file also serves those who only run a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torch.utils.data import Sampler

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


class TrainerHooks:
    """Mixed into transformers' trainer, in front of it: some of its inner steps under public names."""

    def training_order(self) -> Sequence[int] | None:
        """The rows of the data set in the order in which they are trained on; None leaves it to the trainer."""
        return None

    def checkpoint_folder(self) -> Path:
        """Where checkpoints are written."""
        raise NotImplementedError

    def save_checkpoint(self, write: Callable[[], None]) -> None:
        """Save a checkpoint; ``write`` writes it into ``checkpoint_folder``, without the model card that TRL adds."""
        write()

    def keep_scheduler(self) -> None:
        """Tell the trainer that ``lr_scheduler`` was made here, and is to step with the optimiser."""
        self._created_lr_scheduler = True

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        order = self.training_order()
        if order is not None:
            return FixedOrder(order)
        sampler: Sampler[int] | None = cast(Any, super())._get_train_sampler(train_dataset)
        return sampler

    def _get_output_dir(self, trial: Any) -> str:
        return str(self.checkpoint_folder())

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        from transformers import Trainer

        self.save_checkpoint(lambda: Trainer._save_checkpoint(cast(Trainer, self), model, trial))


class FixedOrder(Sampler[int]):
    """Rows in a given order."""

    def __init__(self, order: Sequence[int]) -> None:
        self.order = order

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)


def takes_attention_functions(model: PreTrainedModel) -> bool:
    """Whether a model's class hands all arguments down to exchangeable attention functions."""
    return bool(model._supports_attention_backend)


def is_recurrent(model: PreTrainedModel) -> bool:
    """Whether a model keeps a state that depends on all tokens before, beside keys and values."""
    return bool(getattr(model, "_is_stateful", False))


def attention_implementation(config: PretrainedConfig) -> str | None:
    """The name of the attention function in use."""
    name: str | None = config._attn_implementation
    return name


def forget_origin(model: PreTrainedModel) -> None:
    """Leave out of a saved configuration where the model was loaded from: a path of this machine."""
    model.config._name_or_path = ""
