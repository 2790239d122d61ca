"""Whatever texts a pair holds, they come back unchanged from every format; and orders can be undone."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmr1.data import load_pairs
from rmr1.records import Message, PreferencePair
from rmr1.sides import random_order, show

text = st.text(
    st.one_of(st.sampled_from('{}[]",;\t\r\n\u2028\u0085\ufeff\\<|'), st.characters(codec="utf-8")), max_size=60
)
prompt = text.filter(str.strip)
rows = st.lists(st.fixed_dictionaries({"prompt": prompt, "chosen": prompt, "rejected": text}), min_size=1, max_size=5)
conversation = st.lists(st.tuples(prompt, text), min_size=1, max_size=3)

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, kind: str, content: list[dict[str, Any]], *, ascii_only: bool = False) -> None:
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(content), path)
    elif kind == "json":
        path.write_text(json.dumps(content, ensure_ascii=ascii_only), encoding="utf-8", newline="")
    elif kind == "jsonl":
        lines = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in content)
        path.write_text(lines, encoding="utf-8", newline="")
    else:
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, ["prompt", "chosen", "rejected"], delimiter="\t" if kind == "tsv" else ",")
            writer.writeheader()
            writer.writerows(content)


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv", "parquet"])
@SETTINGS
@given(content=rows, ascii_only=st.booleans(), zipped=st.booleans())
def test_texts_survive_every_format(
    tmp_path: Path, kind: str, content: list[dict[str, str]], ascii_only: bool, zipped: bool
) -> None:
    path = tmp_path / "spooled"
    write(path, kind, content, ascii_only=ascii_only)
    if zipped and kind != "parquet":
        path.write_bytes(gzip.compress(path.read_bytes()))
    read = [
        {"prompt": pair.prompt[0].content, "chosen": pair.response_a[0].content, "rejected": pair.response_b[0].content}
        for pair in load_pairs(path)
    ]
    assert read == content


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@SETTINGS
@given(shared_turns=conversation, chosen=text, rejected=prompt)
def test_whole_conversations_are_cut_where_they_part(
    tmp_path: Path, kind: str, shared_turns: list[tuple[str, str]], chosen: str, rejected: str
) -> None:
    turns = [
        {"role": role, "content": content}
        for pair in shared_turns
        for role, content in zip(("user", "assistant"), pair, strict=True)
    ][:-1]
    ends = [[*turns, {"role": "assistant", "content": response}] for response in (chosen, rejected)]
    write(tmp_path / "p", kind, [{"chosen": ends[0], "rejected": ends[1]}])
    (pair,) = load_pairs(tmp_path / "p")
    assert [(turn.role, turn.content) for turn in pair.prompt] == [(turn["role"], turn["content"]) for turn in turns]
    assert (pair.response_a[0].content, pair.response_b[0].content) == (chosen, rejected)


@SETTINGS
@given(question=prompt, a=text, b=prompt)
def test_rendered_judge_prompts_are_read_back(tmp_path: Path, question: str, a: str, b: str) -> None:
    rendered = (
        f"[Client Question]\n{question}\n\n[The Start of Chatbot A's Response]\n{a}\n[The End of Chatbot A's Response]"
        f"\n\n[The Start of Chatbot B's Response]\n{b}\n[The End of Chatbot B's Response]"
    )
    row = {"context_messages": [{"role": "user", "content": rendered}], "winner": "model_b"}
    (tmp_path / "p").write_text(json.dumps(row), encoding="utf-8")
    (pair,) = load_pairs(tmp_path / "p")
    assert (pair.prompt[0].content, pair.response_a[0].content, pair.response_b[0].content) == (question, a, b)


@given(a=text, b=text, label=st.sampled_from(["A", "B", None]), vote=st.integers(0, 9))
def test_swapping_twice_gives_the_pair_back(a: str, b: str, label: Any, vote: int) -> None:
    sides = ((Message("assistant", a),), (Message("assistant", b),))
    pair = PreferencePair("p", (Message("user", "Hi"),), *sides, label)
    once = show(pair, "ba", vote)
    swapped = PreferencePair("p", once.prompt, once.shown_a, once.shown_b, once.gold)
    twice = show(swapped, "ba", vote)
    straight = show(pair, "ab", vote)
    assert (twice.shown_a, twice.shown_b, twice.gold) == (straight.shown_a, straight.shown_b, straight.gold)
    assert (straight.shown_a, straight.shown_b, straight.gold) == (*sides, label)


@given(pair_id=st.text(max_size=20), seed=st.integers(-(2**70), 2**70))
def test_orders_are_a_function_of_id_and_seed(pair_id: str, seed: int) -> None:
    assert random_order(pair_id, seed) == random_order(pair_id, seed)
    assert {random_order(f"{pair_id}{number}", seed) for number in range(64)} == {"ab", "ba"}
