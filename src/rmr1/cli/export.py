"""``rmr1 export``: a trained judge as a GGUF file, or as a Hugging Face folder with a model card."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, get_args

import typer

from rmr1.errors import ConfigError
from rmr1.export import ExportTask, export_model
from rmr1.export.run import Format, WeightType


def export(
    source: Annotated[
        str, typer.Argument(help="A run of rmr1 sft or grpo, a Hugging Face folder, or a catalogue name.")
    ],
    out: Annotated[Path, typer.Option(help="The GGUF file or the folder to write.")],
    kind: Annotated[str, typer.Option("--format", help="gguf, for llama.cpp, or hf, a folder to publish.")] = "gguf",
    weight_type: Annotated[str, typer.Option("--type", help="Weights of a GGUF file: f16 or q8_0.")] = "f16",
    base: Annotated[
        Path | None, typer.Option(help="A GGUF file of the base model, for its metadata; found where not given.")
    ] = None,
    replace: Annotated[bool, typer.Option(help="Replace what is at --out.")] = False,
) -> None:
    """Write a trained judge for llama.cpp, or as a folder with a model card; prints what was written as JSON."""
    if kind not in get_args(Format):
        raise ConfigError(f"--format {kind}: the formats are {', '.join(get_args(Format))}")
    if weight_type not in get_args(WeightType):
        raise ConfigError(f"--type {weight_type}: the types are {', '.join(get_args(WeightType))}")
    done = export_model(ExportTask(source, out, kind, weight_type, base, replace))  # type: ignore[arg-type]
    typer.echo(f"{done.path}: {done.size / 1e6:.1f} MB", err=True)
    written = {"path": str(done.path), "format": done.format, "bytes": done.size, "template": done.card.template}
    sys.stdout.write(json.dumps(written) + "\n")
