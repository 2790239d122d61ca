"""Transformers models by name: a folder, a catalogue name, a GGUF file or a repository of the hub."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rmr1.arguments import described, unusable_reason
from rmr1.errors import MissingExtraError, ModelNotFoundError
from rmr1.files import expand_home, parse_json, read_text
from rmr1.models.card import ModelCard
from rmr1.models.catalogue import find_model
from rmr1.models.files import Say, hub_folder, pull
from rmr1.models.gguf import conversion_folder, convert_gguf, is_converted

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_LONGEST_REASON = 300
DType = Literal["float32", "bfloat16", "float16"]


def hf_folder(name: str, say: Say = lambda message: None) -> Path:
    """The Hugging Face folder of a model; the model is fetched or converted first if need be.

    Args:
        name: A folder with ``config.json``, a run directory with a folder ``model``, a GGUF file, a catalogue name, or
            ``OWNER/NAME`` of the hub.
        say: Called before a step that takes long.

    Raises:
        ModelNotFoundError: It is none of these, or the GGUF file's tokenizer cannot be converted exactly.
        DownloadError: It cannot be fetched.
        MissingExtraError: A library is not installed.
    """
    if (problem := unusable_reason(name)) is not None:
        raise ModelNotFoundError(f"{described(name)}: no model: {problem}")
    path = expand_home(name)
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    entry = find_model(name)
    if entry is not None and entry.file is not None:
        card = ModelCard(entry.name, entry.template, entry.think)
        return _converted(pull(entry), f"{entry.name}-{(entry.sha256 or '')[:12]}", card, say)
    if path.is_file():
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        return _converted(path.resolve(), f"{path.stem}-{digest[:12]}", ModelCard(str(path.resolve())), say)
    if path.exists():
        raise ModelNotFoundError(f"{path}: no config.json, neither there nor in {path / 'model'}; not a model folder")
    return hub_folder(entry.hub.repository if entry is not None else name, say)


def load_causal_lm(
    name_or_path: str, *, dtype: DType = "float32", device: str = "cpu", attention: str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model and its tokenizer with transformers, all weights dense and trainable.

    Args:
        name_or_path: See ``hf_folder``.
        dtype: Type of the weights.
        device: Where to put them, such as ``"cuda"``.
        attention: Implementation of attention, such as ``"sdpa"``; the library's choice where not given.

    Raises:
        ModelNotFoundError: There is no such model.
        MissingExtraError: transformers or torch is not installed.
    """
    settings = {"dtype": dtype, "attn_implementation": attention}
    return _load("AutoModelForCausalLM", "causal language model", hf_folder(name_or_path), device, settings)


def load_reward_model(
    name_or_path: str, *, dtype: DType = "float32", device: str = "cpu"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a sequence classifier with a single output, which is what transformers calls a scalar reward model.

    Args:
        name_or_path: See ``hf_folder``.
        dtype: Type of the weights.
        device: Where to put them.

    Raises:
        ModelNotFoundError: There is no such model, or it has several outputs.
        MissingExtraError: transformers or torch is not installed.
    """
    folder = hf_folder(name_or_path)
    model, tokenizer = _load("AutoModelForSequenceClassification", "reward model", folder, device, {"dtype": dtype})
    if model.config.num_labels != 1:
        raise ModelNotFoundError(
            f"{folder}: a classifier with {model.config.num_labels} labels; a reward model has one output (num_labels 1)"
        )
    return model, tokenizer


def _load(
    kind: str, called: str, folder: Path, device: str, settings: Mapping[str, object]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    with quiet_transformers():
        import transformers

        try:
            found: Any = getattr(transformers, kind).from_pretrained(
                folder, **settings, local_files_only=True, output_loading_info=True
            )
            model, loaded = found
            missing = sorted(loaded["missing_keys"])
            if missing:  # transformers draws these at random and goes on
                raise ValueError(f"its files lack {len(missing)} weights, such as {missing[0]}")
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # whatever three libraries raise about a damaged or foreign file
            said = " ".join(str(error).split())[:_LONGEST_REASON]
            raise ModelNotFoundError(
                f"{folder}: not a {called}, or damaged ({said}); fetch it again, or name another"
            ) from error
    return model.to(device), tokenizer


def context_of(model: PreTrainedModel) -> int:
    """How many tokens a model can attend to; no limit where its configuration names none."""
    return getattr(model.config, "max_position_embeddings", None) or sys.maxsize


def published_type(folder: Path) -> DType:
    """The type of a folder's weights, by its ``config.json``; float32 where that does not say."""
    try:
        config = parse_json(read_text(folder / "config.json"))
    except ValueError as error:
        raise ModelNotFoundError(f"{folder / 'config.json'}: damaged ({error}); fetch the model again") from error
    kind = config.get("dtype") or config.get("torch_dtype")
    return kind if kind in ("bfloat16", "float16") else "float32"


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Import and use transformers without its progress bars and warnings.

    Raises:
        MissingExtraError: transformers or torch is not installed.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import torch  # noqa: F401
        from transformers.utils import logging
    except ImportError as error:
        raise MissingExtraError("a transformers model", "train") from error
    shown, told = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(told)
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _converted(gguf: Path, key: str, card: ModelCard, say: Say) -> Path:
    target = conversion_folder(key)
    if not is_converted(target):
        say(f"converting {gguf.name} for transformers (once)")
        with quiet_transformers():
            convert_gguf(gguf, target, card)
    return target
