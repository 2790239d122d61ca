"""``rmr1 sft``: fine-tune a judge on traces."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from rmr1.config import SftConfig, find_recipe, load_config
from rmr1.report.progress import TrainingProgress
from rmr1.training import TrainingTask, train_sft


def sft(
    data: Annotated[Path, typer.Option(help="Traces: traces.jsonl of rmr1 distill.")],
    held_out: Annotated[
        Path | None, typer.Option(help="Traces to evaluate on; a share of --data where not given.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe by name, or a YAML file.")] = None,
    preset: Annotated[str | None, typer.Option(help="default or paper.")] = None,
    model: Annotated[str | None, typer.Option(help="A model folder, a GGUF file, a catalogue or hub name.")] = None,
    method: Annotated[str | None, typer.Option(help="full or lora.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the traces.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Stop after so many optimiser steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples of one optimiser step.")] = None,
    micro_batch_size: Annotated[int | None, typer.Option(help="Examples that one device computes at once.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Longer examples are dropped, never cut.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the order of examples.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, such as lora.rank=64.")] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", "--run-directory", help="Directory of the run; the same one resumes it."),
    ] = None,
) -> None:
    """Fine-tune a judge on traces: resumable, evaluated on held-out traces on the way; prints its results as JSON."""
    flags = {
        "preset": preset,
        "model": model,
        "method": method,
        "epochs": epochs,
        "max_steps": max_steps,
        "batch_size": batch_size,
        "micro_batch_size": micro_batch_size,
        "learning_rate": learning_rate,
        "max_length": max_length,
        "precision": precision,
        "seed": seed,
        "threads": threads,
    }
    file = find_recipe("sft", recipe) if recipe is not None else None
    config = load_config(SftConfig, file=file, settings=settings or (), flags=flags)
    with TrainingProgress("SFT") as progress:
        result = train_sft(TrainingTask(data, held_out, run), config, progress)
    if not result.results:  # one of several processes that train together, and not the first
        return
    typer.echo(f"model: {result.model}", err=True)
    sys.stdout.write(json.dumps({"run": str(result.run), "model": str(result.model), **result.results}) + "\n")
