"""What a model argument means."""

import struct

import pytest

from rmr1.errors import ConfigError
from rmr1.models.card import ModelCard, read_gguf_card
from rmr1.models.resolve import resolve_model


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def gguf_file(path, *pairs):
    """The beginning of a GGUF file with these keys."""
    content = b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs))
    for key, kind, value in pairs:
        content += text(key) + struct.pack("<I", kind) + value
    path.write_bytes(content)
    return path


def model_folder(path, card=None):
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    if card is not None:
        card.write(path)
    return path


def test_names_of_the_catalogue():
    resolved = resolve_model("smollm2-135m-instruct")
    assert (resolved.engine, resolved.template, resolved.think) == ("llamacpp", "cor-compact", "closed")
    assert resolve_model("hf/smollm2-135m-instruct").engine == "hf"
    served = resolve_model("openai/gaotang/RM-R1-DeepSeek-Distilled-Qwen-7B")
    assert (served.engine, served.template, served.think) == ("openai", "reasoning-native", "open")
    assert resolve_model("hf/smollm2-135m-instruct").entry.name == "smollm2-135m-instruct"
    assert resolve_model("openai/some/model").template is None


def test_a_folder_is_run_by_transformers_and_says_its_template(tmp_path):
    folder = model_folder(tmp_path / "judge", ModelCard("tiny", "cor-brief", "open"))
    for argument in (str(folder), f"hf/{folder}"):
        resolved = resolve_model(argument)
        assert (resolved.engine, resolved.name) == ("hf", str(folder))
        assert (resolved.template, resolved.think) == ("cor-brief", "open")
    assert resolve_model(str(model_folder(tmp_path / "silent"))).template is None


def test_a_run_is_its_model(tmp_path):
    folder = model_folder(tmp_path / "run" / "model", ModelCard("tiny", "cor-brief"))
    (tmp_path / "run" / "checkpoints").mkdir()
    assert resolve_model(str(tmp_path / "run")).name == str(folder)
    assert resolve_model(str(tmp_path / "run")).template == "cor-brief"


def test_a_gguf_file_says_its_template_before_anything_long(tmp_path):
    path = gguf_file(
        tmp_path / "judge.gguf",
        ("general.architecture", 8, text("llama")),
        ("general.count", 4, struct.pack("<I", 7)),
        ("general.languages", 9, struct.pack("<IQ", 8, 2) + text("en") + text("de")),
        ("general.numbers", 9, struct.pack("<IQ", 5, 3) + bytes(12)),
        ("rmr1.template", 8, text("cor-brief")),
        ("rmr1.think", 8, text("open")),
        ("rmr1.base", 8, text("tiny")),
        ("tokenizer.ggml.tokens", 99, b"not read"),
    )
    assert read_gguf_card(path) == ModelCard("tiny", "cor-brief", "open")
    for argument in (str(path), f"llamacpp/{path}", str(tmp_path)):
        resolved = resolve_model(argument)
        assert (resolved.engine, resolved.name) == ("llamacpp", str(path)) or argument.startswith("llamacpp/")
        assert (resolved.template, resolved.think) == ("cor-brief", "open")


def test_files_without_a_card(tmp_path):
    bare = gguf_file(tmp_path / "bare.gguf", ("general.architecture", 8, text("llama")), ("llama.x", 99, b""))
    assert read_gguf_card(bare) is None
    other = tmp_path / "other.bin"
    other.write_bytes(b"PK")
    assert read_gguf_card(other) is None
    assert resolve_model(str(other)).engine == "llamacpp", "the engine will say what is wrong with it"


@pytest.mark.parametrize("content", [b"GGUF", b"GGUF" + bytes(8), b"GGUF" + struct.pack("<IQQ", 3, 0, 5) + b"\x04"])
def test_a_torn_file_has_no_card(tmp_path, content):
    torn = tmp_path / "torn.gguf"
    torn.write_bytes(content)
    assert read_gguf_card(torn) is None


def test_what_names_no_model(tmp_path):
    with pytest.raises(ConfigError, match="not a file, not a name in the catalogue"):
        resolve_model("no-such-model")
    with pytest.raises(ConfigError, match="holds no model"):
        resolve_model(str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ConfigError, match="this run is not finished"):
        resolve_model(str(tmp_path))
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match="holds 2 GGUF files"):
        resolve_model(str(tmp_path))
    folder = model_folder(tmp_path / "model")
    with pytest.raises(ConfigError, match="is for the hf engine"):
        resolve_model(f"llamacpp/{folder}")
