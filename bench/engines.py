"""One judge on every engine: whether they judge alike, and how fast each is, with a quiet machine and beside a busy process.

The judge is a Hugging Face folder; llama.cpp gets a GGUF file of it. vLLM needs an environment of its own (``make test-vllm``
makes one), whose Python is given with ``--vllm-python``. Each measurement is a process of its own; loading does not count.

``compare`` judges the pairs once with each engine and compares with the first one: accuracy, consistency, verdicts, texts; and
for texts that differ, how far apart the two tokens are where they first differ (nats, in each engine's own distribution).

``speed`` gives medians of ``--rounds``: wall time, CPU time of all processes of the measurement, completions and tokens a second.
Engines take turns in each round. With ``--busy`` each round is done a second time beside one process that never rests.

    rmr1 export JUDGE --type f16 --out judge.gguf
    python bench/engines.py compare JUDGE pairs.jsonl --vllm-python .venv-vllm/bin/python \\
        hf:float32 vllm:float32 vllm:bfloat16 server:float32
    python bench/engines.py speed JUDGE pairs.jsonl --vllm-python .venv-vllm/bin/python --gguf judge.gguf --busy \\
        hf:float32 hf:mixed vllm:float32 vllm:bfloat16 server:float32 server:bfloat16 llamacpp
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rmr1 import Judge, load_pairs
from rmr1.config import EngineConfig
from rmr1.engines import open_model

START_S = 1200
PAGE = os.sysconf("SC_CLK_TCK")


class RecordingEngine:
    """An engine whose generations are kept."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.generations: list[Any] = []
        self.began = self.ended = (0.0, 0.0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    async def generate(self, requests: Any) -> Any:
        self.began = (time.perf_counter(), cpu_seconds())
        async for generation in self.engine.generate(requests):
            self.generations.append(generation)
            yield generation
        self.ended = (time.perf_counter(), cpu_seconds())


def cpu_seconds() -> float:
    """Of all processes of this session, those that have ended included: a measurement is a session of its own."""
    ours, total = os.getsid(0), 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == ours:
                total += int(fields[11]) + int(fields[12])
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return total / PAGE + ended.ru_utime + ended.ru_stime


@contextmanager
def vllm_server(model: str, dtype: str, slots: int, *, eager: bool) -> Iterator[str]:
    """A server of vLLM; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--served-model-name"]
    command += ["judge", "--port", str(port), "--host", "127.0.0.1", "--dtype", dtype, "--max-model-len", "8192"]
    command += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", "8192", "--max-num-seqs", str(slots)]
    command += ["--enforce-eager"] if eager else []
    command += ["--disable-log-stats", "--kv-cache-memory-bytes", str(4 << 30), "--max-logprobs", "20"]
    threads = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    environment = {"VLLM_CPU_OMP_THREADS_BIND": threads, "VLLM_NO_USAGE_STATS": "1", **os.environ}
    with tempfile.NamedTemporaryFile("w", suffix=".log", delete=False) as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        waited = time.monotonic()
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                if server.poll() is not None or time.monotonic() - waited > START_S:
                    sys.exit(f"the server of vLLM did not start; see {log.name}")
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)


def judge(given: argparse.Namespace, engine: Any, template: str | None) -> dict[str, Any]:
    """Judge the pairs; what came out, and what it took."""
    recording = RecordingEngine(engine)
    settings = {"template": given.template or template, "max_tokens": given.tokens, "votes": given.votes}
    settings |= {"constrain": given.constrain, "logprobs": not given.no_logprobs, "seed": given.seed}
    with Judge(recording, **settings) as made:
        # A first pair, which is none of those that count: libraries set themselves up, and the instructions are cached.
        pairs = list(itertools.islice(load_pairs(given.data), given.pairs + 1))
        list(made.compare_many(pairs[given.pairs :] or pairs[:1]))
        recording.generations.clear()
        judgments = list(made.compare_many(pairs[: given.pairs]))
    wall, cpu = (end - begin for begin, end in zip(recording.began, recording.ended, strict=True))
    return {
        "wall": wall,
        "cpu": cpu,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "completions": len(recording.generations),
        "tokens": sum(one.usage.completion_tokens for one in recording.generations),
        "correct": {one.id: one.correct for one in judgments},
        "consistent": {one.id: one.position_consistent for one in judgments},
        "sides": {f"{one.id}/{vote.order}/{vote.vote}": vote.side for one in judgments for vote in one.votes},
        "p_a": {f"{one.id}/{vote.order}/{vote.vote}": vote.p_a for one in judgments for vote in one.votes},
        "answers": {
            one.request_id: [one.text, [[token.text, token.logprob, token.top] for token in one.tokens or ()]]
            for one in recording.generations
        },
        "errors": sorted({one.error for one in recording.generations if one.error}),
    }


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """In the process of one measurement."""
    engine, _, dtype = given.child.partition(":")
    context, slots = 8192, given.slots
    if engine == "server":
        template = open_template(given.model)
        with vllm_server(given.model, dtype, slots or 64, eager=given.eager) as address:
            config = EngineConfig(base_url=address, server_grammar="vllm")
            return judge(given, open_model("openai/judge", config, concurrency=slots or 64).engine, template)
    config = EngineConfig(dtype=dtype or "auto", slots=slots, context=context, enforce_eager=given.eager)
    name = f"llamacpp/{given.gguf}" if engine == "llamacpp" else f"{engine}/{given.model}"
    loaded = open_model(name, config)
    return judge(given, loaded.engine, loaded.template)


def open_template(model: str) -> str | None:
    from rmr1.models import resolve_model

    return resolve_model(model).template


def run(given: argparse.Namespace, who: str) -> dict[str, Any]:
    """One measurement, in a session of its own."""
    python = given.vllm_python if who.startswith(("vllm", "server")) else sys.executable
    with tempfile.NamedTemporaryFile(suffix=".json") as found:
        command = [python, __file__, *sys.argv[1:], "--child", who, "--found", found.name]
        subprocess.run(command, check=True, start_new_session=True, stdout=sys.stderr)
        answer: dict[str, Any] = json.loads(Path(found.name).read_text())
        return answer


def compare(given: argparse.Namespace) -> None:
    print("| engine | accuracy | consistent | verdicts as the first | texts as the first | p_a known | largest gap |")
    print("|---|---|---|---|---|---|---|")
    first: dict[str, Any] | None = None
    for who in given.engines:
        found = run(given, who)
        first = first or found
        if given.keep:
            Path(given.keep).mkdir(parents=True, exist_ok=True)
            (Path(given.keep) / f"{who.replace(':', '-')}.json").write_text(json.dumps(found))
        pairs, answers = len(found["correct"]), found["answers"]
        sides = sum(found["sides"][name] == side for name, side in first["sides"].items())
        texts = sum(answers[name][0] == text for name, (text, _) in first["answers"].items())
        gaps = [gap for name in answers if (gap := gap_of(first["answers"][name][1], answers[name][1])) is not None]
        row = [
            who,
            f"{sum(map(bool, found['correct'].values()))}/{pairs}",
            f"{sum(map(bool, found['consistent'].values()))}/{pairs}",
            f"{sides}/{len(found['sides'])}",
            f"{texts}/{len(answers)}",
            f"{sum(one is not None for one in found['p_a'].values())}/{len(found['p_a'])}",
            f"{max(gaps):.4f} of {len(gaps)}" if gaps else "none differ",
        ]
        print(f"| {' | '.join(row)} |", flush=True)
        for error in found["errors"]:
            print(f"{who}: {error}", file=sys.stderr)
        if gaps:
            print(f"{who}: gaps {sorted(round(gap, 5) for gap in gaps)}", file=sys.stderr)


def gap_of(ours: list[Any], theirs: list[Any]) -> float | None:
    """Where two texts first differ: how much likelier each engine finds its own token than the other's; the larger gap."""
    for mine, other in itertools.zip_longest(ours, theirs):
        if mine is None or other is None or mine[0] != other[0]:
            if mine is None or other is None:
                return None  # one has ended; the end has no text, and its token is not in the lists
            found = []
            for (text, logprob, top), wanted in ((mine, other[0]), (other, mine[0])):
                near = [value for letters, value in top if letters == wanted and letters != text]
                found.append(logprob - max(near) if near else float("inf"))
            return max(found)
    return None


def spin() -> None:
    while True:
        pass


@contextmanager
def busy_process(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    process = multiprocessing.get_context("spawn").Process(target=spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def speed(given: argparse.Namespace) -> None:
    print("| engine | beside | wall s | CPU s | completions/s | tokens/s | completions per CPU s |")
    print("|---|---|---|---|---|---|---|")
    found: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    for round_ in range(given.rounds):
        for busy in (False, True) if given.busy else (False,):
            for who in given.engines:
                with busy_process(busy):
                    measured = run(given, who)
                found.setdefault((who, busy), []).append(measured)
                said = f"round {round_ + 1}: {who} {'busy' if busy else 'quiet'}"
                print(f"{said} {measured['wall']:.1f} s, {measured['cpu']:.1f} CPU s", file=sys.stderr, flush=True)
    for (who, busy), all_of in found.items():
        wall, cpu = (statistics.median(one[key] for one in all_of) for key in ("wall", "cpu"))
        done, tokens = all_of[0]["completions"], statistics.median(one["tokens"] for one in all_of)
        row = [who, "one busy process" if busy else "nothing", f"{wall:.1f}", f"{cpu:.1f}"]
        row += [f"{done / wall:.2f}", f"{tokens / wall:.0f}", f"{done / cpu:.2f}"]
        print(f"| {' | '.join(row)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("compare", "speed"))
    parser.add_argument("model", help="a Hugging Face folder")
    parser.add_argument("data")
    parser.add_argument("engines", nargs="+", metavar="ENGINE[:TYPE]", help="hf, vllm, server (of vLLM) or llamacpp")
    parser.add_argument("--gguf", help="the same model for llamacpp")
    parser.add_argument("--vllm-python", default=sys.executable)
    parser.add_argument("--pairs", type=int, default=150)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--votes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slots", type=int)
    parser.add_argument("--template", help="the model's own if not given")
    parser.add_argument("--constrain", action="store_true")
    parser.add_argument("--eager", action="store_true", help="vLLM does not compile: it starts sooner")
    parser.add_argument("--no-logprobs", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--keep", help="folder for what each engine wrote")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--found", help=argparse.SUPPRESS)
    given = parser.parse_intermixed_args()
    if given.child:
        Path(given.found).write_text(json.dumps(measure(given)))
    else:
        {"compare": compare, "speed": speed}[given.what](given)


if __name__ == "__main__":
    main()
