"""Runs whose files were edited by hand or damaged: resumed with the same results, or refused by file and line."""

import asyncio
import dataclasses
import json
import random
import re
import shutil
from collections import Counter

import pytest

from rmr1.config import DistillConfig, JudgeConfig, SftConfig
from rmr1.data import load_pairs
from rmr1.distillation import DistillRun, Writer
from rmr1.engines import BatchLedger
from rmr1.errors import RunError
from rmr1.judging import JudgeRun, SourceGuard, plan_judging
from rmr1.models.hardware import Hardware
from rmr1.records import Generation, Usage
from rmr1.results import RlEvalMetrics, RlStepMetrics, SftEvalMetrics, SftStepMetrics
from rmr1.runs import NullCallbacks, RunDirectory
from rmr1.training.checkpoints import commit, staging_folder
from rmr1.training.rl import evaluation as rl_evaluation
from rmr1.training.run import TrainingRun
from rmr1.training.sft import evaluation as sft_evaluation
from rmr1.training.sft.traces import Tokenised
from tests.support.engines import FunctionEngine, answer, prefers

LETTERS = {b'"A"': b'"B"', b'"B"': b'"A"', b"[[A]]": b"[[B]]", b'"stop"': b'"length"', b'"ab"': b'"ba"', b"null": b"1"}
COUNTED = {"judge": 900, "distill": 500, "sft": 250, "rl": 250, "batches": 200}


def some_line(draw, content):
    lines = content.splitlines(keepends=True)
    return lines, draw.randrange(len(lines))


def on_a_line(change):
    def edit(draw, content):
        lines, place = some_line(draw, content)
        lines[place] = change(draw, lines[place])
        return b"".join(lines)

    return edit


def delete_line(draw, content):
    lines, place = some_line(draw, content)
    return b"".join(lines[:place] + lines[place + 1 :])


def duplicate_line(draw, content):
    lines, place = some_line(draw, content)
    lines.insert(draw.randrange(len(lines) + 1), lines[place])
    return b"".join(lines)


def swap_lines(draw, content):
    lines, place = some_line(draw, content)
    other = draw.randrange(len(lines))
    lines[place], lines[other] = lines[other], lines[place]
    return b"".join(lines)


def flip_bit(draw, content):
    place = draw.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def replace_match(pattern, replacement):
    def edit(draw, content):
        found = list(re.finditer(pattern, content))
        if not found:
            return content
        match = draw.choice(found)
        return content[: match.start()] + replacement(draw, match[0]) + content[match.end() :]

    return edit


def reorder_keys(draw, line):
    try:
        members = list(json.loads(line).items())
    except (ValueError, AttributeError):
        return line
    draw.shuffle(members)
    return json.dumps(dict(members)).encode() + b"\n"


EDITS = {
    "delete a line": delete_line,
    "duplicate a line": duplicate_line,
    "swap lines": swap_lines,
    "flip a bit": flip_bit,
    "another number": replace_match(rb"\d+", lambda draw, text: str(draw.randrange(10 ** len(text))).encode()),
    "another word": replace_match(rb"[a-z]{3,}", lambda draw, text: text[::-1]),
    "another letter": replace_match(b"|".join(map(re.escape, LETTERS)), lambda draw, text: LETTERS[text]),
    "another type": replace_match(rb":\d+", lambda draw, text: b':"' + text[1:] + b'"'),
    "a huge number": replace_match(rb":\d+", lambda draw, text: b":" + b"9" * draw.choice((20, 400, 5000))),
    "no number": replace_match(rb":\d+", lambda draw, text: draw.choice((b":NaN", b":-Infinity", b":1e999", b":-1"))),
    "a key twice": replace_match(rb'"[a-z_]+":\d+', lambda draw, text: text + b"," + text),
    "nested": replace_match(rb":\d+", lambda draw, text: b":" + b"[" * 2000 + b"]" * 2000),
    "cut": lambda draw, content: content[: draw.randrange(len(content))],
    "NUL bytes": lambda draw, content: content[: (at := draw.randrange(len(content)))] + b"\0" * 9 + content[at:],
    "not UTF-8": replace_match(rb"[a-z]", lambda draw, text: b"\xff"),
    "other keys first": on_a_line(reorder_keys),
    "spaces": on_a_line(lambda draw, line: line.replace(b'":', b'": ')),
    "CRLF": on_a_line(lambda draw, line: line[:-1] + b"\r\n"),
    "an empty line": on_a_line(lambda draw, line: line + b"\n"),
    "broken in two": replace_match(rb",", lambda draw, text: b",\n"),
    "emptied": lambda draw, content: b"",
}


class TellingJudge(FunctionEngine):
    """Says something about its server before it answers for the first time."""

    def hear(self, on_note):
        self.note = on_note

    async def generate(self, requests):
        async for generation in super().generate(requests):
            self.note("the server is slow")
            yield generation


def judge(folder, run):
    """Judge, or resume."""
    engine = TellingJudge(prefers("good"))
    source = load_pairs(folder / "pairs.jsonl")
    total = sum(1 for _ in source)
    plan = plan_judging(JudgeConfig(votes=2), engine)
    identity = {"data_sha256": source.fingerprint(), **plan.identity()}
    with RunDirectory(run, identity) as directory:
        unchanged = SourceGuard(source, source.fingerprint(), total).check
        judging = JudgeRun(engine, plan, directory, total_pairs=total, unchanged=unchanged)
        asyncio.run(judging.conclude(source))


TOLD = 30


def distil(folder, run):
    """Distil in two passes, or resume; returns the tokens that this process spent."""
    config = DistillConfig(teacher="test/teacher", repairer="test/repairer", max_total_tokens=100_000, max_tokens=100)
    begun = (run / "pass1-faults.jsonl").exists()

    def teach(request):
        if not begun and request.id.startswith("p1/"):
            return Generation(request.id, "", "error", Usage(TOLD, 0), error="boom")
        return Generation(request.id, answer("A"), usage=Usage(TOLD, 0))

    def repair(request):
        return Generation(request.id, answer(request.comparison.gold), usage=Usage(TOLD, 0))

    teacher, repairer = FunctionEngine(teach), FunctionEngine(repair)
    writers = [
        Writer(one, plan_judging(config.judging("test/x", config.teacher_engine), one)) for one in (teacher, repairer)
    ]
    with RunDirectory(run, {"job": "distill"}) as directory:
        asyncio.run(DistillRun(load_pairs(folder / "pairs.jsonl"), *writers, config, directory).conclude())
    spent = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["spent_in_all"]["tokens"]
    asked = len(teacher.asked) + len(repairer.asked)
    (run / "spent").write_text(str(spent - asked * TOLD))  # what the run knows that earlier processes spent


EVALUATED = frozenset({0, 2, 4})
CHECKPOINT = 3


def training(kind):
    """A training that is killed after its last step, or goes on from its checkpoint."""
    step_kind, evaluation_kind, concluding = kind

    def train(folder, run):
        hardware = Hardware("cpu", "float32", packing=False, gradient_checkpointing=False, processes=1, rank=0)
        with RunDirectory(run, {"job": "train"}) as directory:
            if not (run / "checkpoints").exists():
                written = staging_folder(run / "checkpoints") / f"checkpoint-{CHECKPOINT}"
                written.mkdir()
                (written / "weights").write_bytes(b"w")
                commit(written, run / "checkpoints")
                done, opened = -1, TrainingRun(SftConfig(), hardware, run, directory, NullCallbacks())
            else:
                opened = TrainingRun(SftConfig(), hardware, run, directory, NullCallbacks())
                _, done = opened.find_checkpoint(EVALUATED)
            for step in range(done + 1, 5):
                for one, wanted in ((step_kind, step > 0), (evaluation_kind, step in EVALUATED)):
                    if wanted:
                        opened.record(made(one, step))
            content = concluding(opened.metrics(step_kind), opened.metrics(evaluation_kind)).to_json()
            directory.write_json("results.json", content)

    return train


def made(kind, step):
    """Metrics of a step: every number in them says which."""
    values = {field.name: step / 8 for field in dataclasses.fields(kind)}
    whole = {"step", "tokens", "supervised", "traces", "verdicts", "pairs"}
    values |= dict.fromkeys(whole & values.keys(), step)
    return kind(**values | ({"invalid_by_reason": {}} if "invalid_by_reason" in values else {}))


def sft_results(steps, evaluations):
    nothing = Tokenised([], [])
    return sft_evaluation.conclude(steps, evaluations, nothing, nothing, epochs=1.0, precision="float32")


def rl_results(steps, evaluations):
    return rl_evaluation.conclude(
        steps, evaluations, pairs=4, held_out=2, dropped_too_long=0, rows_per_step=8, precision="float32"
    )


def batches(folder, run):
    """Send three batches, of which one is answered and one was never accepted; or look at what is under way."""
    begun = run.exists()
    with RunDirectory(run, {"job": "batches"}) as directory, directory.ledger("teacher-batches.jsonl") as lines:
        ledger = BatchLedger(lines)
        for number in range(0 if begun else 3):
            ledger.prepare(f"token{number}", [f"{number}a", f"{number}b"])
            if number < 2:
                ledger.accept(f"token{number}", f"batch{number}")
        if not begun:
            ledger.take("token0", ["0a", "0b"])
        waiting = {key: ledger.batch_of(key) for key in ("0a", "0b", "1a", "1b", "2a", "2b")}
        lost = sorted(ledger.unaccepted())
    (run / "under-way.json").write_text(json.dumps([waiting, lost]))


WORK = {
    "judge": judge,
    "distill": distil,
    "sft": training((SftStepMetrics, SftEvalMetrics, sft_results)),
    "rl": training((RlStepMetrics, RlEvalMetrics, rl_results)),
    "batches": batches,
}
FILES = {
    "judge": (
        "run.json",
        "completions.jsonl",
        "completions.jsonl",
        "completions.jsonl",
        "results.json",
        "metrics.jsonl",
        "metrics.jsonl",
        "faults.jsonl",
        "ledgers.json",
    ),
    "distill": (
        "run.json",
        "pass1.jsonl",
        "pass1.jsonl",
        "pass1-faults.jsonl",
        "pass2.jsonl",
        "results.json",
        "traces.jsonl",
        "metrics.jsonl",
        "spent.jsonl",
        "spent.jsonl",
        "ledgers.json",
    ),
    "sft": ("run.json", "metrics.jsonl", "metrics.jsonl", "metrics.jsonl", "results.json"),
    "rl": ("run.json", "metrics.jsonl", "metrics.jsonl", "metrics.jsonl", "results.json"),
    "batches": ("run.json", "teacher-batches.jsonl", "teacher-batches.jsonl", "ledgers.json"),
}
RESULTS = {
    "judge": ("results.json",),
    "distill": ("results.json", "traces.jsonl", "rejected.jsonl", "spent"),
    "sft": ("results.json", "metrics.jsonl"),
    "rl": ("results.json", "metrics.jsonl"),
    "batches": ("under-way.json",),
}
JOURNALS = ("completions.jsonl", "pass1.jsonl", "pass2.jsonl")
REFUSED = {"judge": 4, "distill": 4, "sft": 4, "rl": 4, "batches": 2}
"""At least one of this many edits is refused."""


@pytest.mark.parametrize("job", WORK)
def test_an_edited_run_is_resumed_rightly_or_refused_by_file_and_line(tmp_path, job, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda file: None)  # thousands of runs need not survive a power cut
    with (tmp_path / "pairs.jsonl").open("w") as rows:
        for number in range(4):
            rows.write(
                json.dumps({"id": f"p{number}", "prompt": f"q{number}", "chosen": "good", "rejected": "bad"}) + "\n"
            )
    done = tmp_path / "done"
    WORK[job](tmp_path, done)
    WORK[job](tmp_path, done)  # what failed is asked again
    WORK[job](tmp_path, done)  # and what earlier processes spent is known
    expected = {name: (done / name).read_bytes() for name in RESULTS[job]}
    draw = random.Random(18)
    outcomes = Counter()
    for number in range(COUNTED[job]):
        name, edit = draw.choice(FILES[job]), draw.choice(list(EDITS))
        run = tmp_path / "run"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(done, run)
        before = (run / name).read_bytes()
        if not before:
            continue
        (run / name).write_bytes(EDITS[edit](draw, before))
        called = f"{number}: {edit} of {name}"
        try:
            WORK[job](tmp_path, run)
        except RunError as error:
            outcomes["refused"] += 1
            assert str(run) in str(error), called
            if name.endswith(".jsonl"):
                assert re.search(rf"{name}:\d+: ", str(error)), f"{called}: {error}"
            continue
        outcomes["resumed"] += 1
        assert {one: (run / one).read_bytes() for one in expected} == expected, called
        if name in JOURNALS:
            kept = [json.loads(line)["request"] for line in (run / name).read_bytes().splitlines()]
            assert len(set(kept)) == len(kept), called
    assert outcomes["refused"] > COUNTED[job] / REFUSED[job]
    assert outcomes["resumed"] > COUNTED[job] / 20


def test_deleting_the_line_that_a_message_names_is_enough(tmp_path):
    (tmp_path / "pairs.jsonl").write_text(
        "".join(json.dumps({"prompt": f"q{n}", "chosen": "good", "rejected": "bad"}) + "\n" for n in range(4))
    )
    judge(tmp_path, tmp_path / "run")
    expected = (tmp_path / "run" / "results.json").read_bytes()
    journal = tmp_path / "run" / "completions.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    lines[2], lines[5] = lines[2].replace("[[", "(("), lines[5].replace("pair", "pear")
    journal.write_text("".join(lines))
    for number in (3, 5):  # the sixth line is the fifth once the third is gone
        with pytest.raises(RunError, match=rf"completions\.jsonl:{number}: .*delete the line") as refused:
            judge(tmp_path, tmp_path / "run")
        lines = journal.read_text().splitlines(keepends=True)
        named = int(re.search(r"jsonl:(\d+)", str(refused.value))[1])
        journal.write_text("".join(lines[: named - 1] + lines[named:]))
    judge(tmp_path, tmp_path / "run")
    assert (tmp_path / "run" / "results.json").read_bytes() == expected
