"""Exit codes and one-line errors of the command line."""

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
