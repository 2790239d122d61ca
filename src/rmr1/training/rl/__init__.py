"""Stage 2: reinforcement learning with a correctness reward (GRPO)."""

from rmr1.training.rl.train import train_rl

__all__ = ["train_rl"]
