"""``train_sft`` as the pipeline calls it, with a tiny random model."""

import gc

import pytest

from rmr1.config import SftConfig
from rmr1.errors import ConfigError, DataError, ModelNotFoundError
from rmr1.models.card import read_card
from rmr1.models.loading import hf_folder, load_causal_lm, published_type
from rmr1.prompts import load_template
from rmr1.training import train_sft
from tests.support.runs import write_run
from tests.support.tiny_model import tiny_tokenizer, write_tiny_model, write_traces
from tests.support.training import Memory

pytest.importorskip("trl", reason="the train extra is not installed")
torch = pytest.importorskip("torch", reason="the train extra is not installed")
SMALL = {"batch_size": 8, "micro_batch_size": 4, "max_steps": 3, "learning_rate": 1e-2, "threads": 1, "evaluations": 0}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "tiny")
    write_traces(tmp_path / "traces.jsonl", 40)
    return tmp_path


def train(folder, callbacks=None, **settings):
    config = SftConfig(model=str(folder / "tiny"), **(SMALL | settings))
    return train_sft(folder / "traces.jsonl", config, run=folder / "run", callbacks=callbacks)


def changed(folder, model):
    before = load_causal_lm(str(folder / "tiny"))[0].state_dict()
    after = load_causal_lm(str(model))[0].state_dict()
    return {name for name in before if not before[name].equal(after[name])}


def test_a_template_that_is_not_that_of_the_traces_is_refused(folder):
    written = load_template("cor")
    write_run(folder, {"template": written.name, "template_sha256": written.sha256})
    with pytest.raises(ConfigError, match='answer the prompt "cor", and template is "cor-brief"; train with --set'):
        train(folder, template="cor-brief")


@pytest.mark.slow
def test_full_fine_tune_in_process_tells_each_step_and_trackers_get_it(folder):
    memory = Memory()
    result = train(folder, memory, report_to=["tensorboard"])
    assert [step.step for step in memory.steps] == [1, 2, 3]
    assert [held.step for held in memory.held] == [0, 3]
    assert (memory.total, result.steps, result.results.steps) == (3, 3, 3)
    assert all(0 < step.supervised < step.tokens for step in memory.steps)
    assert changed(folder, result.model)
    assert list(folder.rglob("events.out.tfevents*"))


@pytest.mark.slow
def test_nothing_of_the_trainer_is_left_in_memory(folder):
    train(folder)
    assert not [found for found in gc.get_objects() if issubclass(type(found), torch.optim.Optimizer)]


@pytest.mark.slow
def test_adapters_are_merged_into_the_model_and_kept_beside_it(folder):
    result = train(folder, method="lora", lora={"rank": 2, "alpha": 4}, precision="bfloat16")
    names = changed(folder, result.model)
    assert any("q_proj" in name for name in names)
    assert not any("norm" in name or "embed" in name for name in names)
    assert (result.run / "adapter" / "adapter_config.json").is_file()
    assert not (result.model / "adapter_config.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_model_is_saved_in_the_type_in_which_its_base_was_published(folder, method):
    base, _ = load_causal_lm(str(folder / "tiny"), dtype="bfloat16")
    base.save_pretrained(folder / "tiny")
    result = train(folder, method=method, max_steps=1)
    assert published_type(result.model) == published_type(folder / "tiny") == "bfloat16"


@pytest.mark.slow
def test_packing_and_micro_batches_change_neither_loss_nor_gradient(folder):
    """A loss that is a mean of means would change with the micro-batch."""
    one_step = {"batch_size": 64, "max_steps": 1, "held_out_share": 0, "max_length": 400}
    first = []
    for settings in (
        {"packing": "off", "micro_batch_size": 2},
        {"packing": "off", "micro_batch_size": 32},
        {"packing": "on", "micro_batch_size": 2},
    ):
        memory = Memory()
        train(folder, memory, **one_step, **settings)
        (folder / "run").rename(folder / f"run{len(first)}")
        first.append(memory.steps[0])
    assert len({step.supervised for step in first}) == len({step.tokens for step in first}) == 1
    for step in first[1:]:
        assert step.loss == pytest.approx(first[0].loss, rel=1e-5)
        assert step.grad_norm == pytest.approx(first[0].grad_norm, rel=1e-4)


@pytest.mark.slow
def test_a_chat_template_that_opens_a_think_block_is_looked_at(folder):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template += "{% if add_generation_prompt %}<think>\n{% endif %}"
    tokenizer.save_pretrained(folder / "tiny")
    assert read_card(train(folder, max_steps=1).model).think == "open"


@pytest.mark.slow
def test_template_and_base_go_into_the_card(folder):
    write_run(folder, {"template": "cor-compact"})
    result = train(folder, max_steps=1)
    card = read_card(result.model)
    assert (card.template, card.base, card.think) == ("cor-compact", str(folder / "tiny"), "closed")
    assert hf_folder(str(result.run)) == result.model


def test_traces_that_do_not_fit_and_a_model_that_is_not_there(folder):
    with pytest.raises(DataError, match="every trace is longer than max_length 20; raise it"):
        train(folder, max_length=20)
    write_tiny_model(folder / "tiny", max_position_embeddings=16)
    with pytest.raises(DataError, match="longer than the model's context of 16; take a model"):
        train_sft(folder / "traces.jsonl", model=str(folder / "tiny"))
    with pytest.raises(ModelNotFoundError, match="nope: not a model folder"):
        train_sft(str(folder / "traces.jsonl"), model="nope")
    (folder / "empty").mkdir()
    with pytest.raises(ModelNotFoundError, match=r"no config\.json"):
        hf_folder(str(folder / "empty"))
