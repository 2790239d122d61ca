"""How fast the two engines of this process are: tokens of prompt and of text a second.

Prompts are those of the pairs given, in one order. Each measurement is a process of its own and does it all twice: once with
one token a request, which is reading prompts, once with ``--tokens``; the difference is writing.

    rmr1 pull smollm2-135m-instruct
    rmr1 export smollm2-135m-instruct --type f16 --out /tmp/f16.gguf
    rmr1 export smollm2-135m-instruct --type q8_0 --out /tmp/q8_0.gguf
    python bench/engine_speed.py pairs.jsonl Q4_1=llamacpp/smollm2-135m-instruct@1,4,16 F16=/tmp/f16.gguf@1,4,16 \\
        Q8_0=/tmp/q8_0.gguf@1,4,16 float32=hf/smollm2-135m-instruct@1,16,32,48
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from itertools import islice

from rmr1.config import EngineConfig
from rmr1.data import load_pairs
from rmr1.engines import Engine, open_model
from rmr1.prompts import load_template, render_prompt
from rmr1.records import GenerationRequest, Sampling, Usage
from rmr1.sides import show


def requests(path: str, count: int, template: str, tokens: int, round_: int) -> list[GenerationRequest]:
    wanted = load_template(template)
    made = []
    for number, pair in enumerate(islice(load_pairs(path), round_ * count, (round_ + 1) * count)):
        messages = render_prompt(show(pair, "ab", 0), wanted).messages
        # Drawn, because a judge that repeats itself ends early or late, and rarely as asked.
        made.append(GenerationRequest(str(number), messages, Sampling(1.0, 1.0, tokens, number)))
    return made


async def timed(engine: Engine, asked: list[GenerationRequest]) -> tuple[float, Usage]:
    began, usage = time.perf_counter(), Usage()
    async for generation in engine.generate(asked):
        usage += generation.usage
    return time.perf_counter() - began, usage


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Speeds of one engine; the prompts of the two rounds are different, so that none is cached but the instructions."""
    config = EngineConfig(slots=options.slots, context=options.context, threads=options.threads)
    engine = open_model(options.child, config).engine

    async def both() -> tuple[tuple[float, Usage], tuple[float, Usage]]:
        await timed(engine, requests(options.pairs, 1, options.template, 2, 0))
        reading = await timed(engine, requests(options.pairs, options.count, options.template, 1, 1))
        writing = await timed(engine, requests(options.pairs, options.count, options.template, options.tokens, 2))
        await engine.aclose()
        return reading, writing

    (read_s, read), (both_s, written) = asyncio.run(both())
    prompt_rate = (read.prompt_tokens - read.cached_tokens) / read_s
    reading_s = (written.prompt_tokens - written.cached_tokens) / prompt_rate
    return {
        "prompt": prompt_rate,
        "text": written.completion_tokens / max(both_s - reading_s, 1e-9),
        "requests": options.count / both_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs")
    parser.add_argument("models", nargs="*", metavar="NAME=MODEL@SLOTS,...")
    parser.add_argument("--count", type=int, default=32, help="requests of a round")
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--template", default="cor-compact")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--slots", type=int, help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args()
    if options.child:
        print(json.dumps(measure(options)))
        return
    print("| engine | weights | slots | prompt tokens/s | text tokens/s | completions/s |\n|---|---|---|---|---|---|")
    for model in options.models:
        name, _, rest = model.partition("=")
        argument, _, slots = rest.rpartition("@")
        for count in slots.split(","):
            command = [sys.executable, __file__, options.pairs, "--child", argument, "--slots", count]
            for key in ("count", "tokens", "context", "template"):
                command += [f"--{key}", str(getattr(options, key))]
            if options.threads:
                command += ["--threads", str(options.threads)]
            speeds = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            engine = "hf" if argument.startswith("hf/") else "llamacpp"
            row = [
                engine,
                name,
                count,
                *(f"{speeds[key]:.0f}" for key in ("prompt", "text")),
                f"{speeds['requests']:.2f}",
            ]
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
