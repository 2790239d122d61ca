"""Saved data sets, and those of the hub; the hub itself is replaced by a builder over local files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import datasets
import pytest

from rmr1.data import load_pairs
from rmr1.data.hub import HubAddress, hub_error, parse_address
from rmr1.errors import DataError, DownloadError, MissingExtraError

ROWS = [{"prompt": f"p{n}", "chosen": [{"role": "assistant", "content": "a"}], "rejected": "b"} for n in range(300)]


@pytest.fixture(autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "one")
    splits = {"train": datasets.Dataset.from_list(ROWS), "test": datasets.Dataset.from_list(ROWS[:7])}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "two")
    return tmp_path


def test_saved_data_set(saved: Path) -> None:
    source = load_pairs(saved / "one")
    pairs = list(source)
    assert pairs == list(source)
    assert [pair.prompt[0].content for pair in pairs] == [row["prompt"] for row in ROWS]
    assert (pairs[0].response_a[0].content, pairs[0].id) == ("a", "row-0")
    assert len(source.fingerprint()) == 64


def test_saved_splits(saved: Path) -> None:
    assert len(list(load_pairs(f"{saved}/two#test"))) == 7
    assert load_pairs(f"{saved}/two#train").fingerprint() == load_pairs(f"{saved}/one").fingerprint()
    with pytest.raises(DataError) as caught:
        load_pairs(f"{saved}/two")
    assert str(caught.value) == f"{saved}/two: several splits (test, train); name one: {saved}/two#test"
    with pytest.raises(DataError, match='no split "dev"; it has: test, train'):
        load_pairs(f"{saved}/two#dev")
    with pytest.raises(DataError, match="without splits; leave out #train"):
        load_pairs(f"{saved}/one#train")


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder without data files"):
        load_pairs(tmp_path)


def test_bad_rows_of_a_saved_data_set_are_numbered(tmp_path: Path) -> None:
    rows = [{"prompt": "x", "chosen": "a", "rejected": "b"}, {"prompt": "x", "chosen": "a", "rejected": None}]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "bad")
    with pytest.raises(DataError, match=r'bad: row 2: "rejected" is missing; drop the row'):
        list(load_pairs(tmp_path / "bad"))


def test_a_damaged_saved_data_set(saved: Path) -> None:
    for file in (saved / "one").glob("*.arrow"):
        file.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read as a saved data set"):
        load_pairs(saved / "one")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hf:o/n", HubAddress("o/n")),
        ("hf:o/n:c", HubAddress("o/n", config="c")),
        ("hf:o/n@refs/pr/1", HubAddress("o/n", revision="refs/pr/1")),
        ("hf:o/n:c@v1#train", HubAddress("o/n", "c", "v1", "train")),
        ("hf:o/n#test", HubAddress("o/n", split="test")),
    ],
)
def test_addresses(text: str, address: HubAddress) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["hf:", "hf::c", "hf:o/n:", "hf:o/n#"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(DataError, match=r"not an address of the form hf:OWNER/NAME"):
        load_pairs(text)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    files = {}
    for split, rows in {"train": ROWS, "test": ROWS[:7]}.items():
        path = tmp_path / f"{split}.parquet"
        datasets.Dataset.from_list(rows).to_parquet(path)
        files[split] = str(path)
    local = datasets.load_dataset_builder("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    asked: list[Any] = []

    def load(path: str, name: str | None = None, *, revision: str | None = None) -> Any:
        asked.append((path, name, revision))
        return local

    monkeypatch.setattr(datasets, "load_dataset_builder", load)
    return asked


def test_hub_data_set_is_streamed_and_resolved_once(hub: list[Any]) -> None:
    source = load_pairs("hf:o/n:c@v1#test")
    pairs = list(source)
    assert pairs == list(source)
    assert [len(pairs), pairs[6].prompt[0].content] == [7, "p6"]
    assert source.shape.describe().startswith("hf:o/n:c@v1#test: prompt/chosen/rejected")
    assert source.fingerprint() != load_pairs("hf:o/n:c@v1#train").fingerprint()
    assert source.fingerprint() == load_pairs("hf:o/n:c@v1#test").fingerprint()
    assert hub == [("o/n", "c", "v1")] * 3


def test_hub_splits_must_be_named(hub: list[Any]) -> None:
    with pytest.raises(DataError, match=r"hf:o/n: several splits \(train, test\); name one: hf:o/n#train"):
        load_pairs("hf:o/n")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (FileNotFoundError("no such data set"), DataError),
        (ValueError("Config name is missing"), DataError),
        (ConnectionError("no route"), DownloadError),
        (RuntimeError("odd"), DownloadError),
    ],
)
def test_hub_faults(monkeypatch: pytest.MonkeyPatch, fault: Exception, expected: type[Exception]) -> None:
    def load(*_: Any, **__: Any) -> Any:
        raise fault

    monkeypatch.setattr(datasets, "load_dataset_builder", load)
    with pytest.raises(expected, match=r"^hf:o/n: "):
        load_pairs("hf:o/n")


def test_without_datasets_the_extra_is_named(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    for path in ("hf:o/n", f"{saved}/one"):
        with pytest.raises(MissingExtraError, match=r"pip install 'rmr1\[hub\]'"):
            load_pairs(path)


@pytest.mark.parametrize("error", [DataError("no such split"), DownloadError("hf:x/y: the hub cannot be read")])
def test_what_is_told_once_is_not_told_again(error):
    assert hub_error("hf:x/y: row 1", error) is error
