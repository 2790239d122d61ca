"""Training judges: stage 1 (``train_sft``) and stage 2 (``train_rl``). Nothing heavy is imported before a training begins."""

from rmr1.training.callbacks import RlCallbacks, SftCallbacks
from rmr1.training.rl import train_rl
from rmr1.training.run import TrainingResult
from rmr1.training.sft import train_sft

__all__ = ["RlCallbacks", "SftCallbacks", "TrainingResult", "train_rl", "train_sft"]
