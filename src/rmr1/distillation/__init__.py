"""Traces for the first stage: completions that a teacher wrote, each verified against the label before a student sees it."""

from rmr1.distillation.assessment import Assessment, assess, trim
from rmr1.distillation.hint_leak import leaked_hints
from rmr1.distillation.passes import DistillCallbacks, Writer
from rmr1.distillation.run import DistillRun, DistillRunResult, distill

__all__ = [
    "Assessment",
    "DistillCallbacks",
    "DistillRun",
    "DistillRunResult",
    "Writer",
    "assess",
    "distill",
    "leaked_hints",
    "trim",
]
