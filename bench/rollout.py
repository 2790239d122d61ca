"""How fast rollouts are written beside ``generate`` of transformers: groups of completions of the same prompts, all drawn.

Both write as many tokens of the same prompts with the same weights, taking turns in one process; ``generate`` gets the prompts as
TRL gives them to it, once for each completion. With ``--spread 0.5`` completions end after half the tokens at the earliest, and
what ``generate`` writes past their ends does not count.

    python bench/rollout.py --prompt 768 --completion 96 --groups 1 --rollouts 8
    python bench/rollout.py --prompt 1500 --instructions 700 --completion 128 --groups 2 --rollouts 7
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch

from rmr1.engines.hf.model import load_causal_lm
from rmr1.records import Sampling
from rmr1.training.grpo.writing import write


def prompts_of(given: argparse.Namespace, vocabulary: int) -> list[list[int]]:
    chance = torch.Generator().manual_seed(0)
    head = torch.randint(10, vocabulary, (given.instructions,), generator=chance).tolist()
    rest = torch.randint(10, vocabulary, (given.groups, given.prompt - given.instructions), generator=chance).tolist()
    return [head + own for own in rest for _ in range(given.rollouts)]


def lengths_of(given: argparse.Namespace) -> list[int]:
    shortest = max(1, round(given.completion * (1 - given.spread)))
    count = given.groups * given.rollouts
    chance = torch.Generator().manual_seed(1)
    return torch.randint(shortest, given.completion + 1, (count,), generator=chance).tolist()


def ours(model: Any, prompts: list[list[int]], lengths: list[int], slots: int) -> None:
    samplings = [Sampling(1.0, 1.0, length, number) for number, length in enumerate(lengths)]
    written = write(model, prompts, samplings, frozenset(), slots)
    assert [len(completion) for completion in written] == lengths


def peer(model: Any, prompts: list[list[int]], lengths: list[int], slots: int) -> None:
    for start in range(0, len(prompts), slots):
        ids = torch.tensor(prompts[start : start + slots], device=model.device)
        tokens = max(lengths[start : start + slots])
        model.set_attn_implementation("sdpa")
        with torch.no_grad():
            model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                pad_token_id=0,
            )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", default="smollm2-135m-instruct")
    arguments.add_argument("--dtype", default="float32")
    arguments.add_argument("--prompt", type=int, default=768)
    arguments.add_argument("--instructions", type=int, default=0, help="tokens that all prompts share")
    arguments.add_argument("--completion", type=int, default=96)
    arguments.add_argument(
        "--spread", type=float, default=0.0, help="share of a completion by which it may end earlier"
    )
    arguments.add_argument("--groups", type=int, default=1)
    arguments.add_argument("--rollouts", type=int, default=8)
    arguments.add_argument("--slots", type=int, help="completions that are written at once; all where not given")
    arguments.add_argument("--repeats", type=int, default=3)
    given = arguments.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, _ = load_causal_lm(given.model, dtype=given.dtype, device=device)
    model.eval()
    prompts, lengths = prompts_of(given, model.config.vocab_size), lengths_of(given)
    times: dict[str, list[float]] = {"rmr1": [], "generate": []}
    for number in range(given.repeats + 1):
        for name, run in (("rmr1", ours), ("generate", peer)):
            began = time.perf_counter()
            run(model, prompts, lengths if number else [2] * len(lengths), given.slots or len(prompts))
            if device == "cuda":
                torch.cuda.synchronize()
            if number:  # the first of each warms up
                times[name].append(time.perf_counter() - began)
                print(f"{name} {times[name][-1]:.2f} s", flush=True)
    mine, theirs = (statistics.median(times[name]) for name in ("rmr1", "generate"))
    print("| prompt | completion | groups x rollouts | rmr1 | generate | ratio |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {given.prompt} | {given.completion} | {given.groups} x {given.rollouts} | {sum(lengths) / mine:.0f} tokens/s | "
        f"{sum(lengths) / theirs:.0f} tokens/s | {theirs / mine:.2f} |"
    )


if __name__ == "__main__":
    main()
