"""Lines about a training where there is no terminal."""

import io

from rmr1.report.progress import TrainingProgress, duration
from rmr1.results import SftEvalMetrics, SftStepMetrics


def step(number, loss=2.0):
    return SftStepMetrics(number, loss, 1e-4, 1.0, number / 100, tokens=500, supervised=100, seconds=2.0)


def test_the_first_steps_and_the_last_are_told_at_once_and_the_rest_now_and_then():
    stream = io.StringIO()
    with TrainingProgress("SFT", stream) as progress:
        progress.started(100, 0)
        for number in range(1, 101):
            progress.stepped(step(number))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "SFT step 1 of 100, loss 2.000, lr 1.0e-04, 250 tokens/s, 3 min 18 s left"
    assert [line.split()[2] for line in lines] == ["1", "2", "3", "100"]


def test_resuming_and_evaluations_are_told():
    stream = io.StringIO()
    with TrainingProgress("SFT", stream) as progress:
        progress.started(100, 40)
        progress.evaluated(SftEvalMetrics(40, 1.25, 0.75, 0.7, 8, 8))
        progress.evaluated(SftEvalMetrics(40, 1.25, None, None, 8, 0))
    assert stream.getvalue().splitlines() == [
        "resuming: 40 of 100 steps are already done",
        "SFT step 40, held out: loss 1.250, right verdict letter likelier in 75 %",
        "SFT step 40, held out: loss 1.250",
    ]


def test_a_limit_of_time_bounds_what_is_left():
    stream = io.StringIO()
    with TrainingProgress("SFT", stream) as progress:
        progress.started(100, 0, limit_s=5.0)
        for number in (1, 2, 3):
            progress.stepped(step(number))
    assert [line.split(", ")[-1] for line in stream.getvalue().splitlines()] == ["3 s left", "1 s left", "0 s left"]
    assert stream.getvalue().startswith("SFT step 1 of at most 100, ")


def test_durations():
    assert [duration(seconds) for seconds in (5, 65, 3700)] == ["5 s", "1 min 5 s", "1 h 1 min"]
