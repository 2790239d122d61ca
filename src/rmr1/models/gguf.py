"""GGUF files as Hugging Face folders, so that transformers can run and train them.

A file is converted once: its blocks are unpacked to float32 (exactly what llama.cpp computes with) and written to the cache
with the tokenizer and the chat template of the file. Plain ``from_pretrained(gguf_file=...)`` would keep quantised blocks, which
cannot be trained.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from rmr1.errors import MissingExtraError, ModelNotFoundError, RMR1Error, StorageError
from rmr1.files import storage_problem
from rmr1.models.card import CARD, ModelCard
from rmr1.models.files import cache_directory

_CONVERSION = 1
"""Raised where the conversion changes, so that folders of an older one are not used."""


def conversion_folder(key: str) -> Path:
    """Where the conversion of the file with this key belongs; it exists once ``is_converted`` says so."""
    return cache_directory() / "hf" / f"{key}-v{_CONVERSION}"


def is_converted(folder: Path) -> bool:
    """Whether a conversion is complete: its card is written last."""
    return (folder / CARD).is_file()


def convert_gguf(gguf: Path, target: Path, card: ModelCard) -> None:
    """Convert a GGUF file to a Hugging Face folder. Several processes may do so at once; the first one counts.

    Args:
        gguf: The file.
        target: See ``conversion_folder``.
        card: Written to the folder, with ``gguf`` as the file that the weights came from.

    Raises:
        ModelNotFoundError: Its tokenizer cannot be converted exactly.
        MissingExtraError: The library gguf is not installed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=".convert-"))
    try:
        _convert(gguf, folder)
        replace(card, gguf=str(gguf)).write(folder)
        folder.chmod(0o755)
        folder.rename(target)
    except RMR1Error:
        raise
    except OSError as error:
        if is_converted(target):  # another process was faster
            return
        if error.errno is not None:
            raise StorageError(storage_problem(error, target)) from error
        raise _damaged(gguf, error) from error
    except Exception as error:  # whatever two libraries raise about a damaged file
        raise _damaged(gguf, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _damaged(gguf: Path, error: Exception) -> ModelNotFoundError:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    return ModelNotFoundError(f"{gguf}: a GGUF file that is damaged or cannot be converted ({said}); fetch it again")


def _convert(gguf: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from rmr1.prefix.transformers_internals import forget_origin

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    _correct_pre_tokenizer(tokenizer, _pre_tokenizer_name(gguf), gguf)
    with redirect_stderr(StringIO()):  # the one progress bar that has no switch
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype="float32"
        )
    forget_origin(model)
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _pre_tokenizer_name(gguf: Path) -> str:
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise MissingExtraError("converting a GGUF file", "train") from error
    field = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    return str(field.contents()) if field is not None else "default"


def _correct_pre_tokenizer(tokenizer: Any, name: str, gguf: Path) -> None:
    """Split text as the embedded engine does; transformers gives every llama-like GGUF file the splitter of GPT-2."""
    if name == "qwen2":
        return  # read as it is
    if name != "smollm":
        raise ModelNotFoundError(
            f'{gguf}: how its tokenizer "{name}" splits text is not known here; use the Hugging Face folder of the model'
        )
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
