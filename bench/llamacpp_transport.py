"""Time of the embedded engine in another checkout against this one, in turns, on a quiet machine and on a busy one.

    python bench/llamacpp_transport.py --before ../other/src --threads 2 --busy 1

Both processes stay loaded and write the same completions one after the other, so that both meet the same machine. The digest tells
whether texts and log-probabilities are the same to the last bit.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1] / "src"
SYSTEM = "You compare two answers and say which is better. " * 12


def child(model: str, threads: int, requests: int, tokens: int) -> None:
    """Write the completions once for each line of stdin."""
    from rmr1.config import EngineConfig
    from rmr1.engines import open_model
    from rmr1.records import GenerationRequest, Message, Sampling

    engine = open_model(model, EngineConfig(context=2048, threads=threads or None)).engine
    asked = [
        GenerationRequest(
            str(number),
            (Message("system", SYSTEM), Message("user", f"Question {number}. Answer A: {number}. Answer B: no. " * 4)),
            Sampling(temperature=1.0, max_tokens=tokens, seed=number),
            logprobs=True,
        )
        for number in range(requests)
    ]

    async def write() -> list[object]:
        return [(one.request_id, one.text, one.tokens) async for one in engine.generate(asked)]

    for _ in sys.stdin:
        began = time.monotonic()
        digest = hashlib.sha256(repr(asyncio.run(write())).encode()).hexdigest()[:12]
        print(f"{time.monotonic() - began:.3f} {digest}", flush=True)


def main() -> None:
    """Let both write in turns and print their times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="the folder src of the other checkout")
    parser.add_argument("--model", default="llamacpp/smollm2-135m-instruct")
    parser.add_argument("--threads", type=int, default=0, help="0: the engine's default")
    parser.add_argument("--requests", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=0, help="processes beside that never rest")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.model, given.threads, given.requests, given.tokens)
        return
    sides = {"before": given.before.resolve(), "now": HERE}
    running = {
        name: subprocess.Popen(
            [sys.executable, __file__, "--child", *sys.argv[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(source)},
        )
        for name, source in sides.items()
    }
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(given.busy)]
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    try:
        for round_ in range(given.rounds + 1):  # the first one only loads and warms up
            for name, process in running.items():
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write("\n")
                process.stdin.flush()
                took, digest = process.stdout.readline().split()
                print(f"round {round_} {name:7} {took} s  {digest}  load {os.getloadavg()[0]:.1f}", flush=True)
                if round_:
                    seconds[name].append(float(took))
    finally:
        for process in running.values():
            process.kill()
        for other in busy:
            other.kill()
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(
        f"before {medians['before']:.2f} s, now {medians['now']:.2f} s, ratio {medians['now'] / medians['before']:.3f}"
    )
    return None


if __name__ == "__main__":
    main()
