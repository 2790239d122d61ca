"""GGUF files: the metadata and tokenizer of a source file with other weights.

llama.cpp keeps the same matrices as transformers under other names, but for one thing: in models of the llama architecture the rows
of the query and key projections are ordered so that the halves of a rotary pair lie side by side, where transformers has them half
a head apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rmr1.errors import MissingExtraError, ModelNotFoundError
from rmr1.files import parse_json, read_text
from rmr1.models.card import CARD_KEYS, ModelCard

try:
    import gguf
    import torch
    from safetensors import safe_open
except ImportError as error:
    raise MissingExtraError("writing a GGUF file", "train") from error

ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2}
_ROTATED = ("attn_q", "attn_k")
_FILE_TYPES = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
_QUANTISATIONS = {"f16": gguf.GGMLQuantizationType.F16, "q8_0": gguf.GGMLQuantizationType.Q8_0}
_OF_THE_FILE = ("GGUF.", "general.file_type", "general.quantization_version", CARD_KEYS)


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    source: str
    shape: tuple[int, ...]
    type: gguf.GGMLQuantizationType


def write_gguf(folder: Path, base: Path, target: Path, weight_type: str, card: ModelCard) -> None:
    """Write the weights of a Hugging Face folder with the metadata of another GGUF file.

    Matrices are written in ``weight_type``; vectors (norms, biases) in float32, as llama.cpp wants them.

    Args:
        folder: The model.
        base: A GGUF file of the same architecture and vocabulary.
        target: The file to write.
        weight_type: "f16" or "q8_0".
        card: How the judge wants to be prompted; kept in the file.

    Raises:
        ModelNotFoundError: The architecture is not one of ``ARCHITECTURES``, or the two do not fit each other.
    """
    try:
        config = parse_json(read_text(folder / "config.json"))
    except ValueError as error:
        raise ModelNotFoundError(f"{folder / 'config.json'}: damaged ({error}); make the model again") from error
    architecture = config.get("model_type")
    if architecture not in ARCHITECTURES:
        raise ModelNotFoundError(
            f"{folder}: of the architecture {architecture}; rmr1 export writes GGUF files of {', '.join(ARCHITECTURES)} "
            f"only. Use --format hf and llama.cpp's own converter"
        )
    reader = gguf.GGUFReader(base)
    _check(config, reader, folder, base)
    with ExitStack() as stack, _Weights(folder, stack) as weights:
        tensors = _plan(weights, reader, architecture, weight_type, folder)
        writer = gguf.GGUFWriter(target, architecture)
        try:
            _copy_metadata(reader, writer, card, weight_type, _chat_template(folder))
            for tensor in tensors:
                block = gguf.quant_shape_to_byte_shape(tensor.shape, tensor.type)
                size = int(np.prod(block, dtype=np.int64))
                writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), size, tensor.type)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for tensor in tensors:
                writer.write_tensor_data(_content(tensor, weights, reader, config))
        finally:
            writer.close()


class _Weights:
    """The tensors of a folder's safetensors files, read one by one."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._files: dict[str, Any] = {}
        for path in sorted(folder.glob("*.safetensors")):
            content = stack.enter_context(safe_open(path, framework="pt"))
            self._files |= dict.fromkeys(content.keys(), content)
        if not self._files:
            raise ModelNotFoundError(f"{folder}: holds no safetensors files")

    def __enter__(self) -> _Weights:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._files[name].get_slice(name).get_shape())

    def __getitem__(self, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        content: torch.Tensor = self._files[name].get_tensor(name)
        return content.float().numpy()


def _check(config: Mapping[str, Any], reader: gguf.GGUFReader, folder: Path, base: Path) -> None:
    architecture = config["model_type"]
    wanted = {
        "general.architecture": architecture,
        f"{architecture}.block_count": config["num_hidden_layers"],
        f"{architecture}.embedding_length": config["hidden_size"],
        f"{architecture}.feed_forward_length": config["intermediate_size"],
        f"{architecture}.attention.head_count": config["num_attention_heads"],
        f"{architecture}.attention.head_count_kv": config["num_key_value_heads"],
    }
    for key, value in wanted.items():
        found = reader.get_field(key)
        if found is not None and found.contents() != value:
            raise ModelNotFoundError(
                f"{base} is no base of {folder}: {key} is {found.contents()} there and {value} here"
            )
    tokens = reader.get_field("tokenizer.ggml.tokens")
    if tokens is None or len(tokens.data) != config["vocab_size"]:
        count = 0 if tokens is None else len(tokens.data)
        raise ModelNotFoundError(
            f"{base} is no base of {folder}: its tokenizer has {count} tokens, the model {config['vocab_size']}"
        )


def _plan(
    weights: _Weights, reader: gguf.GGUFReader, architecture: str, weight_type: str, folder: Path
) -> list[_Tensor]:
    """All tensors to write, in the order of their names in the source, and what only the base has."""
    blocks = int(reader.get_field(f"{architecture}.block_count").contents())
    names = gguf.get_tensor_name_map(ARCHITECTURES[architecture], blocks)
    planned: dict[str, _Tensor] = {}
    for source in weights:
        name = names.get_name(source, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise ModelNotFoundError(f"{folder}: the tensor {source} has no place in a GGUF file of {architecture}")
        shape = weights.shape(source)
        planned[name] = _Tensor(name, source, shape, _type_of(shape, weight_type))
    for tensor in reader.tensors:
        if tensor.name in planned or tensor.name == "output.weight":  # the output may be tied to the embedding
            continue
        if not tensor.name.startswith("rope_"):
            raise ModelNotFoundError(f"{folder}: there is no tensor for {tensor.name}, which the base has")
        shape = tuple(int(size) for size in reversed(tensor.shape))
        planned[tensor.name] = _Tensor(tensor.name, "", shape, tensor.tensor_type)
    return list(planned.values())


def _type_of(shape: tuple[int, ...], weight_type: str) -> gguf.GGMLQuantizationType:
    if len(shape) < 2:
        return gguf.GGMLQuantizationType.F32
    wanted = _QUANTISATIONS[weight_type]
    block, _ = gguf.GGML_QUANT_SIZES[wanted]
    return wanted if shape[-1] % block == 0 else gguf.GGMLQuantizationType.F16


def _content(tensor: _Tensor, weights: _Weights, reader: gguf.GGUFReader, config: Mapping[str, Any]) -> Any:
    if not tensor.source:
        return next(each.data for each in reader.tensors if each.name == tensor.name)
    content = weights[tensor.source]
    part = tensor.name.split(".")[-2]
    if config["model_type"] == "llama" and part in _ROTATED:
        heads = config["num_attention_heads" if part == "attn_q" else "num_key_value_heads"]
        content = interleave_halves(content, heads)
    return gguf.quants.quantize(np.ascontiguousarray(content), tensor.type)


def interleave_halves(rows: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Reorder the rows of a rotary projection from transformers' order to llama.cpp's.

    Within each head of ``d`` rows, row ``i`` and row ``i + d/2`` are turned together; here they come to lie side by side.
    """
    half = len(rows) // heads // 2
    return rows.reshape(heads, 2, half, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def _chat_template(folder: Path) -> str | None:
    path = folder / "chat_template.jinja"
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _copy_metadata(
    reader: gguf.GGUFReader, writer: gguf.GGUFWriter, card: ModelCard, weight_type: str, chat_template: str | None
) -> None:
    # First of all, where they are found without reading the tokenizer.
    for key, value in (("template", card.template), ("think", card.think), ("base", card.base)):
        if value:
            writer.add_string(f"{CARD_KEYS}{key}", value)
    for name, field in reader.fields.items():
        if name.startswith(_OF_THE_FILE) or name == "general.architecture":
            continue
        value = field.contents()
        if name == "tokenizer.chat_template" and chat_template is not None:
            value = chat_template
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], inner)
    writer.add_file_type(_FILE_TYPES[weight_type])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
