"""Packages that a stranger installs beside this one: the examples, named on the command line."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.plugins import EXAMPLES, install

PAIRS = [
    {"id": "p1", "prompt": "Why?", "chosen": "Because the sky scatters blue light.", "rejected": "No."},
    {"id": "p2", "prompt": "When?", "chosen": "Now.", "rejected": "At some time that I do not know."},
]


def rmr1(*arguments, cwd, check=True):
    # The folder where packages are installed comes last: what is under test is imported as everywhere else.
    path = os.pathsep.join(part for part in (os.environ.get("PYTHONPATH"), str(cwd / "site")) if part)
    command = [sys.executable, "-m", "rmr1.cli.main", *arguments]
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    return tmp_path


def test_an_installed_engine_is_named_like_any_other(folder):
    before = rmr1("judge", "pairs.jsonl", "--model", "length/longest", cwd=folder, check=False)
    assert before.returncode == 2
    assert "one of the engines llamacpp, hf, vllm, openai, mistral" in " ".join(before.stderr.split())

    install("engine_plugin", folder / "site")
    for rule, right in (("longest", [True, False]), ("shortest", [False, True])):
        done = rmr1("judge", "pairs.jsonl", "--model", f"length/{rule}", "--json", cwd=folder)
        judged = {found["id"]: found["correct"] for found in map(json.loads, done.stdout.splitlines())}
        assert [judged["p1"], judged["p2"]] == right


def test_a_model_that_the_engine_does_not_know_is_the_engines_to_refuse(folder):
    install("engine_plugin", folder / "site")
    done = rmr1("judge", "pairs.jsonl", "--model", "length/widest", cwd=folder, check=False)
    assert done.returncode != 0
    assert "length/widest: no such rule; there is longest, shortest" in " ".join(done.stderr.split())


def test_an_installed_family_is_generated_and_judged_by_the_program(folder):
    install("curriculum_plugin", folder / "site")
    (folder / "initials.yaml").write_text("sources:\n  - curriculum: {families: [initials], count: 40}\n")
    rmr1("data", "initials.yaml", "--out", "made", cwd=folder)
    pairs = [json.loads(line) for line in (folder / "made/train.jsonl").read_text().splitlines()]
    assert {pair["category"] for pair in pairs} == {"initials"}
    done = rmr1("judge", "made/train.jsonl", "--model", "program/curriculum", "--json", cwd=folder)
    judged = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(judged) == len(pairs) > 20
    assert all(found["correct"] for found in judged)


def test_an_installed_benchmark_is_judged_and_reported_like_any_other(folder):
    (folder / "spelling").mkdir()
    for kind in ("swapped", "missing"):
        rows = [{"prompt": f"{kind} {n}", "chosen": f"the answer is {n}", "rejected": f"teh {n}"} for n in range(3)]
        (folder / "spelling" / f"{kind}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ("eval", "--bench", "spelling", "--data", ".", "--model", "length/longest", "--run", "run")
    before = rmr1(
        "eval", "--bench", "spelling", "--data", ".", "--model", "program/curriculum", cwd=folder, check=False
    )
    assert before.returncode == 2
    assert 'no benchmark "spelling"; there is rewardbench' in " ".join(before.stderr.split())

    for example in ("engine_plugin", "benchmark_plugin"):
        install(example, folder / "site")
    done = rmr1(*command, "--json", cwd=folder)
    found = json.loads(done.stdout)["benchmarks"]["spelling"]
    assert found["protocols"]["strict"]["metrics"]["score"]["value"] == 1.0
    assert found["data"]["problems"] == []
    assert "Spelling, protocol official" in (folder / "run" / "report.html").read_text()
    assert "spelling, protocol strict" in rmr1("report", "run", "--protocol", "strict", cwd=folder).stdout

    for name in ("rmr1_spelling_bench.py", "rmr1_spelling_bench-0.1.0.dist-info/entry_points.txt"):
        (folder / "site" / name).unlink()
    after = rmr1("report", "run", cwd=folder, check=False)
    assert after.returncode == 1
    assert 'run: the benchmark "spelling" of this run is not installed' in " ".join(after.stderr.split())


@pytest.mark.parametrize("example", ["engine_plugin", "curriculum_plugin", "benchmark_plugin"])
def test_an_example_stays_short(example):
    (module,) = (EXAMPLES / example).glob("*.py")
    assert len(module.read_text().splitlines()) < 60
