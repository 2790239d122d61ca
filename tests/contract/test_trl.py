"""What our trainers take for granted of TRL and transformers beyond their documented interfaces.

A failure here is no defect yet: another release has changed code that we override or call. Read the new code, see whether
``rmr1.training.rl.trainer`` and ``rmr1.training.checkpointed_trainer`` still do what they say, then pin the new hash.
"""

import hashlib
import inspect

import pytest

trl = pytest.importorskip("trl", reason="the train extra is not installed")
import torch  # noqa: E402
import transformers  # noqa: E402

GRPO, TRAINER = trl.GRPOTrainer, transformers.Trainer
PINNED = {
    GRPO._generate_and_score_completions: "1fa48922792dcd5c",
    GRPO._generate_single_turn: "e0f02e4fc094cefd",
    GRPO._generate: "2a27fdf8f5e6f356",
    GRPO._prepare_inputs: "f824e7fb07147956",
    GRPO._get_per_token_logps_and_entropies: "ea73c3909275851d",
    GRPO._calculate_rewards: "736ae29b083840b5",
    GRPO._compute_loss: "80295546bbdbf6f7",
    trl.SFTTrainer.compute_loss: "ca448211ff653fe6",
    TRAINER._save_checkpoint: "a9111e30faa99339",
    TRAINER._get_output_dir: "97172085342ac46c",
}
PARAMETERS = {
    GRPO._generate_and_score_completions: ["self", "inputs"],
    GRPO._generate_single_turn: [
        *("self", "prompt_ids", "images", "multimodal_fields", "num_generations", "has_tool_images"),
    ],
    TRAINER._save_checkpoint: ["self", "model", "trial"],
    TRAINER._get_output_dir: ["self", "trial"],
}


def digest(function) -> str:
    return hashlib.sha256(inspect.getsource(inspect.unwrap(function)).encode()).hexdigest()[:16]


@pytest.mark.parametrize("function", PINNED, ids=lambda function: function.__qualname__)
def test_what_we_override_or_build_on_is_what_we_read(function):
    assert digest(function) == PINNED[function], (
        f"{function.__qualname__} is another one in trl {trl.__version__}, transformers {transformers.__version__}: "
        "read it, check our overrides, then pin this hash"
    )


@pytest.mark.parametrize("function", PARAMETERS, ids=lambda function: function.__qualname__)
def test_parameters_of_what_we_override(function):
    assert list(inspect.signature(inspect.unwrap(function)).parameters) == PARAMETERS[function]


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


def test_the_scheduler_that_we_make_is_the_one_that_is_kept(tmp_path):
    model = torch.nn.Linear(1, 1)
    trainer = TRAINER(model, transformers.TrainingArguments(str(tmp_path), report_to=[], use_cpu=True))
    assert hasattr(trainer, "_created_lr_scheduler")
