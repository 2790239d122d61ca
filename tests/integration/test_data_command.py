"""``rmr1 data`` as a user types it."""

import json
import random
import subprocess
import sys

import pytest

from rmr1.runs import read_document
from tests.support.processes import kill_when

RMR1 = (sys.executable, "-m", "rmr1.cli.main")


def rmr1(*arguments, cwd, stdin=None):
    return subprocess.run(
        [*RMR1, *map(str, arguments)], cwd=cwd, input=stdin, capture_output=True, text=True, check=False
    )


def rows(count, words=3):
    chance = random.Random(0)
    for number in range(count):
        better, worse = (" ".join(chance.choices("abcdefgh", k=words)) for _ in range(2))
        yield json.dumps(
            {"id": f"p{number}", "prompt": f"q{number}", "chosen": f"{better} {number}", "rejected": worse}
        )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pairs.jsonl").write_text("\n".join(rows(60)) + "\n")
    return tmp_path


def test_files_in_splits_out(folder):
    done = rmr1(
        "data", "pairs.jsonl", "--out", "out", "--set", "splits.train=0.5", "--set", "splits.dev=0.5", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (folder / "out").iterdir()} - {".lock"} == {
        "run.json",
        "results.json",
        "train.jsonl",
        "dev.jsonl",
    }
    assert "pairs" in done.stdout.splitlines()[1]
    assert "written: out/train.jsonl, out/dev.jsonl" in done.stderr
    again = rmr1(
        "data",
        "pairs.jsonl",
        "--out",
        "out",
        "--set",
        "splits.train=0.5",
        "--set",
        "splits.dev=0.5",
        "--json",
        cwd=folder,
    )
    assert "done before" in again.stderr
    assert json.loads(again.stdout) == read_document(folder / "out", "results.json")


def test_a_recipe_with_flags_and_stdin(folder):
    (folder / "mix.yaml").write_text("sources: [{path: pairs.jsonl}]\nsplits: {all: 1}\nsize: 50\n")
    done = rmr1("data", "mix.yaml", "--size", 20, "--orders", "both", "--json", cwd=folder)
    assert json.loads(done.stdout)["splits"]["all"]["rows"] == 40, done.stderr
    lines = (folder / "pairs.jsonl").read_text()
    piped = [rmr1("data", "-", "--json", cwd=folder, stdin=lines) for _ in range(2)]
    assert [("stdin" in one.stdout, one.returncode) for one in piped] == [(True, 0), (True, 0)]
    assert "done before" in piped[1].stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("none.jsonl",), 2, "none.jsonl"),
        (("pairs.jsonl", "mix.yaml"), 2, "a recipe stands alone"),
        (("none.yaml",), 2, "the recipes are curriculum, paper-mix"),
        (("paper-mix", "pairs.jsonl"), 2, "a recipe stands alone"),
        (("curriculum", "--size", "0"), 2, "--size"),
        (("pairs.jsonl", "--orders", "up"), 2, "--orders"),
        (("pairs.jsonl", "--set", "sizes=3"), 2, 'unknown key "sizes"'),
        (("pairs.jsonl", "--low", "0.1"), 2, "difficulty.run"),
        (("pairs.jsonl", "--difficulty", "."), 2, "not a run directory"),
    ],
)
def test_exit_codes_and_messages(folder, arguments, code, message):
    done = rmr1("data", *arguments, cwd=folder)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("sign", ["run.json", ".train.jsonl.tmp"])
def test_killed_while_it_reads_or_writes_a_rerun_ends_with_the_same_files(folder, sign):
    (folder / "many.jsonl").write_text("\n".join(rows(600, words=60)) + "\n")
    command = [*RMR1, "data", "many.jsonl", "--out"]
    kill_when((folder / "killed" / sign).exists, [*command, "killed"], cwd=folder)
    finished = (folder / "killed" / "results.json").exists()
    assert not finished or sign != "run.json"  # the time of writing is short: a busy machine may miss it
    for name, before in (("killed", finished), ("whole", False)):
        done = rmr1(*command[3:], name, cwd=folder)
        assert (done.returncode, "done before" in done.stderr) == (0, before), done.stderr
    for file in ("train.jsonl", "dev.jsonl", "held_out.jsonl", "results.json"):
        assert (folder / "killed" / file).read_bytes() == (folder / "whole" / file).read_bytes()
    assert sorted(path.name for path in (folder / "killed").iterdir()) == sorted(
        path.name for path in (folder / "whole").iterdir()
    )
