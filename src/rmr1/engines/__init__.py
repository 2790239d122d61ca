"""Text generators behind one protocol, found by name and loaded lazily."""

from rmr1.engines.batches import BatchEngine, BatchLedger, batched, has_batches
from rmr1.engines.protocol import Engine
from rmr1.engines.registry import EngineFactory, LoadedModel, open_model
from rmr1.engines.replay import prompt_sha256
from rmr1.engines.replies import checked_replies, dispatch

__all__ = [
    "BatchEngine",
    "BatchLedger",
    "Engine",
    "EngineFactory",
    "LoadedModel",
    "batched",
    "checked_replies",
    "dispatch",
    "has_batches",
    "open_model",
    "prompt_sha256",
]
