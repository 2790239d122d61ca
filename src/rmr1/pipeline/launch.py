"""A stage of training under a launcher, such as ``accelerate launch``: several processes train, one pipeline waits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rmr1.config import is_setting
from rmr1.errors import TrainingError


def launch(command: Sequence[str], stage: str, config: Mapping[str, Any], data: Path, run: Path) -> None:
    """Run ``rmr1 sft`` or ``rmr1 rl`` under a launcher and wait for it.

    Args:
        command: The launcher with its options.
        stage: "sft" or "rl".
        config: The stage's configuration, as JSON values.
        data: Its traces or pairs.
        run: Its run directory.

    Raises:
        TrainingError: The launcher is not there, or the training failed; what is done is kept.
        KeyboardInterrupt: It was interrupted.
    """
    recipe = run.parent / f"{stage}.yaml"
    recipe.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    # torchrun has options that begin with --run, and takes a bare --run for one of them.
    arguments = [stage, "--recipe", str(recipe), "--data", str(data), "--run-directory", str(run)]
    # The recipe says it all: settings of the environment would make another run of it.
    environment = {name: text for name, text in os.environ.items() if not is_setting(name)}
    try:
        ended = subprocess.run(
            [*command, "-m", "rmr1.cli.main", *arguments], stdout=sys.stderr, check=False, env=environment
        )
    except FileNotFoundError as error:
        raise TrainingError(
            f"launch: no command {command[0]!r}; pip install 'rmr1[train]' brings accelerate"
        ) from error
    if ended.returncode:
        raise TrainingError(f"{stage} ended with status {ended.returncode} under {command[0]}; see its messages above")
