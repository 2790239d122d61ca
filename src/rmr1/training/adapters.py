"""Low-rank adapters: their configuration in peft's terms, how they are merged into their model, and a warning about them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmr1.config import TrainerConfig
from rmr1.models.loading import DType, load_causal_lm

if TYPE_CHECKING:
    from peft import LoraConfig


def peft_config(config: TrainerConfig) -> LoraConfig | None:
    """The configuration of the adapters in peft's terms; None for a full fine-tune."""
    if config.method == "full":
        return None
    from peft import LoraConfig

    lora = config.lora
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        task_type="CAUSAL_LM",
    )


def merge_adapters(folder: Path, base: Path, dtype: DType) -> None:
    """Merge the adapters in a folder into their base model, which then replaces them; a folder without adapters is left alone.

    It can be killed at any point and called again: the adapters are removed once the model is written, and first of them the
    file that announces them.

    Args:
        folder: Holds the adapters; holds the whole model afterwards.
        base: The model that they were trained on.
        dtype: Type of the merged weights.
    """
    if (folder / "adapter_config.json").is_file():
        from peft import PeftModel

        model, _ = load_causal_lm(str(base), dtype=dtype)
        merged: Any = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
        merged.save_pretrained(folder)
    for file in sorted(folder.glob("adapter_*")):
        file.unlink()


@contextmanager
def known_warnings() -> Iterator[None]:
    """Hide a warning that peft and TRL cause: they ask a model for an attribute that transformers renamed in version 5."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        yield
