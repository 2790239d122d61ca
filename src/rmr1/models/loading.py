"""Transformers models by name: a folder, a catalogue name, a GGUF file or a repository of the hub.

A GGUF file is converted once: its blocks are unpacked to float32 (exactly what the embedded engine computes with) and written to
the cache as a Hugging Face folder with the tokenizer and the chat template of the file. Plain ``from_pretrained(gguf_file=...)``
would keep quantised blocks, which cannot be trained.

``rmr1.json`` in a model folder says how the judge wants to be asked, see ``ModelCard``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rmr1.errors import MissingExtraError, ModelNotFoundError
from rmr1.models import cache_directory, find_model, pull

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DType = Literal["float32", "bfloat16", "float16"]
CARD = "rmr1.json"
_CONVERSION = 1
"""Raised where the conversion changes, so that folders of an older one are not used."""
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What ``rmr1.json`` holds.

    Args:
        base: The model that this one comes from, by catalogue or hub name or path.
        template: The judge template that it wants: a name or a file.
        think: "open" where its chat template opens a think block before the first token.
        gguf: The GGUF file that the weights or their base came from, if any; its metadata serves an export.
    """

    base: str
    template: str | None = None
    think: Literal["auto", "open", "closed"] = "auto"
    gguf: str | None = None

    def write(self, folder: Path) -> None:
        """Write it into a model folder."""
        (folder / CARD).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def read_card(folder: Path) -> ModelCard | None:
    """The card of a model folder, or None where there is none."""
    try:
        fields = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    known = {name: fields[name] for name in ModelCard.__dataclass_fields__ if name in fields}
    return ModelCard(**{"base": "", **known})


def hf_folder(name: str, say: Callable[[str], None] = lambda message: None) -> Path:
    """The Hugging Face folder of a model, fetched or converted where that has to be done first.

    Args:
        name: A folder with ``config.json``, a run directory with a folder ``model``, a GGUF file, a catalogue name, or
            ``OWNER/NAME`` of the hub.
        say: Told what takes long.

    Raises:
        ModelNotFoundError: It is none of these, or the GGUF file's tokenizer cannot be converted exactly.
        DownloadError: It cannot be fetched.
        MissingExtraError: A library is not installed.
    """
    path = Path(name).expanduser()
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
    return _from_hub(entry.hub.repository if entry is not None else name, say)


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
    folder = hf_folder(name_or_path)
    with quiet_transformers():
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, attn_implementation=attention, local_files_only=True
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelNotFoundError(f"{folder}: not a causal language model: {error}") from error
    placed: Any = model
    return placed.to(device), tokenizer


def context_of(model: PreTrainedModel) -> int:
    """How many tokens a model can attend to; no limit where its configuration names none."""
    return getattr(model.config, "max_position_embeddings", None) or sys.maxsize


def published_type(folder: Path) -> DType:
    """The type of a folder's weights, by its ``config.json``; float32 where that does not say."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = config.get("dtype") or config.get("torch_dtype")
    return kind if kind in ("bfloat16", "float16") else "float32"


def _from_hub(repository: str, say: Callable[[str], None]) -> Path:
    if repository.count("/") != 1:
        raise ModelNotFoundError(
            f"{repository}: not a model folder, not a GGUF file, not OWNER/NAME of the hub, and not in the catalogue; "
            f'"rmr1 pull --list" shows it'
        )
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
    say(f"fetching {repository} from the hub")
    try:
        return Path(snapshot_download(repository, allow_patterns=_HUB_FILES))
    except OSError as error:
        raise ModelNotFoundError(f"{repository}: the hub did not deliver it: {error}") from error


def _converted(gguf: Path, key: str, card: ModelCard, say: Callable[[str], None]) -> Path:
    target = cache_directory() / "hf" / f"{key}-v{_CONVERSION}"
    if (target / CARD).is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    say(f"converting {gguf.name} for transformers (once)")
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=".convert-"))
    try:
        _convert(gguf, folder)
        ModelCard(card.base, card.template, card.think, str(gguf)).write(folder)
        folder.chmod(0o755)
        folder.rename(target)
    except OSError:
        if not (target / CARD).is_file():  # else another process was faster
            raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target


def _convert(gguf: Path, folder: Path) -> None:
    with quiet_transformers():
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        _correct_pre_tokenizer(tokenizer, _pre_tokenizer_name(gguf), gguf)
        with redirect_stderr(StringIO()):  # the one progress bar that has no switch
            model = AutoModelForCausalLM.from_pretrained(
                gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype="float32"
            )
        model.config._name_or_path = ""
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


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Import and use transformers without its progress bars.

    Raises:
        MissingExtraError: transformers or torch is not installed.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import torch  # noqa: F401
        from transformers.utils import logging
    except ImportError as error:
        raise MissingExtraError("a transformers model", "train") from error
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
