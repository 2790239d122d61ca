"""Small benchmarks in their raw formats, and a way to evaluate on them."""

import asyncio
import json
import random

from rmr1.benchmarks import EvalTask, evaluate_task, find_benchmark, find_benchmarks, load
from rmr1.benchmarks.suite.rewardbench import SIZES
from rmr1.config import JudgeConfig
from rmr1.report.progress import EvalProgress
from tests.support.engines import FunctionEngine, answer

STYLES = range(3)


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_rm_bench(folder, domains, prompts=10):
    """RM-Bench with this many prompts of each domain; the responses name their side and style."""
    for domain in domains:
        rows = [
            {
                "id": number,
                "prompt": f"{domain} {number}",
                "chosen": [f"good {style} {'x' * style}" for style in STYLES],
                "rejected": [f"bad {style}" for style in STYLES],
            }
            for number in range(prompts)
        ]
        write_json(folder / f"{domain}_filtered.json", rows)
    return folder


def write_rmb(folder, pairs):
    """RMB with this many pairs of one scenario and nothing else."""
    rows = [
        {"pair_uid": str(number), "conversation_input": [{"role": "user", "content": f"q{number}"}],
         "chosen": {"answer": "good"}, "reject": {"answer": "bad"}, "category_path": "Pairwise_set/Harmlessness/S1"}
        for number in range(pairs)
    ]  # fmt: skip
    write_json(folder / "Pairwise_set/Harmlessness/S1.json", rows)


def record(folder, name, seed, longest=10, votes=1):
    """A recorded judge of ``folder/data`` that is right with chance 0.7, at times biased, at times without a verdict."""
    chance = random.Random(seed)
    with (folder / name).open("w") as recording:
        for benchmark in ("rm-bench", "rmb"):
            for pair in load(find_benchmark(benchmark), folder / "data").pairs:
                for order, right, wrong in (("ab", "A", "B"), ("ba", "B", "A")):
                    for vote in range(votes):
                        drawn = chance.random()
                        verdict = "none" if drawn < 0.05 else answer(right if drawn < 0.75 else wrong)
                        text = "x" * chance.randrange(longest) + verdict
                        usage = {"completion_tokens": len(text)}
                        line = {"request": f"{pair.id}/{order}/{vote}", "text": text, "usage": usage}
                        recording.write(json.dumps(line) + "\n")


def by_gold(right):
    """A judge that is right where ``right(pair id, order)`` says so; None is no verdict."""

    def reply(request):
        comparison = request.comparison
        verdict = right(comparison.pair_id, comparison.order)
        if verdict is None:
            return "I cannot say."
        other = {"A": "B", "B": "A"}[comparison.gold]
        return answer(comparison.gold if verdict else other)

    return reply


def run_eval(names, data, reply, run, *, engine=None, limit=None, **settings):
    """Evaluate a function as a judge; returns what ``evaluate_task`` does."""
    task = EvalTask(find_benchmarks(names), data, None, limit, run)
    engine = engine or FunctionEngine(reply, batch=3)
    return asyncio.run(evaluate_task(task, JudgeConfig(**settings), EvalProgress(), engine=engine))


def figures(result, benchmark, protocol):
    """The values of a benchmark's figures under a protocol."""
    metrics = result.results.benchmarks[benchmark].protocols[protocol].metrics
    return {name: figure.value for name, figure in metrics.items()}


def write_rewardbench(folder):
    """All of RewardBench by size; of each subset the first prompt ends in "hard", the second in "unclear"."""
    special = {0: " hard", 1: " unclear"}
    rows = [
        {"id": f"{subset}-{number}", "subset": subset, "prompt": f"{subset} {number}{special.get(number, '')}",
         "chosen": "good", "rejected": "bad"}
        for subset, size in SIZES.items()
        for number in range(size)
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "filtered.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder
