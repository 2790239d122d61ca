"""Stage 2: reinforcement learning with a correctness reward (GRPO)."""

from rmr1.training.grpo.run import GrpoResult, GrpoTask, train_grpo

__all__ = ["GrpoResult", "GrpoTask", "train_grpo"]
