"""Reading traces, and holding some of them out."""

import json

import pytest

from rmr1.errors import DataError
from rmr1.training.sft.traces import read_traces, split_held_out
from tests.support.tiny_model import trace_row, write_traces


def test_a_row_of_distill_is_read(tmp_path):
    (trace, *_) = read_traces(write_traces(tmp_path / "t.jsonl", 2))
    assert (trace.id, trace.label, trace.group, trace.prompt[0].role) == ("p0/ab", "A", "g0", "system")
    assert trace.completion.endswith("<answer>[[A]]</answer>")


def test_bare_prompt_and_completion_are_enough_and_blank_lines_pass(tmp_path):
    row = {key: value for key, value in trace_row(0).items() if key in ("prompt", "completion")}
    path = tmp_path / "t.jsonl"
    path.write_text("\n" + json.dumps(row) + "\n\n")
    (trace,) = read_traces(path)
    assert (trace.id, trace.label, trace.group) == ("line-2", None, "line-2")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "t.jsonl:2: "),
        ('{"prompt": []}', "t.jsonl:2: prompt"),
        (json.dumps(trace_row(1) | {"completion": []}), "t.jsonl:2: completion"),
        (json.dumps(trace_row(1) | {"completion": [{"role": "user", "content": "x"}]}), "completion.0.role"),
        (json.dumps(trace_row(1) | {"completion": [{"role": "assistant", "content": ""}]}), "completion.0.content"),
        (json.dumps(trace_row(1) | {"label": "C"}), "label"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(trace_row(0)) + "\n" + line + "\n")
    with pytest.raises(DataError, match=message):
        read_traces(path)


def test_no_file_and_no_traces(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_traces(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="holds no traces"):
        read_traces(tmp_path / "empty.jsonl")


def test_no_prompt_is_trained_on_and_held_out(tmp_path):
    rows = [trace_row(number) | {"group": f"g{number // 2}"} for number in range(400)]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    traces = read_traces(path)
    training, held = split_held_out(traces, 0.2, seed=0)
    assert len(training) + len(held) == 400
    assert 40 < len(held) < 120
    assert not {trace.group for trace in training} & {trace.group for trace in held}
    assert split_held_out(traces, 0.2, seed=0) == (training, held)
    assert split_held_out(traces, 0.2, seed=1)[1] != held
    assert split_held_out(traces, 0.0, seed=0) == (traces, [])
