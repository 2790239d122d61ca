"""A curriculum that checks itself: preference pairs whose right answer a program decides, and the traces of that program."""

from rmr1.curriculum.catalogue import FAMILIES, read_demand
from rmr1.curriculum.generate import generate_pairs
from rmr1.curriculum.trace import write_trace

__all__ = ["FAMILIES", "generate_pairs", "read_demand", "write_trace"]
