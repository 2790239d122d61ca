"""Training judges: stage 1 (``sft``) and stage 2 (``grpo``). Nothing heavy is imported before a training begins."""

from rmr1.training.metrics import GrpoListener, GrpoStep, Held, HeldJudged, SftListener, Step
from rmr1.training.rl import train_grpo
from rmr1.training.runs import TrainingResult, TrainingTask
from rmr1.training.sft import train_sft

__all__ = [
    "GrpoListener",
    "GrpoStep",
    "Held",
    "HeldJudged",
    "SftListener",
    "Step",
    "TrainingResult",
    "TrainingTask",
    "train_grpo",
    "train_sft",
]
