"""Judging beside its peers: our engines for llama.cpp and transformers, llama.cpp's server driven directly, ``generate`` and
transformers' continuous batching.

All answer the same prompts greedily with the same weights. Each measurement is a process of its own; loading does not count. The
server is asked by as many threads as it has slots and keeps its own cache of prompts, which is on by default; give it several
numbers of slots and compare with its best. ``--reuse longest`` lets the embedded engine keep as much of a prompt as that server
does. With ``--turns 5`` the pairs are cut in five and everybody does each fifth in turn, so that a machine that slows down does so
for all.

    python bench/judge_throughput.py rm_bench.jsonl --pairs 100 --rmr1 1,4 --server 1,2,4,8 --generate 4,8
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from typing import Any

from rmr1.config import EngineConfig
from rmr1.data import load_pairs
from rmr1.engines import open_model
from rmr1.models import cached_file, find_model
from rmr1.prompts import load_template, render_prompt
from rmr1.records import GenerationRequest, Order, Sampling
from rmr1.sides import show

ORDERS: tuple[Order, Order] = ("ab", "ba")


def requests(given: argparse.Namespace) -> list[GenerationRequest]:
    template, sampling = load_template(given.template), Sampling(0.0, 1.0, given.tokens)
    pairs = islice(load_pairs(given.data), given.first, given.pairs)
    return [
        GenerationRequest(f"{number}/{order}", render_prompt(show(pair, order, 0), template).messages, sampling)
        for number, pair in enumerate(pairs)
        for order in ORDERS[: given.orders]
    ]


def by_engine(given: argparse.Namespace, asked: list[GenerationRequest]) -> tuple[float, int]:
    config = EngineConfig(
        slots=given.slots, context=given.context, threads=given.threads, reuse=given.reuse, dtype=given.dtype
    )
    engine = open_model(f"{'llamacpp' if given.child == 'rmr1' else 'hf'}/{given.model}", config).engine

    async def answer() -> tuple[float, int]:
        began, tokens = time.perf_counter(), 0
        async for generation in engine.generate(asked):
            tokens += generation.usage.completion_tokens
        seconds = time.perf_counter() - began
        await engine.aclose()
        return seconds, tokens

    return asyncio.run(answer())


def by_server(given: argparse.Namespace, asked: list[GenerationRequest]) -> tuple[float, int]:
    import xllamacpp

    entry = find_model(given.model)
    path = cached_file(entry) if entry else given.model
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.verbosity = -1
    parameters.n_parallel, parameters.n_ctx = given.slots, given.context * given.slots
    if given.threads:
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = given.threads
    server = xllamacpp.Server(parameters)

    def complete(request: GenerationRequest) -> int:
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        answer: Any = server.handle_chat_completions(
            {"messages": messages, "temperature": 0.0, "max_tokens": request.sampling.max_tokens}
        )
        return int(answer["usage"]["completion_tokens"])

    began = time.perf_counter()
    with ThreadPoolExecutor(given.slots) as threads:
        tokens = sum(threads.map(complete, asked))
    return time.perf_counter() - began, tokens


def by_generate(given: argparse.Namespace, asked: list[GenerationRequest]) -> tuple[float, int]:
    model, tokenizer, texts = for_transformers(given, asked)
    tokenizer.padding_side = "left"
    texts.sort(key=len)
    ends = ends_of(model, tokenizer)
    began, tokens = time.perf_counter(), 0
    for start in range(0, len(texts), given.slots):
        batch = tokenizer(
            texts[start : start + given.slots], return_tensors="pt", padding=True, add_special_tokens=False
        )
        written = model.generate(**batch, do_sample=False, max_new_tokens=given.tokens)
        for answer in written[:, batch["input_ids"].shape[1] :].tolist():
            tokens += next((place + 1 for place, token in enumerate(answer) if token in ends), len(answer))
    return time.perf_counter() - began, tokens


def by_continuous_batching(given: argparse.Namespace, asked: list[GenerationRequest]) -> tuple[float, int]:
    from transformers import ContinuousBatchingConfig, GenerationConfig

    model, tokenizer, texts = for_transformers(given, asked)
    ends = sorted(ends_of(model, tokenizer))
    settings = GenerationConfig(
        do_sample=False, max_new_tokens=given.tokens, eos_token_id=ends, pad_token_id=tokenizer.pad_token_id
    )
    began = time.perf_counter()
    prompts = tokenizer(texts, add_special_tokens=False)["input_ids"]
    blocks = given.slots * -(-given.context // ContinuousBatchingConfig.page_size)
    # With its default of 8,192 tokens it reads many prompts beside each other, before it knows their common beginning.
    limits = ContinuousBatchingConfig(max_requests_per_batch=given.slots, max_batch_tokens=1024, num_blocks=blocks)
    answers = model.generate_batch(prompts, settings, limits)
    seconds = time.perf_counter() - began
    if len(answers) != len(asked) or any(answer.error for answer in answers.values()):
        sys.exit("continuous batching did not answer all prompts")
    return seconds, sum(len(answer.generated_tokens) for answer in answers.values())


def for_transformers(given: argparse.Namespace, asked: list[GenerationRequest]) -> tuple[Any, Any, list[str]]:
    """The model, its tokenizer, and the prompts as text."""
    import torch

    from rmr1.models.loading import load_causal_lm

    if given.threads:
        torch.set_num_threads(given.threads)
    model, tokenizer = load_causal_lm(given.model)
    texts = [
        str(
            tokenizer.apply_chat_template(
                [{"role": message.role, "content": message.content} for message in request.messages],
                tokenize=False,
                add_generation_prompt=True,
            )
        )
        for request in asked
    ]
    return model, tokenizer, texts


def ends_of(model: Any, tokenizer: Any) -> set[int]:
    return {model.generation_config.eos_token_id, tokenizer.eos_token_id}


PEERS = {
    "rmr1": by_engine,
    "hf": by_engine,
    "server": by_server,
    "generate": by_generate,
    "continuous": by_continuous_batching,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--model", default="smollm2-135m-instruct", help="a catalogue name or a GGUF file")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--orders", type=int, choices=(1, 2), default=2)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--template", default="cor-compact")
    parser.add_argument("--reuse", choices=("instructions", "longest"), default="instructions", help="of rmr1")
    parser.add_argument("--dtype", default="float32", help="of hf; the peers that compute with torch have float32")
    for peer in PEERS:
        parser.add_argument(f"--{peer}", default="", metavar="N,...", help="slots, or rows of a batch")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--child", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--slots", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        asked = requests(given)
        seconds, tokens = PEERS[given.child](given, asked)
        print(json.dumps({"seconds": seconds, "tokens": tokens, "completions": len(asked)}))
        return
    print("| who | slots | completions | seconds | completions/s | written tokens |\n|---|---|---|---|---|---|")
    for (peer, slots), found in taking_turns(given).items():
        speed = found["completions"] / found["seconds"]
        row = (peer, slots, found["completions"], f"{found['seconds']:.1f}", f"{speed:.2f}", found["tokens"])
        print(f"| {' | '.join(map(str, row))} |")


def taking_turns(given: argparse.Namespace) -> dict[tuple[str, str], Counter[str]]:
    """What everybody needed in all turns together."""
    cuts = [given.pairs * turn // given.turns for turn in range(given.turns + 1)]
    asked = [(peer, slots) for peer in PEERS for slots in filter(None, getattr(given, peer).split(","))]
    found: dict[tuple[str, str], Counter[str]] = {who: Counter() for who in asked}
    for first, end in pairwise(cuts):
        for peer, slots in asked:
            command = [sys.executable, __file__, *sys.argv[1:], "--child", peer, "--slots", slots]
            command += ["--first", str(first), "--pairs", str(end)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            measured = json.loads(done.stdout.splitlines()[-1])
            found[peer, slots].update(measured)
            print(f"pairs {first} to {end}: {peer} {slots} {measured['seconds']:.1f} s", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    main()
