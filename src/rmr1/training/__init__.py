"""Training judges: stage 1 (``sft``) and stage 2 (``grpo``). Nothing heavy is imported before a training begins."""

from rmr1.training.grpo import GrpoResult, GrpoTask, train_grpo
from rmr1.training.listener import GrpoListener, GrpoStep, Held, HeldJudged, SftListener, Step
from rmr1.training.sft import SftResult, SftTask, train_sft

__all__ = [
    "GrpoListener",
    "GrpoResult",
    "GrpoStep",
    "GrpoTask",
    "Held",
    "HeldJudged",
    "SftListener",
    "SftResult",
    "SftTask",
    "Step",
    "train_grpo",
    "train_sft",
]
