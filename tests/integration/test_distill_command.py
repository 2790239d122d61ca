"""``rmr1 distill`` as a user types it: recordings as teacher and repairer, kills, budgets, a batch API."""

import json
import os
import random
import signal
import subprocess
import sys

import pytest

from rmr1.sides import random_order
from tests.support.batch_server import Provider, serving
from tests.support.engines import answer
from tests.support.processes import kill_when, lines_of, wait_until

RMR1 = (sys.executable, "-m", "rmr1.cli.main")
OUTPUTS = ("traces.jsonl", "rejected.jsonl", "results.json")
CITED = "<eval><quote_A>a</quote_A> <quote_B>b</quote_B></eval>"


def rmr1(*arguments, cwd, env=None):
    command = [*RMR1, *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False
    )


def gold(order):
    return "A" if order == "ab" else "B"


def other(side):
    return "B" if side == "A" else "A"


def write_folder(folder, count, filler=0):
    """Pairs; a teacher that is wrong on every fourth and says nothing on every tenth; a repairer that leaks in every third."""
    chance = random.Random(0)
    with (
        (folder / "pairs.jsonl").open("w") as pairs,
        (folder / "teacher.jsonl").open("w") as teacher,
        (folder / "repairer.jsonl").open("w") as repairer,
    ):
        for number in range(count):
            row = {"id": f"p{number}", "prompt": f"q{number}", "chosen": "good é", "rejected": "bad"}
            pairs.write(json.dumps(row | {"category": "xy"[number % 2], "group": f"g{number}"}) + "\n")
            usage = {"prompt_tokens": 100, "completion_tokens": 10}
            for order in ("ab", "ba"):
                side = other(gold(order)) if number % 4 == 0 else gold(order)
                text = "x" * chance.randrange(filler + 1) + CITED + (answer(side) if number % 10 else "")
                record = {"request": f"p{number}/{order}/0", "text": text, "usage": usage}
                teacher.write(json.dumps(record) + "\n")
                leak = "The correct verdict is clear. " if number % 3 == 0 else ""
                record |= {"request": f"p{number}/{order}/repair", "text": f"{leak}{CITED}{answer(gold(order))}"}
                repairer.write(json.dumps(record) + "\n")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path, 60)


def distill(folder, *options, **more):
    engines = ("--teacher", "replay/teacher.jsonl", "--repairer", "replay/repairer.jsonl")
    return rmr1("distill", "pairs.jsonl", *engines, *options, cwd=folder, **more)


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_traces_summary_report_and_counts_that_add_up(folder):
    done = distill(folder, "--run", "r")
    assert done.returncode == 0, done.stderr
    results = json.loads((folder / "r/results.json").read_text())
    failed = [number for number in range(60) if number % 4 == 0 or number % 10 == 0]
    leaking = [number for number in failed if number % 3 == 0]
    assert results["kept"] == 60 - len(failed)
    assert results["repaired"] == len(failed) - len(leaking)
    assert results["rejected_by_reason"] == {"leaks_hint": len(leaking)}
    assert results["kept"] + results["repaired"] + results["rejected"] == results["comparisons"] == 60
    assert results["passes"]["teacher"]["rejected"] == {"missing": 6, "wrong_verdict": len(failed) - 6}
    assert results["tokens"]["prompt_tokens"] == 100 * (60 + len(failed))
    traces = rows(folder / "r/traces.jsonl")
    assert len(traces) == results["traces"] == 60 - len(leaking)
    first = traces[0]
    order = random_order("p1", 0)
    assert (first["id"], first["label"], first["origin"]) == (f"p1/{order}", gold(order), "teacher")
    assert (first["category"], first["group"]) == ("y", "g1")
    assert set(first) == {"prompt", "completion", "id", "label", "origin", "category", "group", "problems"}
    assert "leaks hint" in done.stdout
    assert "The correct verdict is clear" in (folder / "r/report.html").read_text()
    rejected = rows(folder / "r/rejected.jsonl")
    assert {row["hints"] for row in rejected if row["reason"] == "leaks_hint"} == {"known_verdict"}
    assert all(row["trace"].startswith(("<eval>", "The correct")) for row in rejected)


def test_traces_are_a_data_set(folder, tmp_path):
    datasets = pytest.importorskip("datasets", reason="the hub extra is not installed")
    distill(folder, "--run", "r", "--orders", "both")
    loaded = datasets.load_dataset(
        "json", data_files=str(folder / "r/traces.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded.num_rows == len(rows(folder / "r/traces.jsonl"))
    assert loaded[0]["completion"][0]["role"] == "assistant"
    assert loaded.features["problems"].dtype == "string"


def test_a_pass_can_be_replayed_from_its_journal(folder):
    distill(folder, "--run", "a")
    done = rmr1(
        "distill", "pairs.jsonl", "--teacher", "replay/a/pass1.jsonl", "--repairer", "replay/a/pass2.jsonl",
        "--run", "b", "--json", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (folder / "a/traces.jsonl").read_bytes() == (folder / "b/traces.jsonl").read_bytes()
    assert json.loads(done.stdout)["kept"] == json.loads((folder / "a/results.json").read_text())["kept"]


def test_a_budget_ends_the_run_cleanly_and_more_of_it_goes_on(folder):
    small = distill(folder, "--run", "r", "--max-total-tokens", 5000, "--max-tokens", 100)
    assert small.returncode == 0, small.stderr
    assert "the budget is used up" in small.stderr
    results = json.loads((folder / "r/results.json").read_text())
    assert results["left"] > 0
    assert not results["complete"]
    large = distill(folder, "--run", "r", "--max-tokens", 100)
    assert large.returncode == 0, large.stderr
    assert "resuming" in large.stderr
    distill(folder, "--run", "whole", "--max-tokens", 100)
    for name in OUTPUTS:
        assert (folder / "r" / name).read_bytes() == (folder / "whole" / name).read_bytes()


def test_a_limit_can_be_raised_and_lowered(folder):
    distill(folder, "--run", "r", "--limit", 10)
    few = (folder / "r/results.json").read_bytes()
    distill(folder, "--run", "r", "--limit", 30)
    assert json.loads((folder / "r/results.json").read_text())["comparisons"] == 30
    distill(folder, "--run", "r", "--limit", 10)
    assert (folder / "r/results.json").read_bytes() == few


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--template", "cor-compact"), 1, "is another run"),
        (("--samples", "4"), 2, "second pass"),
        (("--max-cost", "1"), 2, "--teacher-prices-prompt 3"),
        (("--batch",), 2, "whose engine has a batch API"),
        (("--template", "nope"), 2, 'no template "nope"'),
        (("--set", "x=1"), 2, 'unknown key "x"'),
    ],
)
def test_exit_codes_and_messages(folder, options, code, message):
    distill(folder, "--run", "r", "--limit", 1)
    done = distill(folder, "--run", "r", *options)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_pair_without_a_label_is_named_before_anything_is_spent(folder):
    (folder / "odd.jsonl").write_text(
        '{"id":"p1","prompt":"q","response_a":"good","response_b":"bad","label":"A"}\n'
        '{"id":"odd one","prompt":"q","response_a":"x","response_b":"y","label":null}\n'
    )
    command = ("distill", "odd.jsonl", "--teacher", "replay/teacher.jsonl")
    done = rmr1(*command, cwd=folder)
    assert done.returncode == 2
    assert '"odd one" has no label' in done.stderr
    assert not (folder / "runs").exists()
    assert rmr1(*command, "--skip-invalid", cwd=folder).returncode == 0


@pytest.mark.slow
def test_killed_at_five_moments_a_rerun_has_the_same_traces(tmp_path):
    folder = write_folder(tmp_path, 1200, filler=20_000)
    assert distill(folder, "--run", "whole").returncode == 0
    in_first = in_second = 0
    moments = [
        ("pass1.jsonl", 100),
        ("pass1.jsonl", 700),
        ("pass1.jsonl", 1150),
        ("pass2.jsonl", 30),
        ("pass2.jsonl", 250),
    ]
    for number, (journal, lines) in enumerate(moments):
        run = folder / f"killed-{number}"
        command = [
            *RMR1, "distill", "pairs.jsonl", "--teacher", "replay/teacher.jsonl", "--repairer", "replay/repairer.jsonl",
            "--run", run.name,
        ]  # fmt: skip
        kill_when(lambda path=run / journal, least=lines: lines_of(path) >= least, command, cwd=folder)
        in_first += 0 < lines_of(run / "pass1.jsonl") < 1200
        in_second += lines_of(run / "pass1.jsonl") == 1200 and not (run / "results.json").exists()
        done = distill(folder, "--run", run.name)
        assert done.returncode == 0, done.stderr
        for name in OUTPUTS:
            assert (run / name).read_bytes() == (folder / "whole" / name).read_bytes()
        for journal_name in ("pass1.jsonl", "pass2.jsonl"):
            requests = [record["request"] for record in rows(run / journal_name)]
            assert len(requests) == len(set(requests)) == lines_of(folder / "whole" / journal_name)
    assert in_first >= 2
    assert in_second >= 1


def test_batches_are_not_paid_twice_after_a_kill(tmp_path):
    pytest.importorskip("openai", reason="the openai extra is not installed")
    folder = write_folder(tmp_path, 20)

    def right(body):
        shown_a = body["messages"][-1]["content"].partition("The End of Chatbot A")[0]
        return CITED + answer("A" if "good" in shown_a else "B")

    provider = Provider(right)
    provider.looks = 10**9
    with serving(provider) as address:
        command = [
            *RMR1, "distill", "pairs.jsonl", "--teacher", "openai/m", "--base-url", address, "--batch",
            "--set", "batching.size=8", "--set", "batching.poll_s=0.05", "--run", "r",
        ]  # fmt: skip
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        made = wait_until(lambda: lines_of(folder / "r/teacher-batches.jsonl") >= 6, process)
        assert made, process.stderr.read()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert [len(batch["lines"]) for batch in provider.batches.values()] == [8, 8, 4]
        provider.looks = 0
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (len(provider.batches), len(provider.asked)) == (3, 20)
    results = json.loads((folder / "r/results.json").read_text())
    assert (results["kept"], results["complete"]) == (20, True)
    assert results["tokens"]["completion_tokens"] == 20 * 20
