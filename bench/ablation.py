"""The paper's ablation at a small scale: what do distillation, reinforcement learning and the reasoning itself each bring?

Every cell but one gets the same minutes of training on this machine, and all are judged on the same held-out pairs, in both orders:

- sft             stage 1 for the whole time
- sft+grpo        stage 1 for half of it, stage 2 for the rest
- grpo            stage 1 on traces whose verdicts are flipped by chance, for the format alone; stage 2 for the rest
- sft+grpo, verdict only   the same as sft+grpo with a prompt that asks for nothing but the verdict
- sft, half of it  stage 1 of sft+grpo as it is before stage 2, to see what stage 2 adds
- sft+grpo, single groups  the same as sft+grpo with a group for each order instead of one for both

The cells of a seed are compared pair by pair with "sft+grpo". Every step is a run: the same command goes on after an interruption,
and more ``--minutes`` or ``--seeds`` go into a directory of their own.

    python bench/ablation.py --minutes 20 --seeds 0 --out runs/ablation
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from scipy.stats import bootstrap

MOST_STEPS, WARMUP_STEPS = 200, 3  # of stage 2, which its minutes end before
REASONING, VERDICT_ONLY = "cor-brief", "verdict-only"
BASELINE = "sft+grpo"
FAMILIES = ["sums", "sorting", "ending", "contains", "case"]
DATA = {
    "sources": [{"curriculum": {"families": FAMILIES, "levels": [1, 2], "count": 2400, "seed": 0}}],
    "screens": {"near_duplicates": None},
    "orders": "given",
    "splits": {"train": 0.85, "held_out": 0.15},
}
YES = re.compile(r"yes, so [AB]\.")
VERDICT = re.compile(r"\[\[([AB])\]\]")
OTHER = {"A": "B", "B": "A"}


@dataclass(frozen=True)
class Cell:
    """What a judge of the table went through. ``sft`` and ``grpo`` are shares of the time."""

    name: str
    sft: float
    rl: float
    template: str = REASONING
    format_only: bool = False
    group: str = "pair"


CELLS = (  # the first one tells how long a step takes
    Cell(BASELINE, 0.5, 0.5),
    Cell("sft", 1.0, 0.0),
    Cell("sft, half of it", 0.5, 0.0),
    Cell("rl", 0.15, 0.85, format_only=True),
    Cell("sft+grpo, verdict only", 0.5, 0.5, template=VERDICT_ONLY),
    Cell("sft+grpo, single groups", 0.5, 0.5, group="comparison"),
)


def rmr1(*words: object, out: Path | None = None) -> None:
    command = [sys.executable, "-m", "rmr1.cli.main", *map(str, words)]
    print("+ rmr1", *words, file=sys.stderr, flush=True)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    if out is not None:
        out.write_text(done.stdout)


def traces(out: Path, data: Path, template: str) -> Path:
    """Traces of the programmatic teacher; under the prompt for the verdict alone, nothing is left of them but that."""
    run = out / f"traces-{template}"
    teacher = ("--teacher", "program/curriculum", "--orders", "given")
    rmr1("distill", data / "train.jsonl", *teacher, "--template", template, "--run", run)
    file = run / "traces.jsonl"
    if template == REASONING:
        return file
    return rewrite(file, run / "verdicts.jsonl", lambda text, _: f"<answer>{verdict_in(text)[0]}</answer>")


def verdict_in(text: str) -> re.Match[str]:
    found = VERDICT.search(text)
    assert found is not None, "a trace says its verdict"
    return found


def rewrite(source: Path, target: Path, change: Callable[[str, str], str]) -> Path:
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    with target.open("w") as lines:
        for row in rows:
            row["completion"][0]["content"] = change(row["completion"][0]["content"], row["id"])
            lines.write(json.dumps(row) + "\n")
    return target


def flipped_by_chance(text: str, name: str) -> str:
    """A trace whose verdict says nothing about the responses: for half of the ids, yes and no change places."""
    if hashlib.sha256(name.encode()).digest()[0] & 1:
        return text
    wrong = OTHER[verdict_in(text)[1]]
    text = re.sub(r", no\.", ", NEW.", text)
    text = YES.sub("no.", text)
    text = text.replace("NEW.", f"yes, so {wrong}.")
    return VERDICT.sub(f"[[{wrong}]]", text)


def step_seconds(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["seconds"] for line in lines if line["kind"] == "step"]


def settings(**values: object) -> list[str]:
    return [word for name, value in values.items() for word in ("--set", f"{name}={json.dumps(value)}")]


def stage_1(cell: Cell, seed: int, out: Path, data: Path, given: argparse.Namespace) -> tuple[Path, float]:
    """Train for the cell's share of the time, by the speed of the first such run; cells that begin alike share it."""
    file = traces(out, data, cell.template)
    if cell.format_only:
        file = rewrite(file, out / "format-only.jsonl", flipped_by_chance)
    model = out / f"sft-{cell.template}-{'format' if cell.format_only else 'right'}-{cell.sft}-{seed}"
    first = out / f"sft-{REASONING}-right-{CELLS[0].sft}-{given.seeds[0]}"
    measured = first != model and cell.template == REASONING
    pace = float(np.median(step_seconds(first))) if measured else given.seconds_per_step
    steps = max(1, round(60 * given.minutes * cell.sft / pace))
    rmr1("sft", "--data", file, "--run", model, "--seed", seed, *settings(
        max_steps=steps, batch_size=8, micro_batch_size=8, learning_rate=1e-4, epochs=20, template=cell.template,
        held_out_share=0, evaluations=0, checkpoint_minutes=3, save_total_limit=1,
    ))  # fmt: skip
    return model, sum(step_seconds(model))


def train(cell: Cell, seed: int, out: Path, data: Path, given: argparse.Namespace) -> tuple[Path, float]:
    model, used = stage_1(cell, seed, out, data, given)
    if not cell.rl:
        return model, used
    left = given.minutes - used / 60
    if left <= 0:
        sys.exit(
            f"stage 1 of {cell.name} took {used / 60:.1f} minutes, which leaves none for stage 2; give --seconds-per-step"
        )
    run = out / f"grpo-{cell.template}-{cell.group}-{'format' if cell.format_only else 'right'}-{seed}"
    rmr1("rl", "--data", data / "train.jsonl", "--model", model, "--run", run, "--seed", seed, *settings(
        template=cell.template, group=cell.group, pairs_per_step=8, rollouts=given.rollouts, micro_batch_size=32, slots=64,
        max_tokens=160, max_steps=MOST_STEPS, warmup=WARMUP_STEPS / MOST_STEPS, learning_rate=given.grpo_rate,
        max_minutes=round(left, 2), held_out_share=0, evaluations=0, checkpoint_minutes=3, save_total_limit=1,
    ))  # fmt: skip
    return run, used + sum(step_seconds(run))


def judged(cell: Cell, model: Path, data: Path, given: argparse.Namespace) -> dict[str, dict]:
    run = model / "held-out"
    out = model / "held-out.jsonl"
    rmr1("judge", data / "held_out.jsonl", "--model", f"hf/{model}", "--template", cell.template, "--limit", given.pairs,
         "--max-tokens", 160, "--json", "--set", "logprobs=false", "--set", "engine.slots=64", "--run", run, out=out)  # fmt: skip
    return {row["id"]: row for row in map(json.loads, out.read_text().splitlines())}


def share(values: np.ndarray) -> str:
    if len(set(values.tolist())) < 2:
        return f"{100 * values.mean():.1f}"
    found = bootstrap((values,), np.mean, rng=np.random.default_rng(0), method="percentile").confidence_interval
    return f"{100 * values.mean():.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def rows(results: dict[tuple[int, str], tuple[dict[str, dict], float]], seeds: list[int]) -> Iterator[str]:
    yield "| cell | seed | minutes | accuracy, both orders | position consistency | invalid | difference to sft+grpo |"
    yield "|---|---|---|---|---|---|---|"
    for (seed, name), (pairs, spent) in results.items():
        base = results[seed, BASELINE][0]
        correct = np.array([bool(row["correct"]) for row in pairs.values()], float)
        against = correct - np.array([bool(base[key]["correct"]) for key in pairs], float)
        decided = np.array(
            [row["position_consistent"] for row in pairs.values() if row["position_consistent"] is not None], float
        )
        invalid = np.mean([vote["side"] is None for row in pairs.values() for vote in row["verdicts"]])
        difference = "" if name == BASELINE else share(against)
        consistent = share(decided) if len(decided) else "none"
        yield f"| {name} | {seed} | {spent / 60:.1f} | {share(correct)} | {consistent} | {100 * invalid:.1f} | {difference} |"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=20)
    arguments.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[0])
    arguments.add_argument("--cells", help="names, separated by semicolons; all where not given")
    arguments.add_argument("--pairs", type=int, default=200, help="held-out pairs")
    arguments.add_argument("--seconds-per-step", type=float, default=5.0, help="of stage 1, for its first run")
    arguments.add_argument("--grpo-rate", type=float, default=5e-6)
    arguments.add_argument("--rollouts", type=int, default=16, help="of each comparison")
    arguments.add_argument("--out", type=Path, default=Path("runs/ablation"))
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    recipe = given.out / "data.yaml"
    recipe.write_text(yaml.safe_dump(DATA))
    data = given.out / "data"
    rmr1("data", recipe, "--out", data)
    wanted = given.cells.split(";") if given.cells else [cell.name for cell in CELLS]
    results = {}
    for seed in given.seeds:
        for cell in CELLS:
            if cell.name in wanted or cell.name == BASELINE:
                model, spent = train(cell, seed, given.out, data, given)
                results[seed, cell.name] = judged(cell, model, data, given), spent
    print("\n".join(rows(results, given.seeds)))


if __name__ == "__main__":
    main()
