"""The built wheel in an empty environment: what a user gets who does not clone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command, cwd):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_installs_and_judges_in_an_empty_environment(tmp_path):
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("rmr1-*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "empty", cwd=tmp_path)
    python = tmp_path / "empty" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    (tmp_path / "pairs.jsonl").write_text('{"id": "p", "prompt": "q", "chosen": "good", "rejected": "bad"}\n')
    verdicts = {"ab": "A", "ba": "B"}
    (tmp_path / "recording.jsonl").write_text(
        "".join(
            json.dumps({"request": f"p/{order}/0", "text": f"<answer>[[{side}]]</answer>"}) + "\n"
            for order, side in verdicts.items()
        )
    )
    rmr1 = tmp_path / "empty" / "bin" / "rmr1"
    judged = json.loads(run(rmr1, "judge", "pairs.jsonl", "--model", "replay/recording.jsonl", "--json", cwd=tmp_path))
    assert (judged["winner"], judged["correct"]) == ("A", True)
    (report,) = tmp_path.glob("runs/*/report.html")
    assert "<html" in report.read_text()
    assert "smollm2-135m-instruct" in run(rmr1, "pull", "--list", cwd=tmp_path)
    missing = subprocess.run(
        [rmr1, "judge", "pairs.jsonl", "--model", "openai/x"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert missing.returncode == 1
    assert missing.stderr.splitlines()[-1] == (
        "rmr1: the openai engine needs an optional dependency; install it with: pip install 'rmr1[openai]'"
    )
