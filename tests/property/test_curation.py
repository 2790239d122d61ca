"""Whatever the rows are: no prompt crosses, the counts add up, and only content and seed decide."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rmr1.curation import curate, load_recipe
from rmr1.curation.intake import normalise_text
from rmr1.curation.selection import quotas
from rmr1.data import load_pairs, prompt_key, split_of, write_pairs
from rmr1.records import Message, PreferencePair
from rmr1.results import DataResults

short = st.text(st.sampled_from("ab \n\té"), max_size=4)
prompts = st.sampled_from(["Why?", "why? ", "WHY?", "How?", "Who\nis it?", "who is it?", "7", " 8"])
row = st.fixed_dictionaries(
    {
        "id": st.sampled_from("pqrstuvw"),
        "prompt": prompts,
        "chosen": short,
        "rejected": short,
        "category": st.sampled_from(["x", "y"]),
    }
)
tables = st.lists(st.lists(row, min_size=1, max_size=12), min_size=1, max_size=3)
text = st.text(st.characters(codec="utf-8"), max_size=40)
turns = st.lists(st.builds(Message, st.sampled_from(["user", "assistant", "tool"]), text), max_size=2).map(tuple)
answers = turns.map(lambda more: (Message("assistant", "x"), *more))
pairs = st.builds(
    PreferencePair,
    id=text.filter(bool),
    prompt=turns.map(lambda more: (*more, Message("user", "q"))),
    response_a=answers,
    response_b=answers,
    label=st.sampled_from(["A", "B", None]),
    group=text.filter(bool),
    category=text,
    extra=st.dictionaries(text, st.one_of(text, st.integers(), st.booleans()), max_size=3),
)


def files_of(tables: list[list[dict[str, Any]]], **content: Any) -> tuple[dict[str, bytes], DataResults]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, rows in enumerate(tables):
            (folder / f"s{number}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
        named = [{"path": str(folder / f"s{number}.jsonl")} for number in range(len(tables))]
        screens = {"empty": False, "identical": False, "near_duplicates": None, "duplicates": False}
        recipe = load_recipe(None, flags={"sources": named, "screens": screens, **content})
        results = curate(recipe, out=folder / "out").results
        return {path.name: path.read_bytes() for path in (folder / "out").glob("*.jsonl")}, results


def rows_in(content: bytes) -> list[PreferencePair]:
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(content)
        file.flush()
        return list(load_pairs(file.name, allow_empty=True)) if content else []


@settings(max_examples=40, deadline=None)
@given(tables=tables, orders=st.sampled_from(["random", "both", "given"]), seed=st.integers(0, 3))
def test_no_prompt_crosses_and_the_counts_add_up(tables: list[list[dict[str, Any]]], orders: str, seed: int) -> None:
    shares = {"train": 2, "dev": 1, "held_out": 1}
    files, results = files_of(tables, orders=orders, seed=seed, splits=shares, size=10)
    read = {name: rows_in(content) for name, content in files.items()}
    keys = {name: {prompt_key(pair.prompt) for pair in found} for name, found in read.items()}
    assert sum(len(found) for found in keys.values()) == len(set().union(*keys.values()))
    total = results.pairs
    assert total.read == sum(map(len, tables)) == total.kept + sum(total.dropped.values())
    assert total.kept == min(10, total.read)
    assert sum(len(found) for found in read.values()) == total.kept * (2 if orders == "both" else 1)


@settings(max_examples=40, deadline=None)
@given(tables=tables, chance=st.randoms(use_true_random=False), size=st.one_of(st.none(), st.integers(1, 12)))
def test_the_order_of_rows_decides_nothing(tables: list[list[dict[str, Any]]], chance: Any, size: int | None) -> None:
    screens = {"empty": False, "identical": False, "near_duplicates": None}
    first = files_of(tables, size=size, screens=screens) if _agree(tables) else None
    shuffled = [chance.sample(rows, len(rows)) for rows in tables]
    assert first is None or first == files_of(shuffled, size=size, screens=screens)


def _agree(tables: list[list[dict[str, Any]]]) -> bool:
    """Tell whether some pair survives the screen for contradictions: swapped responses of one prompt contradict each other."""
    said = {
        (prompt_key([Message("user", one["prompt"])]), one["chosen"].rstrip(), one["rejected"].rstrip())
        for rows in tables
        for one in rows
    }
    return any((key, worse, better) not in said for key, better, worse in said)


@given(
    prompt=st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), text), min_size=1, max_size=3)
)
def test_a_split_does_not_depend_on_how_a_prompt_is_written(prompt: list[Message]) -> None:
    shares = {"a": 1.0, "b": 1.0, "c": 1.0}
    spaced = [Message(turn.role, f" \n{turn.content}\t") for turn in prompt]
    assert split_of(prompt, shares) == split_of(spaced, shares)
    assert split_of(prompt, shares) == split_of(prompt, {name: 7 * share for name, share in shares.items()})


@given(text)
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise_text(text)
    assert normalise_text(once) == once


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(0.01, 100)), min_size=1, max_size=6),
    st.integers(1, 200),
)
def test_quotas_are_met_and_kept(sources: list[tuple[int, float]], size: int) -> None:
    available = [count for count, _ in sources]
    found = quotas(available, [weight for _, weight in sources], size)
    assert sum(found) == min(size, sum(available))
    assert all(0 <= count <= most for count, most in zip(found, available, strict=True))


@settings(deadline=None)
@given(st.lists(pairs, min_size=1, max_size=4))
def test_pairs_come_back_as_they_were(written: list[PreferencePair]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "pairs.jsonl"
        assert write_pairs(path, written) == len(written)
        assert list(load_pairs(path, unique_ids=False, allow_empty=True)) == written
