"""What ``rmr1.prefix.transformers_internals`` takes for granted of transformers beyond its documented interface.

A failure here is no defect yet: another release has changed code that we override or read. Read the new code, see whether the file
still does what it says, then pin the new hash.
"""

import hashlib
import inspect

import pytest

transformers = pytest.importorskip("transformers", reason="the train extra is not installed")
import torch  # noqa: E402

from rmr1.prefix.transformers_internals import (  # noqa: E402
    TrainerHooks,
    attention_implementation,
    forget_origin,
    is_recurrent,
    takes_attention_functions,
)
from tests.support.tiny_model import tiny_model  # noqa: E402

TRAINER = transformers.Trainer
PINNED = {
    TRAINER._save_checkpoint: "a9111e30faa99339",
    TRAINER._get_output_dir: "97172085342ac46c",
}
PARAMETERS = {
    TRAINER._save_checkpoint: ["self", "model", "trial"],
    TRAINER._get_output_dir: ["self", "trial"],
    TRAINER._get_train_sampler: ["self", "train_dataset"],
}


def digest(function) -> str:
    return hashlib.sha256(inspect.getsource(inspect.unwrap(function)).encode()).hexdigest()[:16]


@pytest.mark.parametrize("function", PINNED, ids=lambda function: function.__qualname__)
def test_what_we_override_is_what_we_read(function):
    assert digest(function) == PINNED[function], (
        f"{function.__qualname__} is another one in transformers {transformers.__version__}: "
        "read it, check our overrides, then pin this hash"
    )


@pytest.mark.parametrize("function", PARAMETERS, ids=lambda function: function.__qualname__)
def test_parameters_of_what_we_override(function):
    assert list(inspect.signature(inspect.unwrap(function)).parameters) == PARAMETERS[function]


def test_all_that_is_overridden_is_known():
    ours = {name for name in vars(TrainerHooks) if name.startswith("_") and not name.startswith("__")}
    assert ours == {function.__name__ for function in PARAMETERS}


def test_the_scheduler_that_we_make_is_the_one_that_is_kept(tmp_path):
    class Ours(TrainerHooks, TRAINER):
        pass

    trainer = Ours(torch.nn.Linear(1, 1), transformers.TrainingArguments(str(tmp_path), report_to=[], use_cpu=True))
    before = vars(trainer).copy()
    trainer.keep_scheduler()
    (changed,) = {name for name, value in vars(trainer).items() if name not in before or before[name] is not value}
    assert before[changed] is False, "transformers keeps this flag under another name"


def test_what_is_read_of_a_model_is_there():
    model = tiny_model()
    assert takes_attention_functions(model)
    assert not is_recurrent(model)
    assert transformers.MambaForCausalLM._is_stateful
    model.set_attn_implementation("eager")
    assert attention_implementation(model.config) == "eager"


def test_where_a_model_was_loaded_from_is_forgotten(tmp_path):
    tiny_model().save_pretrained(tmp_path)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.config.name_or_path == str(tmp_path)
    forget_origin(model)
    assert model.config.name_or_path == ""
