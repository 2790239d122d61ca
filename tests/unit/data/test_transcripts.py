r"""Conversations that were written into one text: the marks of chat templates go, and what looks like them stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmr1.data import load_pairs
from rmr1.data.transcripts import is_dialogue_prompt, read_dialogue, read_dialogue_prompt
from rmr1.errors import DataError

TEMPLATES = {
    "chatml": ("", "<|im_start|>{role}\n{text}<|im_end|>\n", "<|im_start|>assistant\n", "<|im_end|>"),
    "llama 3": (
        "<|begin_of_text|>",
        "<|start_header_id|>{role}<|end_header_id|>\n\n{text}<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|eot_id|>",
    ),
    "gemma": ("<bos>", "<start_of_turn>{role}\n{text}<end_of_turn>\n", "<start_of_turn>model\n", "<end_of_turn>\n"),
    "zephyr": ("", "<|{role}|>\n{text}</s>\n", "<|assistant|>\n", "</s>"),
    "phi": ("", "<|{role}|>\n{text}<|end|>\n", "<|assistant|>\n", "<|end|>\n<|endoftext|>"),
    "hashes": ("", "### {role}: {text}\n", "### Assistant:", ""),
}
WORDS = st.text(st.sampled_from("abc dé<|>#:\n."), min_size=1, max_size=20).filter(
    lambda text: text.strip() and "<|" not in text and "###" not in text
)


def written(name: str, turns: list[tuple[str, str]], *, open_turn: bool = True) -> str:
    begin, turn, opening, _ = TEMPLATES[name]
    roles = {"assistant": "model"} if name == "gemma" else {}
    texts = [turn.format(role=roles.get(role, role), text=text) for role, text in turns]
    return begin + "".join(texts) + (opening if open_turn else "")


def pair_of(folder: Path, **row: Any) -> list[list[tuple[str, str]]]:
    path = folder / "pairs.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (pair,) = load_pairs(path)
    return [[(turn.role, turn.content) for turn in turns] for turns in (pair.prompt, pair.response_a, pair.response_b)]


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_a_template_rendered_is_read_back(name: str, data: st.DataObject) -> None:
    questions = data.draw(st.lists(st.tuples(WORDS, WORDS), max_size=2))
    turns = [("system", data.draw(WORDS))] if data.draw(st.booleans()) else []
    turns += [turn for ask, answer in questions for turn in (("user", ask), ("assistant", answer))]
    turns.append(("user", data.draw(WORDS)))
    text = written(name, turns)
    assert is_dialogue_prompt(text)
    assert [(turn.role, turn.content) for turn in read_dialogue_prompt(text)] == [
        (role, text.strip()) for role, text in turns
    ]


@pytest.mark.parametrize("name", TEMPLATES)
def test_rendered_prompts_and_responses(tmp_path: Path, name: str) -> None:
    turns = [("user", "Hi"), ("assistant", "Hello"), ("user", "Name a prime.")]
    *_, end = TEMPLATES[name]
    expected = [turns, [("assistant", "7")], [("assistant", "8")]]
    assert pair_of(tmp_path, prompt=written(name, turns), chosen=f"7{end}", rejected=f"8{end}") == expected
    if name == "hashes":
        return
    sides = {
        side: written(name, [*turns, ("assistant", text)], open_turn=False)
        for side, text in (("chosen", "7"), ("rejected", "8"))
    }
    assert pair_of(tmp_path, **sides) == expected
    assert pair_of(tmp_path, prompt=written(name, turns), **sides) == expected
    with pytest.raises(DataError, match='"prompt" is not what the conversations begin with'):
        pair_of(tmp_path, prompt="Something else", **sides)


def test_a_response_with_its_opening_mark(tmp_path: Path) -> None:
    prompt = "<|im_start|>user\nHi<|im_end|>\n"
    opening = "<|im_start|>assistant\n"
    assert pair_of(tmp_path, prompt=prompt, chosen=f"{opening}a<|im_end|>\n", rejected=f"{opening}b") == [
        [("user", "Hi")],
        [("assistant", "a")],
        [("assistant", "b")],
    ]


@pytest.mark.parametrize(
    "text", ["What does <|im_start|>user mean?", "### User: what is that heading?", "## Assistant:"]
)
def test_text_that_speaks_of_marks_is_text(tmp_path: Path, text: str) -> None:
    read = pair_of(tmp_path, prompt=text, chosen="It ends with </s>", rejected="<|im_end|>")
    assert read == [[("user", text)], [("assistant", "It ends with </s>")], [("assistant", "<|im_end|>")]]


def test_the_marks_of_llama_2_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'"prompt" was rendered by a chat template \(\[INST\]\)'):
        pair_of(tmp_path, prompt="<s>[INST] Name a prime. [/INST]", chosen="7 </s>", rejected="8 </s>")


def test_a_transcript_may_begin_with_the_system(tmp_path: Path) -> None:
    start = "System: Be brief.\n\nHuman: Hi\n\nAssistant:"
    assert pair_of(tmp_path, prompt=start, chosen="a", rejected="b")[0] == [("system", "Be brief."), ("user", "Hi")]
    text = "System: Linux\n\nUser: it does not boot"
    assert pair_of(tmp_path, prompt=text, chosen="a", rejected="b")[0] == [("user", text)]


def test_many_turns_take_no_time() -> None:
    turns = read_dialogue("<|im_start|>user\nhi<|im_end|></s></s>\n" * 30_000)
    assert len(turns) == 30_000
    assert {turn.content for turn in turns} == {"hi"}
