"""``rmr1 export``: a trained judge as a GGUF file, or as a Hugging Face folder with a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from rmr1.cli.options import OUTPUT
from rmr1.cli.streams import tell, write_json
from rmr1.errors import ConfigError
from rmr1.export import ExportTask, export_model
from rmr1.export.run import Format, WeightType


def export_judge(
    source: Annotated[str, typer.Argument(help="A run of rmr1 sft or rl, a Hugging Face folder, or a catalogue name.")],
    out: Annotated[
        Path, typer.Option(help="The GGUF file or the folder to write.", rich_help_panel=OUTPUT, metavar="PATH")
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            help="gguf, for llama.cpp; or hf, a folder to publish.",
            rich_help_panel=OUTPUT,
            metavar="|".join(get_args(Format)),
        ),
    ] = "gguf",
    weight_type: Annotated[
        str,
        typer.Option(
            "--type",
            help="Type of the weights in a GGUF file.",
            rich_help_panel=OUTPUT,
            metavar="|".join(get_args(WeightType)),
        ),
    ] = "f16",
    base: Annotated[
        Path | None,
        typer.Option(
            help="A GGUF file of the base model, for its metadata; found if not given.",
            rich_help_panel=OUTPUT,
            metavar="PATH",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace what is at --out.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Write a trained judge for llama.cpp, or as a folder with a model card; prints what was written as JSON."""
    if kind not in get_args(Format):
        raise ConfigError(f"--format {kind}: the formats are {', '.join(get_args(Format))}")
    if weight_type not in get_args(WeightType):
        raise ConfigError(f"--type {weight_type}: the types are {', '.join(get_args(WeightType))}")
    done = export_model(ExportTask(source, out, kind, weight_type, base, replace))  # type: ignore[arg-type]
    tell(f"{done.path}: {done.size / 1e6:.1f} MB")
    written = {"path": str(done.path), "format": done.format, "bytes": done.size, "template": done.card.template}
    write_json(written, indent=None)
