"""What the machine can do: device, precision, threads, and this process among several."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import Literal

from rmr1.config import TrainerConfig
from rmr1.errors import ConfigError, MissingExtraError


@dataclass(frozen=True, slots=True)
class Hardware:
    """How a training uses the machine.

    Args:
        device: "cuda" or "cpu".
        precision: What is computed in; weights that are trained stay in float32 (a step of 5e-6 is lost in a bfloat16 weight).
        packing: Whether several examples share a row.
        gradient_checkpointing: Whether activations are computed again instead of kept.
        processes: Processes that train together, one for each GPU.
        rank: Number of this process; 0 writes the run.
    """

    device: Literal["cuda", "cpu"]
    precision: Literal["float32", "bfloat16"]
    packing: bool
    gradient_checkpointing: bool
    processes: int
    rank: int


def detect_hardware(config: TrainerConfig, packing: Literal["auto", "on", "off"] = "off") -> Hardware:
    """Find out what the machine has, and settle what the configuration leaves open.

    Raises:
        ConfigError: The configuration asks for what the machine has not.
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    on_gpu = torch.cuda.is_available()
    if config.precision == "auto":
        fast = torch.cuda.is_bf16_supported() if on_gpu else is_fast_in_bfloat16()
        precision: Literal["float32", "bfloat16"] = "bfloat16" if fast else "float32"
    else:
        precision = config.precision
    if config.precision == "bfloat16" and on_gpu and not torch.cuda.is_bf16_supported():
        raise ConfigError("precision: this GPU does not compute in bfloat16; choose float32")
    return Hardware(
        device="cuda" if on_gpu else "cpu",
        precision=precision,
        packing=packing == "on" or (packing == "auto" and on_gpu and has_flash_attention()),
        gradient_checkpointing=on_gpu if config.gradient_checkpointing is None else config.gradient_checkpointing,
        processes=int(os.environ.get("WORLD_SIZE", "1")),
        rank=int(os.environ.get("RANK", "0")),
    )


def has_flash_attention() -> bool:
    """Whether the attention that keeps packed examples apart at no cost is installed."""
    return importlib.util.find_spec("flash_attn") is not None


def check_launch(hardware: Hardware) -> None:
    """Refuse one process that sees several GPUs: it could use them in a way only that the trainers do not support.

    Raises:
        ConfigError: It does.
    """
    import torch

    count = torch.cuda.device_count()
    if hardware.device == "cuda" and hardware.processes == 1 and count > 1:
        raise ConfigError(
            f"{count} GPUs and one process: begin with accelerate launch --multi_gpu --num_processes {count} -m rmr1.cli.main, "
            f"or take one GPU with CUDA_VISIBLE_DEVICES=0"
        )


def check_batch(batch_size: int, micro_batch_size: int, hardware: Hardware, name: str = "batch_size") -> None:
    """Refuse a batch that the processes cannot share evenly.

    Args:
        batch_size: Rows of a step.
        micro_batch_size: Rows that a process computes at once.
        hardware: With its processes.
        name: How an error calls the rows.

    Raises:
        ConfigError: It is not a multiple of what they compute at once.
    """
    together = min(micro_batch_size, batch_size) * hardware.processes
    if batch_size % together:
        raise ConfigError(
            f"{name} {batch_size} cannot be shared by {hardware.processes} processes with micro_batch_size "
            f"{micro_batch_size}; make it a multiple of {together}"
        )


def is_fast_in_bfloat16() -> bool:
    """Whether the processor has instructions for products in bfloat16; without them it converts back and forth."""
    import torch

    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
