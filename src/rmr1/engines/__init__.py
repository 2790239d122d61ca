"""Text generators behind one protocol, loaded lazily by name."""

from rmr1.engines.batch_ledger import BatchLedger
from rmr1.engines.batching import batched, has_batches
from rmr1.engines.protocol import Engine
from rmr1.engines.registry import catalogue_entry, create_engine, model_template
from rmr1.engines.replay import prompt_sha256

__all__ = [
    "BatchLedger",
    "Engine",
    "batched",
    "catalogue_entry",
    "create_engine",
    "has_batches",
    "model_template",
    "prompt_sha256",
]
