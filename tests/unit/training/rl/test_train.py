"""Which pairs reinforcement learning takes; what it does with them is tested as a command."""

import json

import pytest

from rmr1 import train_rl
from rmr1.errors import DataError, RMR1Error
from rmr1.runs import NullCallbacks


class Said(NullCallbacks):
    def __init__(self):
        self.messages = []

    def say(self, message):
        self.messages.append(message)


def write(path, winners):
    rows = [
        {"prompt": f"Name prime {number}.", "response_a": "7", "response_b": "8", "winner": winner}
        for number, winner in enumerate(winners)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("winners", [["tie"] * 3, [None] * 3, ["tie", "", "tie"]])
def test_pairs_without_a_side_are_no_data(tmp_path, winners):
    ties = winners.count("tie")
    counted = rf"\(3 pairs: {ties} ties, {3 - ties} without a label\)"
    with pytest.raises(DataError, match=f"no pair with a side as label {counted}"):
        train_rl(write(tmp_path / "p.jsonl", winners), model=str(tmp_path / "none"))


def test_what_is_left_out_is_said(tmp_path):
    said = Said()
    path = write(tmp_path / "p.jsonl", ["A", "tie", "B", "", "tie"])
    with pytest.raises(RMR1Error, match="none"):
        train_rl(path, model=str(tmp_path / "none"), callbacks=said)
    assert said.messages[0] == f"{path}: 2 ties and 1 pairs without a label are left out"
