"""From a run or a model folder to a file or folder that stands on its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rmr1.errors import ConfigError, ModelNotFoundError, RunError
from rmr1.export.model_card import write_model_card
from rmr1.files import expand_home, storage
from rmr1.models import cached_file, find_model
from rmr1.models.card import ModelCard, read_card
from rmr1.models.loading import hf_folder
from rmr1.results import RlResults, SftResults
from rmr1.runs import read_document, read_manifest

Format = Literal["gguf", "hf"]
WeightType = Literal["f16", "q8_0"]
_MODEL_FILES = (".json", ".safetensors", ".jinja", ".model", ".txt")


@dataclass(frozen=True, slots=True)
class ExportTask:
    """What to export, and as what.

    Args:
        source: A run of ``rmr1 sft`` or ``rmr1 rl``, a Hugging Face folder, or a catalogue name.
        out: The file or folder to write.
        format: "gguf" for llama.cpp, "hf" for a Hugging Face folder.
        type: Type of the weights of a GGUF file.
        base: A GGUF file of the same base model, for its metadata and tokenizer; the one that the model was trained from where not
            given.
        replace: Whether ``out`` may exist.
    """

    source: str
    out: Path
    format: Format = "gguf"
    type: WeightType = "f16"
    base: Path | None = None
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. ``size`` is in bytes."""

    path: Path
    format: Format
    size: int
    card: ModelCard


@dataclass(frozen=True, slots=True)
class _ExportSource:
    folder: Path
    card: ModelCard
    identity: Mapping[str, object] = field(default_factory=dict)
    results: SftResults | RlResults | None = None


def export_model(task: ExportTask) -> Exported:
    """Write a model as a GGUF file or as a folder with a model card; what is there at the end is whole.

    Raises:
        ConfigError: ``out`` exists, or no GGUF file is known whose metadata could be taken.
        ModelNotFoundError: The source holds no model, or one that cannot be written as asked; the message says why.
        MissingExtraError: A library is not installed.
    """
    source = _open(task.source)
    card = _published(source.card)
    if task.out.exists() and not task.replace:
        raise ConfigError(f"--out {task.out}: exists; pass --replace, or name another")
    with storage(task.out):
        task.out.parent.mkdir(parents=True, exist_ok=True)
    with storage(task.out), _aside(task.out) as unfinished:
        if task.format == "gguf":
            from rmr1.export.gguf_file import write_gguf

            write_gguf(source.folder, _base_gguf(task, source.card), unfinished, task.type, card)
        else:
            _write_folder(source, card, unfinished)
    return Exported(task.out, task.format, _size(task.out), card)


def _open(name: str) -> _ExportSource:
    folder = hf_folder(name)
    card = read_card(folder) or ModelCard("")
    run = folder.parent
    if folder.name != "model" or not (run / "run.json").is_file():
        return _ExportSource(folder, card)
    try:
        identity = read_manifest(run).identity
    except RunError:  # of another version, or damaged: a card can do without
        return _ExportSource(folder, card)
    return _ExportSource(folder, card, identity, _read_results(run))


def _published(card: ModelCard) -> ModelCard:
    """The card without paths: where things lay on this machine is nobody else's business."""
    return ModelCard(_last_part(card.base), card.template and _last_part(card.template), card.think)


def _last_part(name: str) -> str:
    path = expand_home(name)
    return path.name if path.is_absolute() or name.startswith(".") or path.exists() else name


def _read_results(run: Path) -> SftResults | RlResults | None:
    """The results of a training; None where it has none that can be believed, which a card can do without."""
    try:
        content = read_document(run, "results.json")
        kind = RlResults if content.get("kind") == RlResults.kind else SftResults
        return kind.from_json(content, str(run / "results.json"))
    except (OSError, RunError):
        return None


def _base_gguf(task: ExportTask, card: ModelCard) -> Path:
    if task.base is not None:
        if not task.base.is_file():
            raise ConfigError(f"--base {task.base}: no such file")
        return task.base
    if card.gguf and Path(card.gguf).is_file():
        return Path(card.gguf)
    entry = find_model(card.base) if card.base else None
    cached = cached_file(entry) if entry is not None else None
    if cached is not None:
        return cached
    if entry is not None and entry.file is not None:
        raise ModelNotFoundError(
            f'{entry.name} is not on this machine; fetch it with "rmr1 pull {entry.name}": its metadata is taken'
        )
    raise ConfigError(
        f"{task.source} was not trained from a GGUF file; name one of the same base model with --base FILE, of any "
        f"quantisation: its metadata and tokenizer are taken"
    )


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A place to write to that becomes ``out`` when all is written."""
    folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        yield folder / out.name
        if out.is_dir():
            shutil.rmtree(out)
        (folder / out.name).replace(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_folder(source: _ExportSource, card: ModelCard, target: Path) -> None:
    target.mkdir()
    for path in sorted(source.folder.iterdir()):
        if path.is_file() and path.suffix in _MODEL_FILES:
            shutil.copyfile(path, target / path.name)
    card.write(target)
    write_model_card(target, card, source.identity, source.results)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.iterdir() if each.is_file()]
    return sum(each.stat().st_size for each in files)
