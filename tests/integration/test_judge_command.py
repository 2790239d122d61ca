"""The real command line, as a user types it."""

import json
import os
import random
import subprocess
import sys
from functools import partial

import pytest

from rmr1.runs import read_document, read_journal
from tests.support.engines import answer
from tests.support.processes import kill_when, lines_of

RMR1 = (sys.executable, "-m", "rmr1.cli.main")
PAIRS = 30


def rmr1(*arguments, cwd, stdin=None, env=None):
    return subprocess.run(
        [*RMR1, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    """Pairs, and a recording of a judge that is right on the even ones and always says A on the odd ones."""
    with (tmp_path / "pairs.jsonl").open("w") as pairs, (tmp_path / "recording.jsonl").open("w") as recording:
        for number in range(PAIRS):
            pairs.write(
                json.dumps({"id": f"p{number}", "prompt": f"q{number}", "chosen": "good", "rejected": "bad"}) + "\n"
            )
            for order, right in (("ab", "A"), ("ba", "B")):
                text = f"<eval>é {number}</eval>" + answer(right if number % 2 == 0 else "A")
                recording.write(
                    json.dumps({"request": f"p{number}/{order}/0", "text": text, "usage": {"completion_tokens": 3}})
                    + "\n"
                )
    return tmp_path


def judge(folder, *options, **run):
    return rmr1("judge", "pairs.jsonl", "--model", "replay/recording.jsonl", *options, cwd=folder, **run)


def test_json_lines_on_stdout_and_the_rest_on_stderr(folder):
    done = judge(folder, "--json", "--limit", 5)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["id"] for record in records] == ["p0", "p1", "p2", "p3", "p4"]
    keys = {"id", "winner", "correct", "position_consistent", "confidence", "verdicts", "traces", "usage"}
    assert all(keys <= set(record) for record in records)
    assert [(record["winner"], record["correct"], record["position_consistent"]) for record in records[:2]] == [
        ("A", True, True),
        ("tie", False, False),
    ]
    assert "position consistency" in done.stderr
    assert "prompt/chosen/rejected" in done.stderr


def test_summary_and_report(folder):
    done = judge(folder, "--show", 1, "--run", "runs/x")
    assert done.returncode == 0, done.stderr
    assert "50.0 %" in done.stdout
    assert done.stdout.count("completion, ") == 2
    results = json.loads((folder / "runs/x/results.json").read_text())
    assert (results["right"], results["ties"], results["completions"]) == (15, 15, 60)
    assert "p29" in (folder / "runs/x/report.html").read_text()
    assert json.loads((folder / "runs/x/run.json").read_text())["identity"]["fence"] is True


def test_the_same_command_does_nothing_twice(folder):
    first = judge(folder, "--json")
    second = judge(folder, "--json")
    assert first.stdout == second.stdout
    assert "resuming: 60 comparisons are already answered" in second.stderr
    (run,) = (folder / "runs").iterdir()
    assert len((run / "completions.jsonl").read_text().splitlines()) == 60


def test_a_larger_limit_goes_on_where_the_smaller_one_ended(folder):
    judge(folder, "--limit", 4)
    done = judge(folder, "--limit", 10, "--json")
    assert "resuming: 8 comparisons" in done.stderr
    assert len(done.stdout.splitlines()) == 10
    again = judge(folder, "--limit", 2, "--json")
    assert len(again.stdout.splitlines()) == 2


def test_a_run_directory_of_other_settings_is_refused(folder):
    assert judge(folder, "--run", "r").returncode == 0
    done = judge(folder, "--run", "r", "--seed", 5)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "rmr1: r is another run: seed was 0, now 5. Choose another --run, or delete the directory"
    )


def test_stdin(folder):
    line = (folder / "pairs.jsonl").read_text().splitlines()[2]
    done = rmr1("judge", "-", "--model", "replay/recording.jsonl", "--json", cwd=folder, stdin=line)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["id"] == "p2"


def test_a_replay_of_a_run_is_that_run(folder):
    first = judge(folder, "--json", "--run", "a")
    done = rmr1("judge", "pairs.jsonl", "--model", "replay/a", "--json", "--run", "b", cwd=folder)
    assert done.stdout == first.stdout
    assert read_document(folder / "a", "results.json") == read_document(folder / "b", "results.json")
    one, other = ([line.record for line in read_journal(folder / run, "completions.jsonl")] for run in ("a", "b"))
    assert one == other


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--fail-under", "0.9"), 3, "accuracy is below 0.9"),
        (("--max-invalid", "0.5", "--rule", "rm-r1-eval"), 0, ""),
        (("--votes", "0"), 2, "--votes 0: should be greater than or equal to 1"),
        (("--set", "vote=2"), 2, 'unknown key "vote"'),
        (("--template", "nope"), 2, 'no template "nope"'),
        (("--columns", "prompt=qestion"), 2, "qestion"),
        (("--model", "nope"), 2, "not a file, not a name in the catalogue"),
        (("--model", "llamacpp/nope.gguf"), 1, "nope.gguf: no such GGUF file"),
        (("--no-such-flag",), 2, "No such option"),
        (("--limit", "many"), 2, "--limit"),
        (("--votes", "2"), 1, 'nothing is recorded for the pair "p0" in order ab, vote 1'),
    ],
)
def test_exit_codes_and_messages(folder, options, code, message):
    done = judge(folder, *options)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_too_many_invalid_verdicts(folder):
    text = (folder / "recording.jsonl").read_text()
    (folder / "recording.jsonl").write_text(text.replace("[[B]]", "[[C]]"))
    done = judge(folder, "--max-invalid", "0.2")
    assert done.returncode == 4
    assert "25.0% of the verdicts are invalid" in done.stderr


def test_a_bad_row_is_named_before_the_work_begins(folder):
    with (folder / "pairs.jsonl").open("a") as pairs:
        pairs.write('{"id": "last", "prompt": "q", "rejected": "r"}\n')
    done = judge(folder)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f'rmr1: pairs.jsonl:{PAIRS + 1}: "chosen" is missing; drop the row or pass --skip-invalid'
    )
    assert not (folder / "runs").exists()
    assert judge(folder, "--skip-invalid").returncode == 0


def test_missing_file_and_closed_pipe(folder):
    done = rmr1("judge", "none.jsonl", "--model", "replay/recording.jsonl", cwd=folder)
    assert (done.returncode, "none.jsonl" in done.stderr) == (2, True)
    command = " ".join(
        (*RMR1, "judge", "pairs.jsonl", "--model", "replay/recording.jsonl", "--json", "|", "head", "-n", "1")
    )
    piped = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=False)
    assert json.loads(piped.stdout)["id"] == "p0"
    assert "Traceback" not in piped.stderr


def test_version_and_help(folder):
    assert rmr1("--version", cwd=folder).stdout.startswith("rmr1 ")
    assert "--constrain" in rmr1("judge", "--help", cwd=folder, env={"COLUMNS": "200"}).stdout


def samples(run):
    return [json.loads(line) for line in (run / "completions.jsonl").read_bytes().splitlines()]


def reaches(journal, lines):
    return lines_of(journal) >= lines


@pytest.mark.slow
def test_killed_anywhere_a_rerun_has_each_comparison_once_and_the_same_results(folder):
    many = 800
    with (folder / "many.jsonl").open("w") as pairs, (folder / "slow.jsonl").open("w") as recording:
        for number in range(many):
            pairs.write(
                json.dumps({"id": f"p{number}", "prompt": f"q{number}", "chosen": "good", "rejected": "bad"}) + "\n"
            )
            for order, right in (("ab", "A"), ("ba", "B")):
                text = "x" * random.Random(number).randrange(20_000) + answer(right)
                recording.write(json.dumps({"request": f"p{number}/{order}/0", "text": text}) + "\n")
    command = [*RMR1, "judge", "many.jsonl", "--model", "replay/slow.jsonl", "--json", "--run"]
    undisturbed = subprocess.run([*command, "undisturbed"], cwd=folder, capture_output=True, check=True)
    chance = random.Random(0)
    in_the_middle = 0
    for moment in range(10):
        killed = folder / f"killed-{moment}"
        journal, moment_of_death = killed / "completions.jsonl", chance.randrange(1, 2 * many)
        kill_when(partial(reaches, journal, moment_of_death), [*command, killed.name], cwd=folder)
        in_the_middle += 0 < lines_of(journal) < 2 * many
        final = subprocess.run([*command, killed.name], cwd=folder, capture_output=True, check=True)
        requests = [sample["request"] for sample in samples(killed)]
        assert len(requests) == len(set(requests)) == 2 * many
        for name in ("completions.jsonl", "results.json"):
            assert (killed / name).read_bytes() == (folder / "undisturbed" / name).read_bytes()
        assert final.stdout == undisturbed.stdout
    assert in_the_middle >= 7
