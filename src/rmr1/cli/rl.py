"""``rmr1 rl``: train a judge on the correctness of its verdicts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from rmr1.config import RlConfig, find_recipe, load_config
from rmr1.report.progress import RewardProgress
from rmr1.training import TrainingTask, train_rl


def rl_command(
    data: Annotated[Path, typer.Option(help="Labelled pairs: any file that rmr1 judge reads.")],
    held_out: Annotated[
        Path | None, typer.Option(help="Pairs to judge on the way; a share of --data where not given.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe by name, or a YAML file.")] = None,
    preset: Annotated[str | None, typer.Option(help="default or paper.")] = None,
    model: Annotated[
        str | None, typer.Option(help="A model folder, a run of rmr1 sft, a catalogue or hub name.")
    ] = None,
    template: Annotated[str | None, typer.Option(help="Prompt template; the model's own where not given.")] = None,
    method: Annotated[str | None, typer.Option(help="full or lora.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the pairs.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Stop after so many optimiser steps.")] = None,
    pairs_per_step: Annotated[int | None, typer.Option(help="Pairs of one optimiser step.")] = None,
    rollouts: Annotated[int | None, typer.Option(help="Rollouts of each comparison.")] = None,
    micro_batch_size: Annotated[int | None, typer.Option(help="Rollouts that one device computes at once.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest completion.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    kl: Annotated[float | None, typer.Option(help="Weight of the divergence from the model before RL.")] = None,
    rollout_backend: Annotated[str | None, typer.Option(help="What writes rollouts: batch, generate or vllm.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of order and rollouts.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, such as loss=sequence-mean.")] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", "--run-directory", help="Directory of the run; the same one resumes it."),
    ] = None,
) -> None:
    """Reinforcement learning with a correctness reward: resumable, judged on held-out pairs; prints its results as JSON."""
    flags = {
        "preset": preset,
        "model": model,
        "template": template,
        "method": method,
        "epochs": epochs,
        "max_steps": max_steps,
        "pairs_per_step": pairs_per_step,
        "rollouts": rollouts,
        "micro_batch_size": micro_batch_size,
        "max_tokens": max_tokens,
        "learning_rate": learning_rate,
        "kl": kl,
        "rollout_backend": rollout_backend,
        "seed": seed,
        "threads": threads,
    }
    file = find_recipe("rl", recipe) if recipe is not None else None
    config = load_config(RlConfig, file=file, settings=settings or (), flags=flags)
    with RewardProgress("GRPO") as progress:
        result = train_rl(TrainingTask(data, held_out, run), config, progress)
    if not result.results:  # one of several processes that train together, and not the first
        return
    typer.echo(f"model: {result.model}", err=True)
    sys.stdout.write(json.dumps({"run": str(result.run), "model": str(result.model), **result.results}) + "\n")
