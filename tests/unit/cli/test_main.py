"""Exit codes and one-line errors of the command line."""

import errno
import io
import itertools
import json
import os
from pathlib import Path

import pytest

from rmr1.cli.main import main


def run(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["rmr1", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("juge",), "rmr1: No such command 'juge'. Did you mean 'judge'? (see rmr1 --help)"),
        (("judge",), "rmr1: Missing argument 'source' (see rmr1 judge --help)"),
        (
            ("judge", "x", "--vots", "3"),
            "rmr1: No such option: --vots (Possible options: --votes) (see rmr1 judge --help)",
        ),
        (("judge", "x", "--votes", "0"), "rmr1: --votes 0: should be greater than or equal to 1"),
        (("sft",), "rmr1: Missing option '--data' (see rmr1 sft --help)"),
        (("judge", "x", "--config", "nope.yaml"), "rmr1: nope.yaml: No such file or directory; check the path"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_code_2(monkeypatch, capsys, words, message):
    assert run(monkeypatch, *words) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{message}\n")


def test_help_is_data_and_its_absence_is_not(monkeypatch, capsys):
    assert run(monkeypatch, "--help") == 0
    assert "quickstart" in capsys.readouterr().out
    assert run(monkeypatch) == 2
    out, err = capsys.readouterr()
    assert (out, "quickstart" in err) == ("", True)


def test_an_interruption_says_how_to_continue(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("rmr1.cli.judge.judge_and_print", interrupt)
    assert run(monkeypatch, "judge", "pairs.jsonl") == 130
    assert capsys.readouterr().err.splitlines()[-1] == "rmr1: interrupted; run the same command again to continue"


def write_inputs(folder):
    rows = [{"id": f"p{n}", "prompt": f"q{n}", "chosen": "good", "rejected": f"bad {n}"} for n in range(3)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answers = [
        {"request": f"{name}p{n}/{order}/0", "text": f"[[{side}]]"}
        for name in ("", "pairs.jsonl/no category/")
        for n in range(3)
        for order, side in ORDERS
    ]
    (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))


ORDERS = (("ab", "A"), ("ba", "B"))
FAULTS = itertools.cycle((errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO, errno.EDQUOT))
COMMANDS = {
    "judge": ("judge", "pairs.jsonl", "--model", "replay/answers.jsonl", "--run", "run"),
    "distill": ("distill", "pairs.jsonl", "--teacher", "replay/answers.jsonl", "--run", "run"),
    "data": ("data", "pairs.jsonl", "--out", "run", "--set", "splits.all=1"),
    "eval": ("eval", "--bench", "custom", "--data", "pairs.jsonl", "--model", "replay/answers.jsonl", "--run", "run"),
}


class FailingDisk:
    """Every call that writes is counted; the one with the number ``fails`` fails."""

    def __init__(self, monkeypatch, fails=None):
        self.calls, self.fails = 0, fails
        for module, name in ((os, "write"), (os, "mkdir"), (os, "replace"), (os, "open"), (io, "open")):
            monkeypatch.setattr(module, name, self.counting(getattr(module, name), name))

    def counting(self, function, name):
        def call(place, *arguments, **named):
            reads = name == "open" and not any("w" in str(one) for one in arguments[:1]) and function is io_open
            if reads or (function is os_open and not arguments[0] & os.O_CREAT) or place in (1, 2):
                return function(place, *arguments, **named)
            self.calls += 1
            if self.calls == self.fails:
                number = next(FAULTS)
                raise OSError(number, os.strerror(number))
            return function(place, *arguments, **named)

        return call


io_open, os_open = io.open, os.open


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_disk_that_fails_at_any_write_is_told_and_the_command_can_be_run_again(verb, tmp_path, monkeypatch, capfd):
    def work(folder, fails=None):
        folder.mkdir(exist_ok=True)
        write_inputs(folder)
        with monkeypatch.context() as patched:
            patched.chdir(folder)
            disk = FailingDisk(patched, fails)
            return run(patched, *COMMANDS[verb]), disk.calls

    monkeypatch.setattr("os.fsync", lambda file: None)
    code, calls = work(tmp_path / "whole")
    assert code == 0, capfd.readouterr().err
    expected = (tmp_path / "whole" / "run" / "results.json").read_bytes()
    assert calls > 5
    for fails in range(1, calls + 1, 1 + calls // 20):
        folder = tmp_path / str(fails)
        capfd.readouterr()
        code, _ = work(folder, fails)
        err = capfd.readouterr().err
        assert "Traceback" not in err
        if code:  # else there was another way, as for a temporary file
            assert code == 1, f"{fails}: {err}"
            assert err.splitlines()[-1].startswith("rmr1: run"), f"{fails}: {err}"
        assert work(folder)[0] == 0, capfd.readouterr().err
        assert (folder / "run" / "results.json").read_bytes() == expected


@pytest.mark.parametrize(
    ("prepare", "words", "told"),
    [
        (lambda: Path("run").touch(), (), "run: File exists; a file is where a directory has to be"),
        (lambda: Path("run/completions.jsonl").mkdir(parents=True), (), "run/completions.jsonl: Is a directory"),
        (lambda: Path("run/report.html/x").mkdir(parents=True), (), "run/report.html: Is a directory"),
        (lambda: Path("run/run.json").mkdir(parents=True), (), "run: not a run directory (Is a directory)"),
        (lambda: Path("run").symlink_to("nowhere/x"), (), "run: "),
        (lambda: None, ("--run", "x" * 300), "File name too long; choose a shorter name"),
        (lambda: Path("loop").symlink_to("loop"), ("--config", "loop"), "loop: Too many levels of symbolic links"),
        (lambda: None, ("--config", "."), ".: Is a directory; give a file, not a directory"),
        (lambda: Path("loop").symlink_to("loop"), ("--run", "loop"), "loop: "),
    ],
)
def test_paths_that_are_something_else(prepare, words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    prepare()
    assert run(monkeypatch, *COMMANDS["judge"], *words) in (1, 2)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("rmr1: ")
    assert told in last


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("judge", "pairs.jsonl", "--model", "smollm2-135m-instrct"), 'did you mean "smollm2-135m-instruct"?'),
        (("judge", "pairs.jsonl", "--model", "opneai/gpt-4o"), 'did you mean "openai/gpt-4o"?'),
        (
            ("judge", "pairs.jsonl", "--model", "replay/answers.jsonl", "--template", "cor-breif"),
            'did you mean "cor-brief"?',
        ),
        (("judge", "pairs.jsonl", "--model", "replay/answers.jsonl", "--rule", "defalt"), 'did you mean "default"?'),
        (
            ("eval", "--bench", "rewardbnech", "--data", ".", "--model", "replay/answers.jsonl"),
            'did you mean "rewardbench"?',
        ),
        (("pull", "smolm2-135m-instruct"), 'did you mean "smollm2-135m-instruct"?'),
        (("sft", "--data", "pairs.jsonl", "--recipe", "qwen2.5-7b-instrct"), 'did you mean "qwen2.5-7b-instruct"?'),
        (("report", "run", "--protocol", "offical"), 'did you mean "official"?'),
        (("report", "run", "--format", "htlm"), 'did you mean "html"?'),
    ],
)
def test_a_mistyped_name_offers_the_nearest(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    assert run(monkeypatch, *words) in (1, 2)
    assert told in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("error", [RecursionError("x"), MemoryError()])
def test_what_overwhelms_the_machine_is_one_line(error, monkeypatch, capsys):
    def fail(*_):
        raise error

    monkeypatch.setattr("rmr1.cli.judge.judge_and_print", fail)
    assert run(monkeypatch, "judge", "pairs.jsonl") == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
