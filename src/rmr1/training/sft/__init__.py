"""Stage 1: supervised fine-tuning on traces."""

from rmr1.training.sft.run import train_sft

__all__ = ["train_sft"]
