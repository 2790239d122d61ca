"""A page whose commands need nothing but this machine is run as it stands, command by command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documentation import ROOT, commands


@pytest.mark.slow
def test_the_commands_of_the_curriculum_page(tmp_path: Path) -> None:
    pytest.importorskip("reasoning_gym", reason="the data extra is not installed")
    found = [command.rmr1 for command in commands((ROOT / "docs" / "curriculum.md").read_text(encoding="utf-8"))]
    assert len(found) >= 3
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RMR1_")}
    for words in found:
        done = subprocess.run(
            [sys.executable, "-m", "rmr1.cli.main", *(words or ())],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (words, done.stderr)
    assert list(tmp_path.glob("runs/*/traces.jsonl"))
