"""What a model's files say before it is loaded, and that what is wrong with them is named with its fix."""

import json
import shutil

import pytest

pytest.importorskip("torch", reason="the train extra is not installed")

from rmr1.doctor import examine
from tests.support.tiny_model import write_tiny_model


def found(results, name):
    return next(check for check in results.checks if check.name == name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("models") / "judge")


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "model")


def change(path, **fields):
    content = json.loads(path.read_text())
    content.update(fields)
    path.write_text(json.dumps(content))


def test_a_folder_that_works_is_asked(folder):
    results = examine(f"hf/{folder}", max_tokens=16, template="cor-brief")
    for name in ("model files", "chat template", "system role", "double BOS", "first answer", "determinism"):
        assert found(results, name).status == "ok", found(results, name)
    assert found(results, "server").seen == "not checked, because it does not apply to this engine"
    assert results.tokens.completion_tokens > 0


def test_a_folder_without_a_chat_template(copy):
    for file in ("chat_template.jinja",):
        (copy / file).unlink(missing_ok=True)
    if "chat_template" in json.loads((copy / "tokenizer_config.json").read_text()):
        change(copy / "tokenizer_config.json", chat_template=None)
    check = found(examine(str(copy)), "chat template")
    assert (check.status, "has no chat template" in check.seen) == ("fail", True)
    assert "rmr1 sft" in check.fix


def test_a_chat_template_that_refuses_the_system_role_does_not_hide_the_rest(copy):
    template = (copy / "chat_template.jinja").read_text()
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    (copy / "chat_template.jinja").write_text(refusal + template)
    results = examine(str(copy), max_tokens=16, template="cor-brief")
    check = found(results, "system role")
    assert check.status == "fail"
    assert "refuses the system role (no system role)" in check.seen
    assert "--system-role merge" in check.fix
    assert found(results, "determinism").status == "ok"


def test_files_that_are_cut(copy):
    weights = copy / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    check = found(examine(str(copy)), "model files")
    assert check.status == "fail"
    assert f"{len(content):,} bytes are missing" in check.seen
    assert check.fix == "fetch or export the model again"


def test_a_context_that_is_too_small_for_the_prompt(tmp_path):
    tiny = write_tiny_model(tmp_path / "model", max_position_embeddings=400)
    check = found(examine(str(tiny), max_tokens=64), "context")
    assert check.status == "fail"
    assert "the context only 400" in check.seen
    assert "shorter --template" in check.fix
