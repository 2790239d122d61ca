"""Text generators behind one protocol, loaded lazily by name."""

from rmr1.engines.protocol import Engine
from rmr1.engines.registry import catalogue_entry, create_engine
from rmr1.engines.replay import prompt_sha256

__all__ = ["Engine", "catalogue_entry", "create_engine", "prompt_sha256"]
