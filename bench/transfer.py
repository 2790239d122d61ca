"""How a judge of the curriculum does beyond what it was trained on: each family and level, and pairs from elsewhere.

Prompts that the judge was trained on are left out. The completions are a run: the same command goes on after an interruption.

    python bench/transfer.py --model runs/train-x/sft --trained runs/train-x/data/train.jsonl --pairs 20 \\
        --other gsm8k=gsm8k_solution_pairs.jsonl.gz@100 --run runs/transfer
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from rmr1.curriculum import FAMILIES, generate_pairs, load_family
from rmr1.data import load_pairs, prompt_key, write_pairs
from rmr1.records import PreferencePair
from rmr1.stats import estimate_share

SEED = 7777


def unseen(trained: Path | None, count: int) -> Iterator[PreferencePair]:
    seen = {prompt_key(pair.prompt) for pair in load_pairs(str(trained))} if trained else set()
    for name in FAMILIES.builtin:
        for level in range(1, load_family(name).levels + 1):
            drawn = generate_pairs([name], [level], 40 * count, SEED)
            fresh = (pair for pair in drawn if prompt_key(pair.prompt) not in seen)
            for pair in islice(fresh, count):
                yield replace(pair, id=f"{name}-{level}-{pair.id}", category=f"{name} {level}")


def others(given: list[str]) -> Iterator[PreferencePair]:
    for item in given:
        name, _, source = item.partition("=")
        path, _, count = source.rpartition("@")
        for number, pair in enumerate(islice(load_pairs(path), int(count))):
            yield replace(pair, id=f"{name}-{number}", category=name)


def table(judged: list[dict[str, Any]], order: list[str]) -> Iterator[str]:
    yield "| pairs of | n | accuracy, both orders | position consistency | single completions | invalid |"
    yield "|---|---|---|---|---|---|"
    for name in order:
        rows = [row for row in judged if row["category"] == name]
        votes = [vote for row in rows for vote in row["verdicts"]]
        right = [vote["side"] == row["label"] for row in rows for vote in row["verdicts"]]
        decided = [row["position_consistent"] for row in rows if row["position_consistent"] is not None]
        invalid = [vote["side"] is None for vote in votes]
        correct = [bool(row["correct"]) for row in rows]
        shares = " | ".join((interval(correct), interval(decided), percent(right), percent(invalid)))
        yield f"| {name} | {len(rows)} | {shares} |"


def interval(values: list[bool]) -> str:
    estimate = estimate_share(values, [1] * len(values)) if values else None
    if estimate is None:
        return "none"
    return f"{100 * estimate.value:.1f} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def percent(values: list[bool]) -> str:
    return f"{100 * sum(values) / len(values):.1f}" if values else "none"


def judge(pairs: list[PreferencePair], given: argparse.Namespace) -> list[dict[str, Any]]:
    given.run.mkdir(parents=True, exist_ok=True)
    file = given.run / "pairs.jsonl"
    write_pairs(file, pairs)
    command = [sys.executable, "-m", "rmr1.cli.main", "judge", str(file), "--model", given.model, "--json"]
    command += ["--run", str(given.run / "judge"), "--max-tokens", str(given.max_tokens), *given.judge]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--trained", type=Path, help="pairs whose prompts the judge was trained on")
    arguments.add_argument("--pairs", type=int, default=20, help="of each family and level")
    arguments.add_argument("--other", action="append", default=[], help="NAME=FILE@COUNT")
    arguments.add_argument("--max-tokens", type=int, default=192)
    arguments.add_argument("--run", type=Path, default=Path("runs/transfer"))
    arguments.add_argument("judge", nargs="*", help="more for rmr1 judge, after --")
    given = arguments.parse_args()
    pairs = [*unseen(given.trained, given.pairs), *others(given.other)]
    print("\n".join(table(judge(pairs, given), list(dict.fromkeys(pair.category for pair in pairs)))))


if __name__ == "__main__":
    main()
