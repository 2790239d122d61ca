"""What the processor is good at, where torch does not decide it by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def is_intel() -> bool:
    """Whether the processor is Intel's: on others, MKL's products take up to three times as long as oneDNN's."""
    capabilities: Mapping[str, Any] = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "Intel" in capabilities.get("cpu_name", "Intel")


def is_fast_in_bfloat16() -> bool:
    """Whether the processor has instructions for products in bfloat16; without them it converts back and forth."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
