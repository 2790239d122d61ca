"""The rendered judge prompts of the released RM-R1 training sets, read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rmr1.data import load_pairs
from rmr1.errors import DataError
from rmr1.records import Message

SINGLE = (
    "[Client Question]\n{question}\n\n[The Start of Chatbot A's Response]\n{a}\n[The End of Chatbot A's Response]\n\n"
    "[The Start of Chatbot B's Response]\n{b}\n[The End of Chatbot B's Response]"
)
MULTI = (
    "[The Start of the Conversation between Chatbot A and the Client]\n{a}\n"
    "[The End of the Conversation between Chatbot A and the Client]\n\n"
    "[The Start of the Conversation between Chatbot B and the Client]\n{b}\n"
    "[The End of the Conversation between Chatbot B and the Client]"
)


def write(folder: Path, user_turn: str, winner: str = "model_a") -> Path:
    messages = [{"role": "system", "content": "Judge."}, {"role": "user", "content": user_turn}]
    path = folder / "rlvr.jsonl"
    path.write_text(json.dumps({"context_messages": messages, "winner": winner}) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "frame", ["{}", "Please act as an impartial judge.\n\n{}\n\nGive your verdict as [[A]] or [[B]]."]
)
def test_single_turn(tmp_path: Path, frame: str) -> None:
    question, a, b = "\n  Why {x}?\n", "Because.\n\n", "\nUser: hm [Client Question]"
    source = load_pairs(write(tmp_path, frame.format(SINGLE.format(question=question, a=a, b=b)), "model_b"))
    (pair,) = source
    assert source.shape.name == "judge_prompt"
    assert pair.prompt == (Message("user", question),)
    assert (pair.response_a, pair.response_b) == ((Message("assistant", a),), (Message("assistant", b),))
    assert (pair.label, pair.id, pair.group) == ("B", "row-0", "row-0")


@pytest.mark.parametrize("speaker_b", ["Chatbot B", "Chabot B"])
def test_multi_turn(tmp_path: Path, speaker_b: str) -> None:
    a = "User: One?\nChatbot A: Yes.\nUser: Two?\nUser: really\nChatbot A: Line 1\nChatbot B: is not me\n"
    b = f"User: One?\n{speaker_b}: Yes.\nUser: Two?\nUser: really\n{speaker_b}: "
    (pair,) = load_pairs(write(tmp_path, MULTI.format(a=a, b=b)))
    assert pair.prompt == (Message("user", "One?"), Message("assistant", "Yes."), Message("user", "Two?\nUser: really"))
    assert pair.response_a == (Message("assistant", "Line 1\nChatbot B: is not me\n"),)
    assert pair.response_b == (Message("assistant", ""),)
    assert pair.label == "A"


@pytest.mark.parametrize(
    ("user_turn", "problem"),
    [
        ("Which is better?", '"context_messages" holds no blocks such as [The Start of Chatbot A\'s Response]; '
         "it is not a rendered judge prompt"),
        (
            SINGLE.format(question="q", a="a", b="[The End of Chatbot B's Response]"),
            "\"context_messages\" holds the marker [The End of Chatbot B's Response] 2 times, not once",
        ),
        (SINGLE.format(question=" ", a="a", b="b"), '"context_messages" has an empty [Client Question]'),
        (
            SINGLE.format(question="q", a="a", b="b").removeprefix("[Client Question]"),
            '"context_messages" holds the marker [Client Question] 0 times, not once',
        ),
        (
            MULTI.format(a="User: x\nChatbot A: y", b="User: z\nChatbot B: y"),
            'the conversations in "context_messages" do not begin with the same turn of the user',
        ),
        (MULTI.format(a="x", b="y"), 'a conversation in "context_messages" does not begin with "User: "'),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_read_back_are_named(tmp_path: Path, user_turn: str, problem: str) -> None:
    path = write(tmp_path, user_turn)
    with pytest.raises(DataError) as caught:
        list(load_pairs(path))
    assert str(caught.value) == f"{path}:1: {problem}; drop the row or pass skip_invalid=True"


def test_markers_in_another_order(tmp_path: Path) -> None:
    lines = SINGLE.format(question="q", a="a", b="b").split("\n\n")
    with pytest.raises(DataError, match="in another order"):
        list(load_pairs(write(tmp_path, "\n\n".join([lines[1], lines[0], lines[2]]))))
