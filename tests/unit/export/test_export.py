"""Export of a small random model: files, folders, cards, and what is refused."""

import shutil

import pytest

pytest.importorskip("torch", reason="the train extra is not installed")
gguf = pytest.importorskip("gguf", reason="the train extra is not installed")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from rmr1.errors import ConfigError, ModelNotFoundError  # noqa: E402
from rmr1.export import ExportTask, export_model  # noqa: E402
from rmr1.export.gguf_file import interleave_halves  # noqa: E402
from rmr1.models.card import (  # noqa: E402
    ModelCard,
    read_card,
    read_gguf_card,
)
from rmr1.models.resolve import resolve_model  # noqa: E402
from rmr1.results import SftEvalMetrics, SftResults  # noqa: E402
from rmr1.runs import RunDirectory  # noqa: E402
from tests.support.tiny_model import CHAT_TEMPLATE, tiny_model, tiny_tokenizer, write_tiny_model  # noqa: E402

HELD_OUT = SftEvalMetrics(step=7, loss=0.25, accuracy=0.5, p_gold=0.5, traces=4, verdicts=4)
RESULTS = SftResults(
    steps=7,
    epochs=1.0,
    traces=30,
    dropped_too_long=0,
    held_out=4,
    held_out_dropped_too_long=0,
    tokens=900,
    supervised_tokens=300,
    first_loss=2.0,
    last_loss=0.5,
    held_out_before=None,
    held_out_after=HELD_OUT,
    precision="float32",
)
SHAPE = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = write_tiny_model(tmp_path_factory.mktemp("run") / "model", **SHAPE)
    ModelCard("someone/tiny", "cor-compact", "closed").write(target)
    identity = {"job": "sft", "data_sha256": "ab12", "learning_rate": 2e-5, "lora": {"rank": 8}, "model": "tiny"}
    with RunDirectory(target.parent, identity) as run:
        run.write_json("results.json", RESULTS.to_json())
    return target


def write_base(path, architecture="llama", **changes):
    """A GGUF file with metadata and tokenizer, whose weights nobody needs."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("Tiny")
    writer.add_block_count(2)
    writer.add_context_length(2048)
    writer.add_embedding_length(changes.get("embedding_length", 64))
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(16)
    writer.add_vocab_size(259)
    vocabulary = tiny_tokenizer().get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.get)[: changes.get("tokens", 259)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["a b"])
    writer.add_chat_template("{{ messages }}")
    writer.add_file_type(2)
    writer.add_tensor("output_norm.weight", np.zeros(64, np.float32))
    for name in changes.get("more", ()):
        writer.add_tensor(name, np.arange(8, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base") / "base.gguf")


@pytest.mark.parametrize(("kind", "tolerance"), [("f16", 1e-4), ("q8_0", 1e-3)])
def test_transformers_reads_back_the_weights(folder, base, tmp_path, kind, tolerance):
    """transformers has a reader of its own, which undoes llama.cpp's order of rows."""
    from transformers import AutoModelForCausalLM, GgufConfig

    export_model(ExportTask(str(folder), tmp_path / "x.gguf", type=kind, base=base))
    read = AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file="x.gguf", quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
    )
    expected = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
    assert read.state_dict().keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(read.state_dict()[name], weight, atol=tolerance, rtol=1e-2)


def test_the_metadata_are_those_of_the_base_with_what_is_our_own(folder, base, tmp_path):
    path = export_model(ExportTask(str(folder), tmp_path / "x.gguf", type="q8_0", base=base)).path
    ours, theirs = gguf.GGUFReader(path), gguf.GGUFReader(base)
    for name, field in theirs.fields.items():
        if name.startswith("GGUF.") or name in ("general.file_type", "tokenizer.chat_template"):
            continue
        assert ours.get_field(name).contents() == field.contents(), name
        assert ours.get_field(name).types == field.types, name
    assert ours.get_field("general.file_type").contents() == 7
    assert ours.get_field("tokenizer.chat_template").contents() == CHAT_TEMPLATE, "that of the trained model"
    kinds = {tensor.name: tensor.tensor_type.name for tensor in ours.tensors}
    assert kinds["token_embd.weight"] == kinds["blk.1.ffn_down.weight"] == "Q8_0"
    assert kinds["output_norm.weight"] == kinds["blk.0.attn_norm.weight"] == "F32"
    assert "output.weight" not in kinds, "the output is tied to the embedding"


def test_a_file_carries_its_card(folder, base, tmp_path):
    path = export_model(ExportTask(str(folder), tmp_path / "x.gguf", base=base)).path
    assert read_gguf_card(path) == ModelCard("someone/tiny", "cor-compact", "closed")
    assert resolve_model(str(path)).template == "cor-compact"
    assert resolve_model(str(tmp_path)).name == str(path), "a folder with one GGUF file is that file"
    assert resolve_model(str(tmp_path)).engine == "llamacpp"
    assert read_gguf_card(base) is None


def test_tensors_that_only_the_base_has(folder, tmp_path):
    base = write_base(tmp_path / "base.gguf", more=["rope_freqs.weight"])
    path = export_model(ExportTask(str(folder), tmp_path / "x.gguf", base=base)).path
    kept = next(tensor for tensor in gguf.GGUFReader(path).tensors if tensor.name == "rope_freqs.weight")
    assert kept.data.tolist() == list(range(8))
    odd = write_base(tmp_path / "odd.gguf", more=["blk.0.attn_sinks.weight"])
    with pytest.raises(ModelNotFoundError, match=r"no tensor for blk\.0\.attn_sinks\.weight"):
        export_model(ExportTask(str(folder), tmp_path / "y.gguf", base=odd))


def test_the_biases_of_qwen2_are_kept_and_its_rows_not_reordered(tmp_path):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(3)
    config = Qwen2Config(**SHAPE, num_hidden_layers=2, vocab_size=259, max_position_embeddings=2048)
    model = Qwen2ForCausalLM(config)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path / "qwen")
    base = write_base(tmp_path / "base.gguf", architecture="qwen2")
    path = export_model(ExportTask(str(tmp_path / "qwen"), tmp_path / "x.gguf", base=base)).path
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}
    state = model.state_dict()
    assert np.array_equal(tensors["blk.1.attn_q.bias"], state["model.layers.1.self_attn.q_proj.bias"].numpy())
    weight = state["model.layers.1.self_attn.q_proj.weight"].half().numpy()
    assert np.array_equal(tensors["blk.1.attn_q.weight"], weight)
    assert "output.weight" in tensors


def test_halves_come_to_lie_side_by_side():
    rows = np.arange(8)[:, None]
    assert interleave_halves(rows, 1)[:, 0].tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    assert interleave_halves(rows, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"embedding_length": 32}, r"llama\.embedding_length is 32 there and 64 here"), ({"tokens": 200}, "200 tokens")],
)
def test_a_base_that_does_not_fit_is_refused(folder, tmp_path, changes, message):
    base = write_base(tmp_path / "base.gguf", **changes)
    with pytest.raises(ModelNotFoundError, match=message):
        export_model(ExportTask(str(folder), tmp_path / "x.gguf", base=base))
    assert [path.name for path in tmp_path.iterdir()] == ["base.gguf"], "nothing half-written is left"


def test_what_cannot_be_written_is_named(folder, base, tmp_path):
    with pytest.raises(ConfigError, match="--base"):
        export_model(ExportTask(str(folder), tmp_path / "x.gguf"))
    with pytest.raises(ConfigError, match="no such file"):
        export_model(ExportTask(str(folder), tmp_path / "x.gguf", base=tmp_path / "absent.gguf"))
    (tmp_path / "there.gguf").write_text("mine")
    with pytest.raises(ConfigError, match="exists; pass --replace"):
        export_model(ExportTask(str(folder), tmp_path / "there.gguf", base=base))
    assert (tmp_path / "there.gguf").read_text() == "mine"
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "gemma2"}')
    with pytest.raises(ModelNotFoundError, match="gemma2"):
        export_model(ExportTask(str(other), tmp_path / "x.gguf", base=base))


def test_no_path_of_this_machine_is_written(folder, base, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(folder, model)
    ModelCard(str(tmp_path / "Base-7B"), str(tmp_path / "mine.txt"), gguf=str(base)).write(model)
    published = ModelCard("Base-7B", "mine.txt")
    written = export_model(ExportTask(str(model), tmp_path / "x.gguf"))
    assert (written.card, read_gguf_card(written.path)) == (published, published)
    copied = export_model(ExportTask(str(model), tmp_path / "judge", format="hf"))
    assert read_card(copied.path) == published
    assert str(tmp_path) not in "".join(path.read_text() for path in copied.path.glob("*.[jm][sd]*"))


def test_a_folder_with_a_model_card(folder, tmp_path):
    done = export_model(ExportTask(str(folder.parent), tmp_path / "judge", format="hf"))
    text = (done.path / "README.md").read_text()
    assert "base_model: someone/tiny" in text
    for row in (
        "| data_sha256 | ab12 |",
        "| learning_rate | 2e-05 |",
        "| lora.rank | 8 |",
        "| held_out_after.loss | 0.25 |",
    ):
        assert row in text
    assert "`cor-compact`" in text
    assert read_card(done.path) == ModelCard("someone/tiny", "cor-compact", "closed")
    resolved = resolve_model(str(done.path))
    assert (resolved.engine, resolved.template) == ("hf", "cor-compact")
    again = export_model(ExportTask(str(folder.parent), tmp_path / "judge", format="hf", replace=True))
    assert again.size == done.size
    expected = tiny_model(**SHAPE).state_dict()["model.embed_tokens.weight"]
    from safetensors.torch import load_file

    assert torch.equal(load_file(done.path / "model.safetensors")["model.embed_tokens.weight"], expected)
