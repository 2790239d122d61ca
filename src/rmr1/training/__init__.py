"""Training judges: stage 1 (``sft``) and stage 2 (``grpo``). Nothing heavy is imported before a training begins."""

from rmr1.results import RlEvalMetrics, RlStepMetrics, SftEvalMetrics, SftStepMetrics
from rmr1.training.callbacks import RlCallbacks, SftCallbacks
from rmr1.training.rl import train_rl
from rmr1.training.runs import TrainingResult, TrainingTask
from rmr1.training.sft import train_sft

__all__ = [
    "RlCallbacks",
    "RlEvalMetrics",
    "RlStepMetrics",
    "SftCallbacks",
    "SftEvalMetrics",
    "SftStepMetrics",
    "TrainingResult",
    "TrainingTask",
    "train_rl",
    "train_sft",
]
