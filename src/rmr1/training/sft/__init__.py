"""Stage 1: supervised fine-tuning on traces."""

from rmr1.training.sft.train import train_sft

__all__ = ["train_sft"]
