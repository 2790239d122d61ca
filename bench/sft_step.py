"""What an optimiser step of stage 1 costs beside TRL's own trainer, on the same traces with the same loss.

Both trainers are the real ones; they take turns in one process. Traces that share long instructions, for instance:

    rmr1 data recipe.yaml --out pairs         # sources: [{curriculum: {levels: [1], count: 64}}]
    rmr1 distill pairs/train.jsonl --teacher program/curriculum --template cor --orders given --run traces
    python bench/sft_step.py traces/traces.jsonl --rows 16 --peer-rows 4

With ``--peer-rows`` the peer takes its rows in micro-batches, where all at once do not fit into memory; the step is the same.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from rmr1.engines.chat_text import ChatText
from rmr1.models.loading import load_causal_lm
from rmr1.prefix import build_tree
from rmr1.training.adapters import known_warnings
from rmr1.training.sft.traces import Example, read_traces, tokenise
from rmr1.training.sft.trainer import TraceTrainer
from rmr1.training.shared_rows import sharing_unsupported_reason


def build(ours: bool, model: Any, tokenizer: Any, examples: list[Example], rows: int) -> SFTTrainer:
    class Ours(SFTTrainer):
        compute_loss = TraceTrainer.compute_loss
        _count = TraceTrainer._count

    data = Dataset.from_dict(
        {"input_ids": [list(one.tokens) for one in examples], "labels": [one.labels for one in examples]}
    )
    arguments = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=rows,
        max_steps=1000,
        learning_rate=1e-9,
        use_cpu=not torch.cuda.is_available(),
        bf16=torch.cuda.is_available(),
        gradient_checkpointing=False,
        max_length=None,
        report_to=[],
        disable_tqdm=True,
        save_strategy="no",
        logging_strategy="no",
    )
    with known_warnings():
        trainer = (Ours if ours else SFTTrainer)(
            model=model, args=arguments, train_dataset=data, processing_class=tokenizer
        )
    trainer.sharing_unsupported = sharing_unsupported_reason(trainer.model, "auto") if ours else "the peer"
    trainer._tokens = trainer._supervised = 0
    trainer.create_optimizer()
    return trainer


def step(trainer: SFTTrainer, batch: dict[str, torch.Tensor], rows: int) -> tuple[float, float]:
    """Seconds of one optimiser step over micro-batches of this many rows, and its loss."""
    trainer.model.train()
    began, loss = time.perf_counter(), 0.0
    inputs = {name: value.to(trainer.accelerator.device) for name, value in batch.items()}
    count = (inputs["labels"][:, 1:] != -100).sum()
    for start in range(0, len(inputs["labels"]), rows):
        part = {name: value[start : start + rows] for name, value in inputs.items()}
        with trainer.compute_loss_context_manager():
            of_part = trainer.compute_loss(trainer.model, part, num_items_in_batch=count)
        of_part.backward()
        loss += float(of_part.detach())
    trainer.optimizer.step()
    trainer.optimizer.zero_grad()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began, loss


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("traces", type=Path)
    arguments.add_argument("--model", default="smollm2-135m-instruct")
    arguments.add_argument("--rows", type=int, default=16)
    arguments.add_argument("--peer-rows", type=int, help="rows of the peer's micro-batches; all if not given")
    arguments.add_argument("--repeats", type=int, default=3)
    given = arguments.parse_args()
    trainers, losses = {}, {}
    for name in ("rmr1", "trl"):
        model, tokenizer = load_causal_lm(given.model, attention="sdpa")
        examples = tokenise(
            read_traces(given.traces)[: given.rows], tokenizer, ChatText(tokenizer, given.model), 8192
        ).examples
        trainers[name] = build(name == "rmr1", model, tokenizer, examples, given.rows)
    rows = [list(one.tokens) for one in examples]
    tokens, distinct = sum(map(len, rows)), sum(len(node.tokens) for node in build_tree(rows).nodes)
    batch = trainers["trl"].data_collator([{"input_ids": list(one.tokens), "labels": one.labels} for one in examples])
    times: dict[str, list[float]] = {name: [] for name in trainers}
    for number in range(given.repeats + 1):
        for name, trainer in trainers.items():
            together = given.peer_rows if name == "trl" and given.peer_rows else given.rows
            seconds, losses[name] = step(trainer, batch, together)
            gc.collect()
            if number:  # the first of each warms up
                times[name].append(seconds)
                print(f"{name} {seconds:.2f} s, loss {losses[name]:.5f}", flush=True)
    mine, theirs = (statistics.median(times[name]) for name in ("rmr1", "trl"))
    print("| rows | tokens | distinct | rmr1 | TRL | ratio | token ratio | of it | losses |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(
        f"| {len(rows)} | {tokens} | {distinct} | {mine:.2f} s | {theirs:.2f} s | {theirs / mine:.2f} | "
        f"{tokens / distinct:.2f} | {100 * theirs / mine / (tokens / distinct):.0f} % | "
        f"{losses['rmr1']:.5f}, {losses['trl']:.5f} |"
    )


if __name__ == "__main__":
    main()
