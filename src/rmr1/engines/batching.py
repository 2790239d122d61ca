"""Models through the batch APIs of their providers: so far OpenAI's; another one would be chosen here by the engine's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from rmr1.config import BatchConfig
from rmr1.engines.batch_ledger import BatchLedger
from rmr1.engines.protocol import Engine
from rmr1.errors import ConfigError

if TYPE_CHECKING:
    from rmr1.engines.openai.engine import OpenAIEngine


def has_batches(model: str) -> bool:
    """Whether a model argument or the name of an engine has a batch API."""
    return model.startswith("openai/")


def batched(engine: Engine, ledger: BatchLedger, config: BatchConfig, say: Callable[[str], None]) -> Engine:
    """The same model, asked through its provider's batch API.

    Args:
        engine: How to ask directly.
        ledger: Where the batches of the run are kept.
        config: Sizes and waiting times.
        say: Told of batches that are sent and answered.

    Raises:
        ConfigError: The engine has no batch API.
    """
    if not has_batches(engine.name):
        raise ConfigError(f"{engine.name} has no batch API")
    from rmr1.engines.openai.batch import OpenAIBatchEngine

    return OpenAIBatchEngine(cast("OpenAIEngine", engine), ledger, config, say)
