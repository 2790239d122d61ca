"""From a model argument, or an object, to an engine."""

import pytest

from rmr1.config import EngineConfig
from rmr1.engines import has_batches, open_model
from rmr1.errors import ConfigError
from rmr1.models import resolve_model
from tests.support.engines import FunctionEngine
from tests.support.plugins import install


def test_a_model_comes_with_its_template_and_its_entry():
    config = EngineConfig(base_url="http://127.0.0.1:9/v1")
    loaded = open_model("openai/gaotang/RM-R1-DeepSeek-Distilled-Qwen-7B", config)
    assert loaded.engine.name == "openai/gaotang/RM-R1-DeepSeek-Distilled-Qwen-7B"
    assert loaded.engine.think_open, "the catalogue says that its chat template opens the think block"
    assert (loaded.template, loaded.entry.template) == ("reasoning-native", "reasoning-native")
    assert has_batches(loaded.engine)


def test_what_is_resolved_is_not_resolved_again():
    loaded = open_model(resolve_model("program/curriculum"))
    assert (loaded.engine.name, loaded.template, loaded.entry) == ("program/curriculum", None, None)
    assert not has_batches(loaded.engine)


def test_an_object_is_an_engine_if_it_has_all_that_engines_have():
    engine = FunctionEngine(str)
    assert open_model(engine).engine is engine
    with pytest.raises(ConfigError, match="object is not an engine: it lacks aclose, computes_in_caller, embedded"):
        open_model(object())


def test_an_entry_point_names_an_engine(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    install("engine_plugin", tmp_path)
    assert open_model("length/longest").engine.identity() == {"rule": "length/longest", "version": 1}
    with pytest.raises(ConfigError, match=r"llamacpp, hf, vllm, openai, mistral, .*, replay, program, scalar, length"):
        open_model("lenght/longest")


def test_an_entry_point_that_makes_no_engine_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "makes_nothing.py").write_text("def load(model, config, *, concurrency):\n    return None\n")
    info = tmp_path / "nothing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nothing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rmr1.engines]\nnothing = makes_nothing:load\n")
    with pytest.raises(ConfigError, match=r'the engine "nothing" of nothing 1\.0 is not an engine: it lacks aclose'):
        open_model("nothing/x")


def test_unknown_models_are_named(tmp_path):
    with pytest.raises(ConfigError, match="not a file, not a name in the catalogue"):
        open_model("no-such-model")
    with pytest.raises(ConfigError, match="llamacpp, hf, vllm, openai, mistral"):
        open_model("mistrall/7b")
