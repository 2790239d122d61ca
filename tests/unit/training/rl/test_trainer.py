"""The configuration of stage 2 in TRL's terms."""

import pytest

pytest.importorskip("trl", reason="the train extra is not installed")

from rmr1.config import RlConfig, VllmConfig
from rmr1.errors import ConfigError
from rmr1.models.hardware import Hardware
from rmr1.training.rl.trainer import trl_arguments


def arguments(folder, device, **vllm):
    config = RlConfig(model="judge", rollout_backend="vllm", vllm=VllmConfig(**vllm))
    hardware = Hardware(device, "float32", packing=False, gradient_checkpointing=False, processes=1, rank=0)
    return trl_arguments(config, hardware, 2, folder)


def test_a_colocated_vllm_sleeps_where_it_can(tmp_path):
    assert arguments(tmp_path, "cuda").vllm_enable_sleep_mode
    assert not arguments(tmp_path, "cuda", sleep=False).vllm_enable_sleep_mode
    assert not arguments(tmp_path, "cpu").vllm_enable_sleep_mode
    with pytest.raises(ConfigError, match=r"vllm\.sleep: vLLM frees no memory on a CPU"):
        arguments(tmp_path, "cpu", sleep=True)
