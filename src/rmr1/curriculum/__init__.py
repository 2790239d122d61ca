"""A curriculum that checks itself: preference pairs whose right answer a program decides, and the traces of that program."""

from rmr1.curriculum.families import FAMILIES, load_family, read_demand
from rmr1.curriculum.generate import generate_pairs, write_trace
from rmr1.curriculum.task import Demand, Family, Finding, Twin

__all__ = [
    "FAMILIES",
    "Demand",
    "Family",
    "Finding",
    "Twin",
    "generate_pairs",
    "load_family",
    "read_demand",
    "write_trace",
]
