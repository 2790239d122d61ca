"""Models whose files are damaged: told in one line with the file or folder, never run with weights that nobody has trained."""

import json

import pytest

pytest.importorskip("transformers")

from rmr1.errors import ModelNotFoundError
from rmr1.models.card import read_card, read_gguf_card
from rmr1.models.loading import hf_folder, load_causal_lm, published_type
from tests.support.tiny_model import write_tiny_model

DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "noise": lambda content: bytes(range(256)),
    "a list": lambda content: b"[1]",
    "deep": lambda content: b"[" * 100_000,
    "a large header": lambda content: b"\xff" * 8 + content,
}


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_a_model_is_one_line(tmp_path, name, damage):
    folder = write_tiny_model(tmp_path / "model")
    (folder / name).write_bytes(DAMAGES[damage]((folder / name).read_bytes()))
    with pytest.raises(ModelNotFoundError, match="model: not a causal language model, or damaged") as refused:
        load_causal_lm(str(folder))
    assert "\n" not in str(refused.value)


def test_weights_that_are_missing_are_not_drawn_at_random(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = write_tiny_model(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelNotFoundError, match=r"its files lack 1 weights, such as model\.norm\.weight"):
        load_causal_lm(str(folder))


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "deep"])
def test_a_damaged_card_and_configuration_are_named(tmp_path, damage):
    for name, read in (("rmr1.json", read_card), ("config.json", published_type)):
        (tmp_path / name).write_bytes(DAMAGES[damage](json.dumps({"base": "x"}).encode()))
        with pytest.raises(ModelNotFoundError, match=rf"{name}: damaged \("):
            read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"noise", b"GGUF\3\0\0\0" + b"\xff" * 16, b"GGUF" + b"\xff" * 200])
def test_a_damaged_gguf_file_is_one_line(tmp_path, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    assert read_gguf_card(path) is None
    with pytest.raises(ModelNotFoundError, match=r"model\.gguf: a GGUF file that is damaged") as refused:
        hf_folder(str(path))
    assert "\n" not in str(refused.value)
