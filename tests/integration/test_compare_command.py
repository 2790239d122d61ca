"""``rmr1 compare`` as a user types it: runs of judge and of eval, on data under other names."""

import csv
import json

import pytest

from tests.integration.test_judge_command import rmr1
from tests.support.engines import answer

PAIRS = 24


def write_pairs(path, prefix, *, turned=False):
    """Chosen and rejected responses, or the same as A and B with the label B."""
    with path.open("w") as pairs:
        for number in range(PAIRS):
            row = {"id": f"{prefix}{number}", "prompt": f"question {number}", "category": f"kind {number % 2}"}
            if turned:
                row |= {"response_a": f"bad {number}", "response_b": f"good {number}", "label": "B"}
            else:
                row |= {"chosen": f"good {number}", "rejected": f"bad {number}"}
            pairs.write(json.dumps(row) + "\n")


def write_recording(path, name, right, *, turned=False):
    """A recorded judge of pairs by name that is right on the first ones and always says A on the others."""
    with path.open("w") as recording:
        for number in range(PAIRS):
            for order in ("ab", "ba"):
                side = "A" if (order == "ab") is not turned else "B"
                text = f"<eval>words about {number}</eval>" + answer(side if number < right else "A")
                recording.write(json.dumps({"request": f"{name(number)}/{order}/0", "text": text}) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    write_pairs(folder / "pairs.jsonl", "p")
    write_pairs(folder / "renamed.jsonl", "q", turned=True)
    write_recording(folder / "good.jsonl", "p{}".format, 22)
    write_recording(folder / "weak.jsonl", "q{}".format, 10, turned=True)
    write_recording(folder / "eval-good.jsonl", lambda number: f"pairs.jsonl/kind {number % 2}/p{number}", 22)
    write_recording(
        folder / "eval-weak.jsonl", lambda number: f"renamed.jsonl/kind {number % 2}/q{number}", 10, turned=True
    )
    for name, data in (("good", "pairs"), ("weak", "renamed")):
        judged = rmr1("judge", f"{data}.jsonl", "--model", f"replay/{name}.jsonl", "--run", name, cwd=folder)
        assert judged.returncode == 0, judged.stderr
        options = ("--model", f"replay/eval-{name}.jsonl", "--bench", "custom", "--data", f"{data}.jsonl")
        evaluated = rmr1("eval", *options, "--run", f"eval-{name}", cwd=folder)
        assert evaluated.returncode == 0, evaluated.stderr
    return folder


@pytest.mark.parametrize("runs", [("good", "weak"), ("eval-good", "eval-weak"), ("good", "eval-weak")])
def test_runs_on_the_same_data_under_other_names(folder, runs):
    done = rmr1("compare", *runs, "--json", "--protocol", "strict", "--html", "page.html", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (compared,) = found["benchmarks"].values()
    assert (found["kind"], compared["pairs"], compared["differing"]) == ("compare", PAIRS, 12)
    (versus,) = compared["versus"]
    assert versus["difference"]["value"] == pytest.approx(-0.5)
    assert versus["difference"]["p"] == pytest.approx(2 / 2**12)
    item = compared["items"][0]
    number = int(item["prompt"][0]["content"].removeprefix("question "))
    assert 10 <= number < 22
    assert f"words about {number}" in item["outcomes"][runs[1]]["completions"][0]["text"]
    page = (folder / "page.html").read_text()
    assert "written: page.html" in done.stderr
    assert "question 10" in page and "words about 10" in page and "http" not in page.partition("</style>")[2]


def test_tables_markdown_and_csv(folder):
    text = rmr1("compare", "good", "weak", "eval-good", "--cells", cwd=folder).stdout
    assert "rank" in text and "kappa" in text and "kind 1" in text
    assert "pairs on which they differ" in text
    assert (
        "| good | replay/good.jsonl | reasoning | 91.7 % |"
        in rmr1("compare", "good", "weak", "--markdown", cwd=folder).stdout
    )
    rows = list(csv.DictReader(rmr1("compare", "good", "weak", "--csv", cwd=folder).stdout.splitlines()))
    assert {row["run"] for row in rows} == {"good", "weak"}
    assert {row["name"] for row in rows if row["kind"] == "cell"} == {"kind 0", "kind 1"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("good",), 2, "1 run: name at least two to compare"),
        (("good", "absent"), 1, "absent: not a run directory"),
        (("good", "weak", "--csv", "--json"), 2, "one of them is printed; name one"),
        (("good", "weak", "--votes", "1,1,1"), 2, "--votes: 3 numbers for 2 runs"),
        (("good", "weak", "--votes", "2"), 2, "--votes 2: good has 1 of each order"),
    ],
)
def test_what_cannot_be_compared_is_one_line(folder, arguments, code, message):
    done = rmr1("compare", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr.splitlines()[-1]
