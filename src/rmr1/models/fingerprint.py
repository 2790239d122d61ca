"""Which weights these are, without reading gigabytes: hashes of samples of files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

_WINDOWS = 64
_WINDOW_BYTES = 1 << 16
_WEIGHTS = (".safetensors", ".bin")
_TEXTS = ("config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja")


def file_fingerprint(path: Path) -> str:
    """Identify a file of weights: its size, and SHA-256 over windows that are spread evenly over it."""
    digest = hashlib.sha256()
    _sample(path, digest)
    return digest.hexdigest()[:32]


def folder_fingerprint(folder: Path) -> str:
    """Identify a Hugging Face folder: samples of all its weights, and the whole of what says how to use them."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _WEIGHTS:
            digest.update(path.name.encode())
            _sample(path, digest)
        elif path.name in _TEXTS:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _sample(path: Path, digest: Any) -> None:
    with path.open("rb") as content:
        size = content.seek(0, os.SEEK_END)
        digest.update(f":{size}:".encode())
        for window in range(_WINDOWS):
            content.seek(max(0, size - _WINDOW_BYTES) * window // (_WINDOWS - 1))
            digest.update(content.read(_WINDOW_BYTES))
