"""Folders and patterns of files are one source, in the order of their names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rmr1.data import load_pairs
from rmr1.errors import DataError


def shard(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"prompt": name, "chosen": "a", "rejected": "b"} for name in names]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def prompts(source: object) -> list[str]:
    return [pair.prompt[0].content for pair in load_pairs(str(source))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (2, 0, 1):
        shard(tmp_path / "set" / "data" / f"train-{number:05}-of-00003.jsonl", f"p{number}", f"q{number}")
    (tmp_path / "set" / "README.md").write_text("about")
    (tmp_path / "set" / "data" / "dataset_info.json").write_text("{}")
    return tmp_path / "set"


def test_all_files_in_order(folder: Path) -> None:
    expected = ["p0", "q0", "p1", "q1", "p2", "q2"]
    for source in (folder, folder / "data", f"{folder}/data/*.jsonl", f"{folder}/**/train-*.jsonl", f"{folder}#train"):
        assert prompts(source) == expected
    ids = [pair.id for pair in load_pairs(folder)]
    assert ids == [f"row-{number}" for number in range(6)]
    before = load_pairs(folder).fingerprint()
    shard(folder / "data" / "train-00002-of-00003.jsonl", "other")
    assert load_pairs(folder).fingerprint() != before


def test_a_bad_row_is_named_by_its_file(folder: Path) -> None:
    path = folder / "data" / "train-00001-of-00003.jsonl"
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(DataError, match=r'train-00001-of-00003\.jsonl:3: "chosen" is missing'):
        prompts(folder)


def test_several_splits_and_formats_are_not_mixed(folder: Path) -> None:
    shard(folder / "data" / "test-0.jsonl", "t")
    with pytest.raises(DataError, match=r"files of several splits \(test, train\); name one: .*set#test"):
        prompts(folder)
    assert prompts(f"{folder}#test") == ["t"]
    with pytest.raises(DataError, match='no files of a split "dev"; it has: test, train'):
        prompts(f"{folder}#dev")
    (folder / "data" / "test-1.csv").write_text("prompt,chosen,rejected\nx,a,b\n")
    with pytest.raises(DataError, match=r"files of several formats \(\.csv, \.jsonl\); name those that are meant"):
        prompts(f"{folder}#test")


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder without data files"):
        load_pairs(tmp_path)
    with pytest.raises(DataError, match="no file has such a name"):
        load_pairs(tmp_path / "*.jsonl")
