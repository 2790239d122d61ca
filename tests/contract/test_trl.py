"""What ``rmr1.training.trl_internals`` and the settings of stage 2 take for granted of TRL beyond its documented interface.

A failure here is no defect yet: another release has changed code that we override or build on. Read the new code, see whether
``trl_internals`` and ``rmr1.training.rl.trainer`` still do what they say, then pin the new hash.
"""

import hashlib
import inspect

import pytest

trl = pytest.importorskip("trl", reason="the train extra is not installed")

from rmr1.errors import TrainingError  # noqa: E402
from rmr1.training.trl_internals import OVERRIDDEN, GrpoHooks, check_trl  # noqa: E402

GRPO = trl.GRPOTrainer
PINNED = {
    GRPO._generate_and_score_completions: "1fa48922792dcd5c",
    GRPO._tokenize_prompts: "d2d27f7c9bfda85f",
    GRPO._generate_single_turn: "e0f02e4fc094cefd",
    GRPO._generate: "2a27fdf8f5e6f356",
    GRPO._prepare_inputs: "f824e7fb07147956",
    GRPO._get_per_token_logps_and_entropies: "ea73c3909275851d",
    GRPO._calculate_rewards: "736ae29b083840b5",
    GRPO._compute_loss: "80295546bbdbf6f7",
    trl.SFTTrainer.compute_loss: "ca448211ff653fe6",
}


def digest(function) -> str:
    return hashlib.sha256(inspect.getsource(inspect.unwrap(function)).encode()).hexdigest()[:16]


@pytest.mark.parametrize("function", PINNED, ids=lambda function: function.__qualname__)
def test_what_we_override_or_build_on_is_what_we_read(function):
    assert digest(function) == PINNED[function], (
        f"{function.__qualname__} is another one in trl {trl.__version__}: read it, check our overrides, then pin this hash"
    )


def test_all_that_is_overridden_is_pinned():
    ours = {name for name in vars(GrpoHooks) if name.startswith("_") and not name.startswith("__")}
    assert ours == set(OVERRIDDEN) == ours & {function.__name__ for function in PINNED}


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_a_method_with_other_parameters_is_refused_before_a_training_begins(monkeypatch, name):
    check_trl()
    monkeypatch.setattr(GRPO, name, lambda self, something_else: None)
    with pytest.raises(TrainingError, match=f"GRPOTrainer.{name} is not the one .* install trl"):
        check_trl()


def test_the_counters_that_buffered_rows_go_by_are_there():
    source = inspect.getsource(inspect.unwrap(GRPO.__init__))
    for line in ("self._step = 0", "self._buffered_inputs = None"):
        assert line in source


def test_the_batch_of_a_rollout_holds_what_is_selected_from():
    source = inspect.getsource(inspect.unwrap(GRPO._generate_and_score_completions))
    names = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "advantages", "num_items_in_batch")
    for name in names:
        assert f'"{name}": {name}' in source


def test_defaults_that_differ_from_the_paper_are_the_ones_we_know():
    """A new default would change what a preset means; those that we set ourselves are not listed."""
    fields = {name: field.default for name, field in trl.GRPOConfig.__dataclass_fields__.items()}
    known = {
        "num_iterations": 1,
        "importance_sampling_level": "token",
        "multi_objective_aggregation": "sum_then_normalize",
        "top_entropy_quantile": 1.0,
        "entropy_coef": 0.0,
        "delta": None,
        "off_policy_mask_threshold": None,
        "repetition_penalty": 1.0,
        "min_p": None,
        "sync_ref_model": False,
        "use_transformers_continuous_batching": False,
    }
    assert {name: fields[name] for name in known} == known
