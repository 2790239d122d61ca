"""``rmr1 doctor`` as a user types it: broken set-ups, each named with its fix in one command."""

import json
import shutil
import subprocess
import sys

import pytest

from rmr1.cli.main import main
from tests.support.judge_server import JudgeServer, serving

pytest.importorskip("openai", reason="the openai extra is not installed")

KEY = "RMR1_TEST_KEY"


@pytest.fixture
def doctor(monkeypatch, capsys, tmp_path):
    """Runs the command in this process: its exit code, and what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(KEY, raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rmr1", "doctor", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


def options(address, path="/v1"):
    return ("--base-url", f"{address}{path}", "--engine-api-key-env", KEY, "--max-tokens", 256)


def test_a_set_up_that_works(tmp_path):
    with serving(JudgeServer()) as address:
        command = (sys.executable, "-m", "rmr1.cli.main", "doctor", "openai/judge", *options(address))
        done = subprocess.run([*map(str, command)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "0 to fix, 0 warnings" in done.stdout
    assert "requests, which write" in done.stderr


BROKEN = {
    "the server is down": (None, ("--base-url", "http://127.0.0.1:9/v1"), "nothing listens there", "start the server"),
    "/v1 is missing": (JudgeServer(), (), "the API is at http", "pass --base-url http"),
    "the model's name is wrong": (
        JudgeServer(models=("judge-7b",)),
        (),
        "not judge",
        "name one of them: openai/judge-7b",
    ),
    "the key is missing": (JudgeServer(key="right"), (), "the server wants a key", f"set {KEY} to your key"),
    "the system message is dropped": (JudgeServer(system="dropped"), (), "is left out", "--system-role merge"),
    "the context is too small": (JudgeServer(context=700), ("--max-tokens", 512), "does not fit", "--max-model-len"),
    "the grammar is ignored": (
        JudgeServer(grammar="nothing"),
        ("--constrain", "--engine-server-grammar", "vllm"),
        "the grammar is ignored",
        "set --engine-server-grammar",
    ),
    "BOS is doubled": (JudgeServer(begin=(1, 1)), (), "the token 1 twice", "does not begin with the BOS token"),
    "all answers are cut": (
        JudgeServer(length=400),
        ("--max-tokens", 64),
        "all 12 answers are cut",
        "--max-tokens 640",
    ),
    "no thought is open": (JudgeServer(), ("--engine-think", "open"), "none of them closes one", "--engine-think auto"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named_with_its_fix(name, doctor):
    judge, more, seen, fix = BROKEN[name]
    with serving(judge or JudgeServer()) as address:
        code, out, err = doctor("openai/judge", *options(address, "" if "/v1" in name else "/v1"), *more)
    assert code == 1
    failures = [line for line in out.splitlines() if line.startswith("FAIL")]
    assert any(seen in line for line in failures), out
    assert fix in out
    assert "Traceback" not in err


def test_a_gguf_file_that_is_cut(small_model, tmp_path, doctor):
    cut = tmp_path / "judge.gguf"
    with small_model.open("rb") as source, cut.open("wb") as target:
        shutil.copyfileobj(source, target)
        target.truncate(target.tell() // 2)
    code, out, _ = doctor(cut)
    assert code == 1
    assert "bytes are missing" in out
    assert "fix: fetch the file again" in out


def test_json_holds_every_check(doctor):
    with serving(JudgeServer(repeats=False)) as address:
        code, out, _ = doctor("openai/judge", *options(address), "--json")
    assert code == 0
    content = json.loads(out)
    checks = {check["name"]: check for check in content["checks"]}
    assert content["kind"] == "doctor"
    assert checks["determinism"]["status"] == "warn"
    assert checks["determinism"]["fix"]
    assert content["requests"] > 20


def test_no_model_is_a_wrong_command_line(doctor):
    code, out, err = doctor()
    assert (code, out) == (2, "")
    assert "Missing argument 'model'" in err
