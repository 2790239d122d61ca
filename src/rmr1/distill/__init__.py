"""Traces for the first stage: judgements that a teacher wrote, each verified against the label before a student sees it."""

from rmr1.distill.assess import Assessment, assess, trim
from rmr1.distill.hint_leak import leaked_hints
from rmr1.distill.job import DistillJob, DistillResult, Listener
from rmr1.distill.run import distill_source

__all__ = [
    "Assessment",
    "DistillJob",
    "DistillResult",
    "Listener",
    "assess",
    "distill_source",
    "leaked_hints",
    "trim",
]
