"""Metrics of a training, written to ``metrics.jsonl`` and read back."""

import json

import pytest

from rmr1.errors import ResultsError
from rmr1.results import RlEvalMetrics, SftEvalMetrics, SftStepMetrics, read_metrics

STEP = SftStepMetrics(
    step=1, loss=2.5, learning_rate=1e-5, grad_norm=0.5, epoch=0.1, tokens=100, supervised=40, seconds=1.25
)
HELD = SftEvalMetrics(step=0, loss=3.0, accuracy=None, p_gold=None, traces=4, verdicts=0)


def lines(*metrics):
    return [json.loads(json.dumps(each.to_json())) for each in metrics]


def test_lines_come_back_by_kind():
    written = lines(HELD, STEP)
    assert read_metrics(written, SftStepMetrics) == [STEP]
    assert read_metrics(written, SftEvalMetrics) == [HELD]


def test_a_loss_that_is_no_number_is_kept():
    (read,) = read_metrics([lines(STEP)[0] | {"loss": float("nan")}], SftStepMetrics)
    assert read.loss != read.loss


def test_a_line_of_another_stage_is_refused_with_what_it_lacks():
    with pytest.raises(ResultsError, match=r"metrics\.jsonl: .*accuracy.*train in a new --run"):
        read_metrics(lines(HELD), RlEvalMetrics)
