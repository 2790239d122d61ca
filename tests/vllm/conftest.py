"""A tiny judge for vLLM on a CPU."""

import pytest


@pytest.fixture(scope="session")
def tiny_judge(tmp_path_factory):
    """It answers A or B, each in one token; its heads are as large as vLLM's attention on CPUs wants them."""
    pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm runs these tests")
    from rmr1.models.card import ModelCard
    from tests.support.tiny_model import write_tiny_judge

    sizes = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}
    folder = write_tiny_judge(tmp_path_factory.mktemp("judge"), initializer_range=0.2, **sizes)
    ModelCard("tiny", "verdict-only").write(folder)
    return folder
