"""The configuration in TRL's terms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trl import GRPOConfig as TrlConfig

from rmr1.config import RlConfig
from rmr1.models.hardware import Hardware
from rmr1.training.checkpointed_trainer import shared_arguments

_LOSSES = {"token-mean": "dapo", "sequence-mean": "grpo"}
"""TRL's names. Its "dapo" divides the sum over all tokens by their number in the global batch: micro-batches do not matter."""


def trl_arguments(config: RlConfig, hardware: Hardware, steps: int, run: Path) -> TrlConfig:
    """Everything that TRL's trainer is told.

    TRL leaves the advantages centred; dividing them by the standard deviation is ours, because TRL adds another epsilon.
    """
    micro = min(config.micro_batch_size, config.rows_per_step // hardware.processes)
    accumulation = config.rows_per_step // (micro * hardware.processes)
    return TrlConfig(
        **shared_arguments(config, hardware, run),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation * config.steps_per_rollout,
        num_generations=config.group_size,
        max_steps=steps,
        max_completion_length=config.max_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=0,
        loss_type=_LOSSES[config.loss],
        scale_rewards="none",
        epsilon=config.clip,
        epsilon_high=config.clip_high,
        beta=config.kl,
        use_bias_correction_kl=config.unbiased_kl,
        mask_truncated_completions=config.mask_truncated,
        shuffle_dataset=False,
        remove_unused_columns=False,
        **_vllm(config),
    )


def _vllm(config: RlConfig) -> dict[str, Any]:
    if config.rollout_backend != "vllm":
        return {}
    vllm = config.vllm
    return {
        "use_vllm": True,
        "vllm_mode": vllm.mode,
        "vllm_gpu_memory_utilization": vllm.memory,
        "vllm_enable_sleep_mode": vllm.sleep,
        "vllm_tensor_parallel_size": vllm.tensor_parallel,
        "vllm_max_model_length": config.max_prompt_tokens + config.max_tokens,
        "vllm_server_host": vllm.host,
        "vllm_server_port": vllm.port,
        "vllm_server_timeout": vllm.timeout_s,
        "vllm_importance_sampling_correction": True,
        "vllm_importance_sampling_mode": "token_truncate",
    }
