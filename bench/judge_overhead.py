"""What judging costs on top of the bare client library, and whether its memory grows with the number of pairs.

A local server answers every request at once, so that nothing but the client side is measured. In one run, in turn and several
times, the same prompts are sent

- bare: by OpenAI's asynchronous client, with as many requests under way, and nothing done with the answers;
- by ``rmr1``: read from a file, rendered, sent, parsed, journalled, combined.

The peak memory of ``rmr1`` is measured in processes of its own, one order a pair.

    python bench/judge_overhead.py --pairs 2000 --rounds 5 --memory 10000,200000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import openai

from rmr1.config import EngineConfig, JudgeConfig, OrderPolicy
from rmr1.data import load_pairs
from rmr1.engines import open_model
from rmr1.judging import judge_pairs, plan_judging

ROOT = Path(__file__).parents[1]
MODEL = "openai/instant"


@contextmanager
def instant_server() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.support.openai_server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        process.terminate()


def write_pairs(path: Path, count: int) -> None:
    with path.open("w") as pairs:
        for number in range(count):
            row = {"id": f"p{number}", "prompt": f"Question {number}?", "chosen": "good " * 60, "rejected": "bad " * 60}
            pairs.write(json.dumps(row) + "\n")


def config(address: str, concurrency: int, orders: OrderPolicy = "both") -> JudgeConfig:
    return JudgeConfig(model=MODEL, engine=EngineConfig(base_url=address), concurrency=concurrency, orders=orders)


async def bare_seconds(path: Path, address: str, pairs: int, concurrency: int) -> float:
    """The client library alone, on prompts that are rendered beforehand."""
    settings = config(address, concurrency)
    engine = open_model(MODEL, settings.engine).engine
    plan = plan_judging(settings, engine)
    comparisons = (comparison for pair in islice(load_pairs(path), pairs) for comparison in plan.comparisons(pair))
    prompts: Iterator[Any] = iter(
        [
            [{"role": message.role, "content": message.content} for message in plan.request(one)[0].messages]
            for one in comparisons
        ]
    )
    client = openai.AsyncOpenAI(api_key="none", base_url=address)

    async def work() -> None:
        for messages in prompts:
            await client.chat.completions.create(
                model="instant", messages=messages, temperature=0.0, top_p=1.0, max_tokens=2048, seed=1
            )

    begin = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    seconds = time.perf_counter() - begin
    await client.close()
    await engine.aclose()
    return seconds


def rmr1_seconds(path: Path, settings: JudgeConfig, pairs: int, run: Path) -> float:
    """Judging as the command line does it, from the file to the report."""
    begin = time.perf_counter()
    judge_pairs(path, settings, limit=pairs, run=run)
    return time.perf_counter() - begin


def peak_megabytes(path: Path, address: str, pairs: int, concurrency: int, run: Path) -> float:
    """Peak resident memory of a process that judges this many pairs."""
    command = [sys.executable, __file__, "--child", str(path), address, str(pairs), str(concurrency), str(run)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def child(arguments: list[str]) -> None:
    path, address, pairs, concurrency, run = arguments
    rmr1_seconds(Path(path), config(address, int(concurrency), "given"), int(pairs), Path(run))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--memory", default="10000,200000", help="numbers of pairs, or nothing")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    sizes = [int(size) for size in options.memory.split(",") if size]
    with tempfile.TemporaryDirectory() as name, instant_server() as address:
        folder = Path(name)
        path = folder / "pairs.jsonl"
        write_pairs(path, max([options.pairs, *sizes]))
        ratios = []
        for number in range(options.rounds):
            bare = asyncio.run(bare_seconds(path, address, options.pairs, options.concurrency))
            ours = rmr1_seconds(path, config(address, options.concurrency), options.pairs, folder / f"run{number}")
            ratios.append(bare / ours)
            requests = 2 * options.pairs
            print(
                f"bare {requests / bare:7.0f} requests/s   rmr1 {requests / ours:7.0f} requests/s   ratio {bare / ours:.2f}"
            )
        print(
            f"median ratio {statistics.median(ratios):.2f} over {options.rounds} rounds of {2 * options.pairs} requests"
        )
        for size in sizes:
            peak = peak_megabytes(path, address, size, options.concurrency, folder / f"memory{size}")
            print(f"{size:8d} pairs: peak {peak:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
