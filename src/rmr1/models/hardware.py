"""What the machine can do: device, precision, threads, and this process among several."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import Literal

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


def detect_hardware(
    *,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    packing: Literal["auto", "on", "off"] = "off",
    gradient_checkpointing: bool | None = None,
    threads: int | None = None,
) -> Hardware:
    """Find out what the machine has, and settle what is left open.

    Args:
        precision: What to compute in; auto is bfloat16 where the machine is faster in it.
        packing: Whether several examples share a row; auto packs where flash attention is installed.
        gradient_checkpointing: Whether to compute activations again instead of keeping them; if not given, on GPUs only.
        threads: CPU threads that torch gets; torch's choice if not given.

    Raises:
        ConfigError: The machine does not have what is asked for.
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    if threads is not None:
        torch.set_num_threads(threads)
    on_gpu = torch.cuda.is_available()
    settled: Literal["float32", "bfloat16"]
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if on_gpu else is_fast_in_bfloat16()
        settled = "bfloat16" if fast else "float32"
    else:
        settled = precision
    if precision == "bfloat16" and on_gpu and not torch.cuda.is_bf16_supported():
        raise ConfigError("precision: this GPU does not compute in bfloat16; choose float32")
    return Hardware(
        device="cuda" if on_gpu else "cpu",
        precision=settled,
        packing=packing == "on" or (packing == "auto" and on_gpu and has_flash_attention()),
        gradient_checkpointing=on_gpu if gradient_checkpointing is None else gradient_checkpointing,
        processes=int(os.environ.get("WORLD_SIZE", "1")),
        rank=int(os.environ.get("RANK", "0")),
    )


def has_flash_attention() -> bool:
    """Whether the attention that keeps packed examples apart at no cost is installed."""
    return importlib.util.find_spec("flash_attn") is not None


def is_fast_in_bfloat16() -> bool:
    """Whether the processor has instructions for products in bfloat16; without them it converts back and forth."""
    from rmr1.prefix.torch_internals import has_bfloat16_instructions

    return has_bfloat16_instructions()


def torch_device(wanted: str) -> str:
    """The device that torch computes on; auto takes a GPU if there is one.

    Args:
        wanted: As of ``engine.device``.

    Raises:
        ConfigError: There is no such device.
    """
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"engine.device {wanted}: torch cannot use it: {error}") from error
    return wanted
