"""Log-probabilities of a group's completions and their gradient: over the prefix tree, and with plain transformers, padded.

Both run in one process, in turns. Token ids are random: the cost does not depend on them.

    python bench/prefix_forward.py --model smollm2-135m-instruct --prompt 768 --completion 96 --group 8
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from rmr1.models.loading import load_causal_lm
from rmr1.prefix.logprobs import sequence_logprobs

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def draw(given: argparse.Namespace, vocabulary: int) -> tuple[list[list[int]], list[list[int]]]:
    chance = torch.Generator().manual_seed(given.seed)

    def tokens(count: int) -> list[int]:
        return torch.randint(3, vocabulary, (count,), generator=chance).tolist()

    instructions = tokens(given.instructions)
    prompts = [instructions + tokens(given.prompt - given.instructions) for _ in range(given.prompts)]
    least = round(given.completion * (1 - given.ragged))
    lengths = torch.randint(least, given.completion + 1, (given.prompts * given.group,), generator=chance).tolist()
    return [prompt for prompt in prompts for _ in range(given.group)], [tokens(length) for length in lengths]


def plain(model, prompts: list[list[int]], completions: list[list[int]]) -> torch.Tensor:
    """As TRL does it: prompts padded left, completions padded right, logits of the completions only."""
    before, width = max(map(len, prompts)), max(map(len, completions))
    rows, masks = [], []
    for prompt, completion in zip(prompts, completions, strict=True):
        left, right = before - len(prompt), width - len(completion)
        rows.append([0] * left + prompt + completion + [0] * right)
        masks.append([0] * left + [1] * (len(prompt) + len(completion)) + [0] * right)
    ids, mask = (torch.tensor(table, device=model.device) for table in (rows, masks))
    logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=width + 1, use_cache=False).logits[:, :-1]
    chosen = logits.gather(-1, ids[:, -width:, None])[..., 0]
    return (chosen - torch.stack([row.logsumexp(-1) for row in logits])) * mask[:, -width:]


def resident(name: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 2**20


class Meter:
    """Seconds and memory of one way, above what is there before it."""

    def __init__(self, model, device: str) -> None:
        self.model, self.cuda = model, device.startswith("cuda")
        self.seconds: list[float] = []
        self.memory: list[float] = []

    def measure(self, compute: Callable[[], torch.Tensor], backward: bool) -> torch.Tensor:
        self.model.zero_grad(set_to_none=False)
        gc.collect()
        before = self._start()
        began = time.perf_counter()
        with torch.set_grad_enabled(backward):
            logprobs = compute()
        if backward:
            logprobs.mean().backward()
        if self.cuda:
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - began)
        peak = torch.cuda.max_memory_allocated() / 2**30 if self.cuda else resident("VmHWM")
        self.memory.append(peak - before)
        return logprobs.detach()

    def _start(self) -> float:
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
            return torch.cuda.memory_allocated() / 2**30
        CLEAR.write_text("5")
        return resident("VmRSS")

    def line(self) -> str:
        return f"{statistics.median(self.seconds):.2f} s | {max(self.memory):.2f} GiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--prompt", type=int, default=768)
    parser.add_argument("--completion", type=int, default=96)
    parser.add_argument("--ragged", type=float, default=0.0, help="completions are shorter by up to this share")
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--instructions", type=int, default=0, help="leading tokens that all prompts share")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--layers", type=int, help="compute only the first ones")
    parser.add_argument("--forward-only", action="store_true")
    parser.add_argument("--tree-only", action="store_true")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--profile", action="store_true", help="print where the tree's time goes")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    model, _ = load_causal_lm(given.model, dtype=given.dtype, device=given.device)
    if given.layers:
        model.config.num_hidden_layers = given.layers
        del model.model.layers[given.layers :]
    model.train()
    if given.checkpointing:
        model.gradient_checkpointing_enable()
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    prompts, completions = draw(given, model.config.vocab_size)
    compare(given, model, prompts, completions)


def compare(given: argparse.Namespace, model, prompts: list[list[int]], completions: list[list[int]]) -> None:
    tree, peer = Meter(model, given.device), Meter(model, given.device)
    worst = 0.0
    shape: list[int] = []
    for _ in range(given.repeats):
        result = sequence_logprobs(model, prompts[:2], [tokens[:2] for tokens in completions[:2]])  # warm up
        del result

        def over_tree() -> torch.Tensor:
            logprobs, _, *shape[:] = sequence_logprobs(model, prompts, completions)
            return logprobs

        ours = tree.measure(over_tree, not given.forward_only)
        if not given.tree_only:
            theirs = peer.measure(lambda: plain(model, prompts, completions), not given.forward_only)
            worst = max(worst, float((ours - theirs).abs().max()))
    if given.profile:
        from torch.profiler import profile

        with profile() as seen:
            tree.measure(over_tree, not given.forward_only)
        print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=60))
    limit = shape[1] / shape[0]
    print(f"tokens: {shape[1]} given, {shape[0]} computed, ratio {limit:.2f}")
    print(f"tree  | {tree.line()}")
    if not given.tree_only:
        ratio = statistics.median(a / b for a, b in zip(peer.seconds, tree.seconds, strict=True))
        print(f"plain | {peer.line()}")
        print(f"ratio of times {ratio:.2f}, {100 * ratio / limit:.0f} % of the limit; log-probs differ by {worst:.1e}")


if __name__ == "__main__":
    main()
