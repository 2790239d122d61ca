"""``rmr1 judge --audit`` as a user types it."""

import json
import sys

import pytest

pytest.importorskip("openai", reason="the openai extra is not installed")

from rmr1.cli.main import main
from rmr1.data import write_pairs
from rmr1.doctor.cases import obvious_pairs
from tests.support.judge_server import JudgeServer, serving


@pytest.fixture
def audit(monkeypatch, capsys, tmp_path):
    """Runs the command in this process: its exit code, and what it prints."""
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / "pairs.jsonl", obvious_pairs())

    def run(address, *arguments):
        words = ("judge", "pairs.jsonl", "--model", "openai/judge", "--base-url", f"{address}/v1", *arguments)
        monkeypatch.setattr(sys, "argv", ["rmr1", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


def test_flips_by_attack_and_fence(audit, tmp_path):
    with serving(JudgeServer(gullible=True)) as address:
        code, out, err = audit(address, "--audit", "--attacks", "verdict,empty", "--run", "runs/audit")
        rows = {tuple(line.split()[:3]) for line in out.splitlines()}
        assert code == 0, err
        assert {("verdict", "on", "0.0"), ("verdict", "off", "100.0"), ("empty", "on", "0.0")} <= rows
        assert "What the fence prevents" in out
        assert (tmp_path / "runs" / "audit" / "report.html").is_file()
        code, out, err = audit(address, "--audit", "--attacks", "verdict,empty", "--run", "runs/audit", "--json")
    content = json.loads(out)
    assert (code, content["kind"], len(content["attacks"])) == (0, "audit", 2)
    assert "resuming: 12 comparisons are already answered" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--attacks", "verdict"), "--attacks is for --audit"),
        (("--audit", "--show", "2"), "do not go with --audit"),
        (("--audit", "--attacks", "verdct"), 'did you mean "verdict"?'),
    ],
)
def test_options_that_do_not_fit(audit, options, words):
    code, out, err = audit("http://127.0.0.1:9", *options)
    assert (code, out) == (2, "")
    assert words in err
