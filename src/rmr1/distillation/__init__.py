"""Traces for the first stage: completions that a teacher wrote, each verified against the label before a student sees it."""

from rmr1.distillation.assess import Assessment, assess, trim
from rmr1.distillation.hint_leak import leaked_hints
from rmr1.distillation.job import DistillCallbacks, DistillJob, DistillResult
from rmr1.distillation.run import distill_source

__all__ = [
    "Assessment",
    "DistillCallbacks",
    "DistillJob",
    "DistillResult",
    "assess",
    "distill_source",
    "leaked_hints",
    "trim",
]
