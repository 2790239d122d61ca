"""Stage 1: supervised fine-tuning on traces."""

from rmr1.training.sft.run import SftResult, SftTask, train_sft

__all__ = ["SftResult", "SftTask", "train_sft"]
