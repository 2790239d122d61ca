"""Conversations come back from every way of writing them, labels mirror with their sides, and no text is lost."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from rmr1.data import load_pairs
from rmr1.errors import DataError
from rmr1.records import PreferencePair
from rmr1.sides import pair_side

text = st.text(
    st.one_of(
        st.sampled_from("{}[]'\",;\t\n\u2028\\<|:"), st.characters(codec="utf-8", categories=["L", "N", "P", "Z"])
    ),
    min_size=1,
    max_size=40,
).filter(str.strip)
turns = st.lists(st.tuples(text, text), min_size=1, max_size=3)
SETTINGS = settings(max_examples=60, deadline=None)


def read(content: str, suffix: str, **options: Any) -> list[PreferencePair]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"pairs{suffix}"
        path.write_text(content, encoding="utf-8", newline="")
        return list(load_pairs(path, **options))


def shown(pair: PreferencePair) -> list[list[tuple[str, str]]]:
    return [[(turn.role, turn.content) for turn in side] for side in (pair.prompt, pair.response_a, pair.response_b)]


def conversation(shared: list[tuple[str, str]], response: str) -> list[dict[str, str]]:
    said = [part for pair in shared for part in zip(("user", "assistant"), pair, strict=True)][:-1]
    return [{"role": role, "content": content} for role, content in [*said, ("assistant", response)]]


@SETTINGS
@given(shared=turns, chosen=text, rejected=text, way=st.sampled_from(["json", "pandas", "python"]))
def test_conversations_come_back_from_cells(
    shared: list[tuple[str, str]], chosen: str, rejected: str, way: str
) -> None:
    sides = [conversation(shared, response) for response in (chosen, rejected)]
    if way == "pandas":
        content = pd.DataFrame([{"chosen": sides[0], "rejected": sides[1]}]).to_csv(index=False)
    else:
        out = io.StringIO()
        writer = csv.writer(out)
        write = json.dumps if way == "json" else repr
        writer.writerows([["chosen", "rejected"], [write(side) for side in sides]])
        content = out.getvalue()
    (pair,) = read(content, ".csv")
    expected = [(turn["role"], turn["content"]) for turn in sides[0][:-1]]
    assert shown(pair) == [expected, [("assistant", chosen)], [("assistant", rejected)]]


@SETTINGS
@given(shared=turns, chosen=text, rejected=text, end=st.sampled_from(["\n", "\r\n"]), bom=st.booleans())
def test_transcripts_come_back(shared: list[tuple[str, str]], chosen: str, rejected: str, end: str, bom: bool) -> None:
    def flat(said: str) -> str:
        return " ".join(said.split())

    start = "".join(f"\n\nHuman: {flat(q)}\n\nAssistant: {flat(a)}" for q, a in shared[:-1])
    start += f"\n\nHuman: {flat(shared[-1][0])}\n\nAssistant:"
    start = ("\ufeff" if bom else "") + start.replace("\n", end)
    row = {"chosen": f"{start} {flat(chosen)}", "rejected": f"{start} {flat(rejected)}"}
    (pair,) = read(json.dumps(row), ".jsonl")
    asked = [("user", flat(q)) for q, _ in shared]
    answered = [("assistant", flat(a)) for _, a in shared[:-1]]
    expected = [turn for pair in zip(asked, answered, strict=False) for turn in pair] + asked[len(answered) :]
    assert shown(pair) == [expected, [("assistant", flat(chosen))], [("assistant", flat(rejected))]]
    (alone,) = read(json.dumps({"prompt": start, "response_a": chosen, "response_b": rejected}), ".jsonl")
    assert shown(alone) == [expected, [("assistant", chosen)], [("assistant", rejected)]]


@SETTINGS
@given(prompt=text, a=text, b=text)
def test_plain_texts_stay_as_they_are(prompt: str, a: str, b: str) -> None:
    (pair,) = read(json.dumps({"prompt": prompt, "response_a": a, "response_b": b}), ".jsonl")
    assert shown(pair) == [[("user", prompt)], [("assistant", a)], [("assistant", b)]]


labels = st.one_of(
    st.sampled_from(
        ["A", "b", "model_a", "model_b", "A>B", "A>>B", "B>A", "tie", "tie (bothbad)", "C", "A=B", "", None]
    ),
    st.integers(-4, 4),
    st.sampled_from([0.5, -1.0, 2.0, "x", True]),
)
SWAPPED = str.maketrans("ABab", "BAba")
RULES = [
    ({}, lambda label: label.translate(SWAPPED) if isinstance(label, str) and "b" in label.lower() + "b" else label),
    ({"label": "label", "label_a": "negative", "label_b": "positive"}, lambda label: -label),
    (
        {"label": "label", "label_a": "1", "label_b": "2", "label_tie": "3"},
        lambda label: {1: 2, 2: 1}.get(label, label),
    ),
]


@SETTINGS
@given(label=labels, rule=st.integers(0, 2))
def test_labels_mirror_with_their_sides(label: Any, rule: int) -> None:
    columns, mirror = RULES[rule]
    if rule and not (isinstance(label, int | float) and not isinstance(label, bool)):
        return
    if isinstance(label, str) and ("tie" in label or label == "x" or "model" in label):
        mirrored = {"model_a": "model_b", "model_b": "model_a"}.get(label, label)
    else:
        mirrored = mirror(label)

    def read_label(value: Any) -> Any:
        try:
            (pair,) = read(
                json.dumps({"prompt": "Hi", "response_a": "x", "response_b": "y", "label": value}),
                ".jsonl",
                columns=columns,
            )
        except DataError:
            return "refused"
        return pair.label

    first, second = read_label(label), read_label(mirrored)
    if "refused" in (first, second):
        assert first == second
    else:
        assert second == pair_side(first, "ba")
