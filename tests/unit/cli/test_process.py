"""Closed and broken streams, SIGTERM: a command ends in one line and with a code that says how."""

import json
import signal
import subprocess
import sys

import pytest

from rmr1.cli.process import stoppable

RMR1 = f"exec {sys.executable} -m rmr1.cli.main"


@pytest.fixture
def folder(tmp_path):
    rows = [{"id": f"p{n}", "prompt": f"q{n}", "chosen": "good", "rejected": "bad"} for n in range(3)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answers = [{"request": f"p{n}/{order}/0", "text": "[[A]]"} for n in range(3) for order in ("ab", "ba")]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    return tmp_path


@pytest.mark.parametrize(
    ("streams", "code", "told"),
    [
        (">&-", 0, ""),
        ("<&-", 0, ""),
        ("--json 2>&-", 0, ""),
        (">&- 2>&- <&-", 0, ""),
        ("--json >/dev/full", 1, "rmr1: standard output: No space left on device"),
        (">/dev/full", 1, "rmr1: standard output: No space left on device"),
    ],
)
def test_streams_that_are_closed_or_full(folder, streams, code, told):
    command = f"{RMR1} judge pairs.jsonl --model replay/answers.jsonl --run run {streams}"
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    lines = (folder / "run" / "completions.jsonl").read_text().splitlines()
    assert all(json.loads(line)["check"] for line in lines)  # nothing that was printed went into a file
    assert code or len(lines) == 6


def test_a_reader_that_leaves_ends_the_command_without_a_word(folder):
    command = (
        f"({RMR1} judge pairs.jsonl --model replay/answers.jsonl --run run --json) | true; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True)
    assert done.returncode in (0, 1)  # it may have printed all before the reader left
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("ignored", [False, True])
def test_sigterm_is_an_interruption_also_where_ctrl_c_is_ignored(ignored):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if ignored:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), stoppable():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
