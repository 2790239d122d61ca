"""Training judges: stage 1, supervised fine-tuning on traces. Nothing heavy is imported before a training begins."""

from rmr1.training.listener import Held, SftListener, Step
from rmr1.training.sft import SftResult, SftTask, train_sft

__all__ = ["Held", "SftListener", "SftResult", "SftTask", "Step", "train_sft"]
