"""TRL's colocated vLLM on this CPU: weights that are trained reach it. ``make test-vllm`` runs it, in a process of its own.

vLLM packs the weights of its linear layers on a CPU, and cannot take new ones then; the script makes it multiply by the weights
as they are. On a GPU nothing is packed. So this holds for what TRL and vLLM do with our trainer's weights, and not for training on
a CPU, where ``rollout_backend=batch`` is the way.
"""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm runs these tests")

SCRIPT = """
import json, sys
import torch
import vllm.model_executor.layers.utils as layers

def plain(layer, remove_weight):
    layer.cpu_linear = torch.nn.functional.linear

layers.dispatch_cpu_unquantized_gemm = plain
from accelerate import Accelerator
from trl.generation.vllm_generation import VLLMGeneration
from rmr1.models.loading import load_causal_lm

def main():
    model, tokenizer = load_causal_lm(sys.argv[1])
    asked = [tokenizer(f"Question {number}: which?<|im_end|>")["input_ids"] for number in range(20)]
    writer = VLLMGeneration(
        model, Accelerator(cpu=True), tokenizer, mode="colocate", gpu_memory_utilization=0.1, max_model_length=256,
        max_num_seqs=8, temperature=0.0, max_completion_length=8, enable_sleep_mode=False,
    )

    def written():
        return [tokenizer.decode(ids) for ids in writer.generate(asked, images=None, num_generations=1)[1]]

    def expected():
        found = []
        for ids in asked:
            made = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=8)[0, len(ids):].tolist()
            found.append(tokenizer.decode(made))
        return found

    writer.sync_weights()
    answers = {"before": written(), "expected before": expected()}
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "proj" in name:
                weights.add_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)) * 0.2)
    answers["not synced"] = written()
    writer.sync_weights()
    answers |= {"after": written(), "expected after": expected()}
    print("ANSWERS" + json.dumps(answers))

if __name__ == "__main__":
    main()
"""
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TORCH_COMPILE_DISABLE": "1",
    "VLLM_CPU_CI_ENV": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
}


def test_synced_weights_change_the_texts(tiny_judge, tmp_path):
    pytest.importorskip("trl", reason="vLLM is not installed here; make test-vllm runs these tests")
    script = tmp_path / "colocated.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(tiny_judge)],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("ANSWERS")]
    assert found, done.stdout[-3000:] + done.stderr[-3000:]
    answers = json.loads(found[0].removeprefix("ANSWERS"))
    assert answers["not synced"] == answers["before"], "vLLM has weights of its own"
    assert alike(answers["before"], answers["expected before"]) > 0.6
    assert alike(answers["after"], answers["expected after"]) > 0.6
    assert alike(answers["after"], answers["before"]) < 0.3


def alike(ours, theirs):
    """The share of texts that are the same; vLLM computes in bfloat16 here, which tips choices of this judge."""
    return sum(mine == other for mine, other in zip(ours, theirs, strict=True)) / len(ours)
