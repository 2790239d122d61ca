"""How fast rollouts are written beside ``generate`` of transformers: groups of completions of the same prompts, all drawn.

All write with the same weights, taking turns in one process; ``generate`` gets the prompts as TRL gives them to it, once for each
completion, padded on the left. With ``--continuous`` continuous batching takes part, with its own cache of beginnings. Without
``--data``, prompts are random and every completion has its set length: an untrained model is never alike twice. ``--spread 0.5``
sets lengths from half a completion on. With ``--data``, a trained judge is asked about pairs in both orders and ends when it
ends; tokens past an end count for nobody.

    python bench/rollout.py --prompt 768 --completion 96 --groups 1 --rollouts 8
    python bench/rollout.py --prompt 1500 --instructions 700 --completion 128 --groups 2 --rollouts 7
    python bench/rollout.py --model RUN/sft --data RUN/data/train.jsonl --groups 16 --rollouts 4 --completion 160
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from rmr1.data import load_pairs
from rmr1.models.loading import load_causal_lm
from rmr1.prompts import load_template, render_prompt
from rmr1.records import Sampling
from rmr1.sides import show
from rmr1.training.rl.rollouts import write

_READ_AT_ONCE = 1024
"""Tokens that continuous batching computes at once. With its default of 8,192 it reads like prompts beside each other, before it
knows their beginning: 67 s where it takes 49 with this."""


@dataclass(frozen=True)
class Work:
    """A prompt and a greatest length for each completion, and the tokens that end one."""

    prompts: Sequence[list[int]]
    lengths: Sequence[int]
    stops: frozenset[int]

    def shortened(self, length: int) -> Work:
        return Work(self.prompts, [length] * len(self.lengths), self.stops)


def random_work(given: argparse.Namespace, vocabulary: int) -> Work:
    chance = torch.Generator().manual_seed(0)
    head = torch.randint(10, vocabulary, (given.instructions,), generator=chance).tolist()
    rest = torch.randint(10, vocabulary, (given.groups, given.prompt - given.instructions), generator=chance).tolist()
    prompts = [head + own for own in rest for _ in range(given.rollouts)]
    shortest = max(1, round(given.completion * (1 - given.spread)))
    lengths = torch.randint(shortest, given.completion + 1, (len(prompts),), generator=chance.manual_seed(1)).tolist()
    return Work(prompts, lengths, frozenset())


def judge_work(given: argparse.Namespace, tokenizer: Any) -> Work:
    template, prompts = load_template(given.template), []
    for pair in islice(load_pairs(given.data), -(-given.groups // 2)):
        for order in ("ab", "ba"):
            messages = render_prompt(show(pair, order), template).messages
            turns = [{"role": message.role, "content": message.content} for message in messages]
            prompts.append(tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False))
    repeated = [prompt for prompt in prompts[: given.groups] for _ in range(given.rollouts)]
    return Work(repeated, [given.completion] * len(repeated), frozenset([tokenizer.eos_token_id]))


def by_rmr1(model: Any, work: Work, slots: int) -> int:
    samplings = [Sampling(1.0, 1.0, length, number) for number, length in enumerate(work.lengths)]
    return sum(map(len, write(model, work.prompts, samplings, work.stops, slots)))


def by_generate(model: Any, work: Work, slots: int) -> int:
    model.set_attn_implementation("sdpa")
    useful = 0
    for start in range(0, len(work.prompts), slots):
        prompts, lengths = work.prompts[start : start + slots], work.lengths[start : start + slots]
        widest = max(map(len, prompts))
        padded = torch.tensor([[0] * (widest - len(prompt)) + prompt for prompt in prompts], device=model.device)
        mask = torch.tensor(
            [[0] * (widest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=model.device
        )
        with torch.no_grad():
            written = model.generate(
                input_ids=padded,
                attention_mask=mask,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                max_new_tokens=max(lengths),
                min_new_tokens=None if work.stops else max(lengths),
                eos_token_id=sorted(work.stops) or None,
                pad_token_id=0,
            )
        rows = written[:, widest:].tolist()
        useful += sum(_length(row, length, work.stops) for row, length in zip(rows, lengths, strict=True))
    return useful


def by_continuous_batching(model: Any, work: Work, slots: int) -> int:
    model.set_attn_implementation("sdpa")
    settings = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        max_new_tokens=max(work.lengths),
        eos_token_id=sorted(work.stops) or -1,
        pad_token_id=0,
    )
    blocks = slots * -(-(max(map(len, work.prompts)) + max(work.lengths)) // ContinuousBatchingConfig.page_size)
    limits = ContinuousBatchingConfig(max_requests_per_batch=slots, max_batch_tokens=_READ_AT_ONCE, num_blocks=blocks)
    answers = list(model.generate_batch(work.prompts, settings, limits).values())
    if len(answers) != len(work.prompts) or any(answer.error for answer in answers):
        raise SystemExit("continuous batching did not answer all prompts")
    return sum(
        _length(answer.generated_tokens, length, work.stops)
        for answer, length in zip(answers, work.lengths, strict=True)
    )


def _length(tokens: list[int], most: int, stops: frozenset[int]) -> int:
    return next((place for place, token in enumerate(tokens[:most], 1) if token in stops), min(len(tokens), most))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", default="smollm2-135m-instruct")
    arguments.add_argument("--dtype", default="float32")
    arguments.add_argument("--autocast", action="store_true", help="both compute in bfloat16, with weights in float32")
    arguments.add_argument("--prompt", type=int, default=768)
    arguments.add_argument("--instructions", type=int, default=0, help="tokens that all prompts share")
    arguments.add_argument("--completion", type=int, default=96)
    arguments.add_argument(
        "--spread", type=float, default=0.0, help="share of a completion by which it may end earlier"
    )
    arguments.add_argument("--groups", type=int, default=1)
    arguments.add_argument("--rollouts", type=int, default=8)
    arguments.add_argument("--data", type=Path, help="pairs to ask a trained judge about")
    arguments.add_argument("--template", default="cor-brief")
    arguments.add_argument("--slots", type=int, help="completions that are written at once; all if not given")
    arguments.add_argument("--continuous", action="store_true", help="measure continuous batching, too")
    arguments.add_argument("--repeats", type=int, default=3)
    given = arguments.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, tokenizer = load_causal_lm(given.model, dtype=given.dtype, device=device)
    model.eval()
    work = judge_work(given, tokenizer) if given.data else random_work(given, model.config.vocab_size)
    writers = {"rmr1": by_rmr1, "generate": by_generate}
    if given.continuous:
        writers["continuous batching"] = by_continuous_batching
    speeds: dict[str, list[float]] = {name: [] for name in writers}
    for number in range(given.repeats + 1):
        for name, run in writers.items():
            began = time.perf_counter()
            with torch.autocast(device, torch.bfloat16, enabled=given.autocast):
                tokens = run(model, work if number else work.shortened(2), given.slots or len(work.prompts))
            if device == "cuda":
                torch.cuda.synchronize()
            if number:  # the first of each warms up
                seconds = time.perf_counter() - began
                speeds[name].append(tokens / seconds)
                print(f"{name}: {tokens} tokens in {seconds:.2f} s", flush=True)
    mine = statistics.median(speeds.pop("rmr1"))
    shape = f"{max(map(len, work.prompts))} | {max(work.lengths)} | {given.groups} x {given.rollouts}"
    print("| prompt | completion | groups x rollouts | rmr1 | peer | its speed | ratio |")
    print("|---|---|---|---|---|---|---|")
    for name, theirs in speeds.items():
        speed = statistics.median(theirs)
        print(f"| {shape} | {mine:.0f} tokens/s | {name} | {speed:.0f} tokens/s | {mine / speed:.2f} |")


if __name__ == "__main__":
    main()
