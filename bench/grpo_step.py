"""What an optimiser step of stage 2 costs beside TRL's own trainer: log-probabilities, backward pass and optimiser, rollouts given.

Both trainers are the real ones with the same random rollouts; only the writing is left out. They take turns in one process.

    python bench/grpo_step.py --prompt 768 --completion 96 --groups 1 --rollouts 8
    python bench/grpo_step.py --prompt 1500 --completion 128 --groups 1 --rollouts 14 --peer-rows 2
    python bench/grpo_step.py --prompt 768 --completion 96 --groups 1 --rollouts 8 --memory

With ``--memory`` each trainer is a process of its own, and what is measured is its largest memory during a step above what it holds
before: model and optimiser (Linux, CPU).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from rmr1.models.loading import load_causal_lm
from rmr1.prefix import build_tree
from rmr1.training.adapters import known_warnings
from rmr1.training.shared_rows import row_logprobs, sharing_unsupported_reason
from rmr1.training.trl_internals import GrpoHooks


def rollouts(given: argparse.Namespace, vocabulary: int) -> dict[str, Any]:
    """Random tokens: groups of rows that share a prompt, and prompts that share their instructions."""
    chance = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randint(10, vocabulary, shape, generator=chance)

    head = draw(given.instructions)
    prompts = torch.stack([torch.cat([head, draw(given.prompt - given.instructions)]) for _ in range(given.groups)])
    rows = given.groups * given.rollouts
    advantages = torch.tensor([1.0, -1.0] * (rows // 2) + [1.0] * (rows % 2))
    return {
        "prompt_ids": prompts.repeat_interleave(given.rollouts, 0),
        "prompt_mask": torch.ones(rows, given.prompt, dtype=torch.long),
        "completion_ids": draw(rows, given.completion),
        "completion_mask": torch.ones(rows, given.completion, dtype=torch.long),
        "advantages": advantages,
        "num_items_in_batch": torch.tensor(float(rows * given.completion)),
    }


def arguments_of(given: argparse.Namespace, rows: int, out: str) -> GRPOConfig:
    total = given.groups * given.rollouts
    return GRPOConfig(
        output_dir=out,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=total // rows,
        num_generations=given.rollouts,
        max_completion_length=given.completion,
        max_steps=1000,
        learning_rate=1e-9,
        beta=0.0,
        use_cpu=not torch.cuda.is_available(),
        bf16=torch.cuda.is_available(),
        activation_checkpointing=False,
        report_to=[],
        disable_tqdm=True,
        save_strategy="no",
        logging_strategy="no",
    )


def build(ours: bool, given: argparse.Namespace, rows: int) -> GRPOTrainer:
    """A trainer whose rollouts are given."""
    model, tokenizer = load_causal_lm(given.model, attention="sdpa")
    batch = rollouts(given, model.config.vocab_size)

    class Peer(GRPOTrainer):
        def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
            return {name: value.to(self.accelerator.device) for name, value in batch.items()}

    class Ours(GrpoHooks):
        shares_rows = sharing_unsupported_reason(model, "auto") is None

        def make_batch(self, rows: Any, complete: Any) -> dict[str, Any]:
            return {name: value.to(self.accelerator.device) for name, value in batch.items()}

        def completion_logprobs(self, model: Any, ids: Any, mask: Any, width: int, entropy: bool) -> Any:
            with self.accelerator.autocast():
                return row_logprobs(model, ids, mask, width, temperature=self.temperature, entropy=entropy)

    data = Dataset.from_dict({"prompt": ["?"] * (given.groups * 2000)})
    with known_warnings():
        trainer = (Ours if ours else Peer)(
            model=model,
            reward_funcs=[lambda completions, **_: [0.0] * len(completions)],
            args=arguments_of(given, rows, tempfile.mkdtemp()),
            train_dataset=data,
            processing_class=tokenizer,
        )
    trainer.create_optimizer()
    return trainer


def step(trainer: GRPOTrainer) -> float:
    """Seconds of one optimiser step."""
    slices = trainer.args.gradient_accumulation_steps
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = slices
    trainer._buffered_inputs = None
    began = time.perf_counter()
    for number in range(slices):
        trainer._step = number
        inputs = trainer._prepare_inputs([])
        with trainer.accelerator.autocast():
            loss = trainer._compute_loss(trainer.model, inputs)
        loss.backward()
    trainer.optimizer.step()
    trainer.optimizer.zero_grad()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def memory(field: str) -> int:
    """Bytes, by a field of the process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def peak_of_a_step(trainer: GRPOTrainer) -> int:
    """Bytes that a step holds at most above what was held before, its gradients included."""
    for group in trainer.optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = torch.zeros_like(weight)
    trainer.optimizer.step()  # its moments are there from now on
    trainer.optimizer.zero_grad()
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the largest so far is forgotten
    step(trainer)
    return memory("VmHWM") - before


def compare_memory() -> None:
    peaks = {}
    for name in ("rmr1", "trl"):
        command = [sys.executable, __file__, *sys.argv[1:], "--child", name]
        peaks[name] = int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])
    mine, theirs = (peaks[name] / 2**20 for name in ("rmr1", "trl"))
    print(f"| rmr1 | TRL | share |\n|---|---|---|\n| {mine:.0f} MiB | {theirs:.0f} MiB | {100 * mine / theirs:.0f} % |")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", default="smollm2-135m-instruct")
    arguments.add_argument("--prompt", type=int, default=768)
    arguments.add_argument("--instructions", type=int, default=0, help="tokens that all prompts share")
    arguments.add_argument("--completion", type=int, default=96)
    arguments.add_argument("--groups", type=int, default=1)
    arguments.add_argument("--rollouts", type=int, default=8)
    arguments.add_argument("--rows", type=int, help="rows of a micro-batch; all if not given")
    arguments.add_argument("--peer-rows", type=int, help="the same for the peer, where memory is short")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--memory", action="store_true", help="compare memory instead of time")
    arguments.add_argument("--child", choices=("rmr1", "trl"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    total = given.groups * given.rollouts
    if given.child:
        rows = (given.peer_rows if given.child == "trl" else None) or given.rows or total
        trainer = build(given.child == "rmr1", given, rows)
        seconds = [step(trainer) for _ in range(0 if given.memory else given.repeats + 1)]
        print(peak_of_a_step(trainer) if given.memory else statistics.median(seconds[1:]))
        return
    if given.memory:
        compare_memory()
        return
    batch = rollouts(given, 1000)
    rows = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1).tolist()
    ratio = sum(map(len, rows)) / sum(len(node.tokens) for node in build_tree(rows).nodes)
    ours, peer = build(True, given, given.rows or total), build(False, given, given.peer_rows or given.rows or total)
    times: dict[str, list[float]] = {"rmr1": [], "trl": []}
    for number in range(given.repeats + 1):
        for name, trainer in (("rmr1", ours), ("trl", peer)):
            took = step(trainer)
            gc.collect()
            if number:  # the first of each warms up
                times[name].append(took)
                print(f"{name} {took:.2f} s", flush=True)
    mine, theirs = (statistics.median(times[name]) for name in ("rmr1", "trl"))
    print("| prompt | completion | groups x rollouts | rmr1 | TRL | ratio | token ratio | of it |")
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| {given.prompt} | {given.completion} | {given.groups} x {given.rollouts} | {mine:.2f} s | {theirs:.2f} s | "
        f"{theirs / mine:.2f} | {ratio:.2f} | {100 * theirs / mine / ratio:.0f} % |"
    )


if __name__ == "__main__":
    main()
