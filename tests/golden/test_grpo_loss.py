"""The loss of stage 2 against the formula, whatever the micro-batch, and against the one-file example.

The rollouts are fixed: a scripted rollout_backend answers instead of the model.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("trl", reason="the train extra is not installed")

from rmr1.config import RlConfig  # noqa: E402
from rmr1.errors import ConfigError, DataError, TrainingError  # noqa: E402
from rmr1.models.loading import load_causal_lm  # noqa: E402
from rmr1.training import train_rl  # noqa: E402
from rmr1.training.rl.trainer import VerdictTrainer  # noqa: E402
from tests.support.engines import answer  # noqa: E402
from tests.support.tiny_model import tiny_tokenizer, write_pairs_file, write_tiny_model  # noqa: E402
from tests.support.training import Memory  # noqa: E402

END = "<|im_end|>"
PAIRS = 4
SMALL = {
    "pairs_per_step": PAIRS,
    "micro_batch_size": 4,
    "max_steps": 1,
    "rollouts": 2,
    "max_tokens": 64,
    "template": "cor-brief",
    "learning_rate": 1e-3,
    "max_grad_norm": 1e9,
    "threads": 1,
    "precision": "float32",
    "held_out_share": 0.0,
    "evaluations": 0,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "tiny")
    write_pairs_file(tmp_path / "pairs.jsonl", PAIRS)
    return tmp_path


@pytest.fixture
def rollouts(monkeypatch):
    """What was written, as (prompt, completion, reward); the first two pairs get both verdicts, the others only right ones."""
    tokenizer, seen = tiny_tokenizer(), []

    def write(self, prompts, samplings):
        completions = []
        for place, (rollout, prompt) in enumerate(zip(self.under_way.rollouts, prompts, strict=True)):
            shown, number = rollout.shown, rollout.number
            wrong = "B" if shown.gold == "A" else "A"
            mixed = shown.pair_id in ("p0", "p1")
            letter = (shown.gold if (number + (shown.order == "ba")) % 2 else wrong) if mixed else shown.gold
            text = f"{'reason ' * (1 + place % 3)}{answer(letter)}{END}"
            completions.append(tokenizer(text)["input_ids"])
            seen.append((list(prompt), completions[-1], 1.0 if letter == shown.gold else -1.0))
        return completions

    monkeypatch.setattr(VerdictTrainer, "write", write)
    return seen


def train(folder, name, **settings):
    memory = Memory()
    config = RlConfig(model=str(folder / "tiny"), **{**SMALL, **settings})
    result = train_rl(folder / "pairs.jsonl", config, run=folder / name, callbacks=memory)
    return memory.steps, load_causal_lm(str(result.model))[0]


def logprobs(model, prompt, completion):
    ids = torch.tensor([prompt + completion])
    scores = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    return scores.gather(1, ids[0, len(prompt) :, None])[:, 0]


def advantages(seen, group):
    rewards = torch.tensor([reward for _, _, reward in seen]).view(-1, group)
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    return (centred / (rewards.std(dim=1, keepdim=True) + 1e-6)).view(-1)


def test_a_pair_that_comes_twice_in_a_step_is_drawn_anew(folder, rollouts, monkeypatch):
    scripted, seeds = VerdictTrainer.write, []

    def write(self, prompts, samplings):
        seeds.extend(sampling.seed for sampling in samplings)
        return scripted(self, prompts, samplings)

    monkeypatch.setattr(VerdictTrainer, "write", write)
    train(folder, "twice", pairs_per_step=2 * PAIRS, epochs=2)
    assert len(set(seeds)) == len(seeds) == 2 * PAIRS * 4


def test_rollouts_that_are_asked_for_at_another_time_are_refused(folder, rollouts, monkeypatch):
    scripted, seen = VerdictTrainer.write, []

    def write(self, prompts, samplings):
        with pytest.raises(TrainingError, match="no rollouts are written and scored yet"):
            _ = self.batch
        seen.append(self)
        return scripted(self, prompts, samplings)

    monkeypatch.setattr(VerdictTrainer, "write", write)
    train(folder, "order")
    (trainer,) = seen
    assert len(trainer.batch.outcomes) == len(rollouts)
    with pytest.raises(TrainingError, match="outside of a batch"):
        trainer.reward([], [])


def test_a_context_that_leaves_no_room_for_prompts_is_named(folder):
    write_tiny_model(folder / "tiny", max_position_embeddings=100)
    with pytest.raises(DataError, match="longer than the 36 tokens that the model's context leaves; lower max_tokens"):
        train(folder, "short")


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["token-mean", "sequence-mean"])
def test_the_micro_batch_changes_neither_loss_nor_gradient(folder, rollouts, loss):
    first = []
    for micro in (1, 2, 4, 16):
        skip = loss == "token-mean"
        steps, _ = train(folder, f"run{micro}", micro_batch_size=micro, loss=loss, skip_zero_variance=skip)
        first.append(steps[0])
    for step in first[1:]:
        assert step.loss == pytest.approx(first[0].loss, rel=1e-4, abs=1e-7)
        assert step.grad_norm == pytest.approx(first[0].grad_norm, rel=1e-5)
    assert first[0].grad_norm > 1e-3


@pytest.mark.slow
def test_what_is_skipped_changes_neither_loss_nor_gradient_but_is_not_computed(folder, rollouts):
    skipped, left = train(folder, "skipped")
    whole, full = train(folder, "whole", skip_zero_variance=False)
    assert skipped[0].computed == pytest.approx(0.5)
    assert whole[0].computed == 1
    assert skipped[0].zero_variance == whole[0].zero_variance == 0.5
    assert skipped[0].loss == pytest.approx(whole[0].loss, rel=1e-4, abs=1e-7)
    assert skipped[0].grad_norm == pytest.approx(whole[0].grad_norm, rel=1e-5)
    for name, weights in full.state_dict().items():
        torch.testing.assert_close(left.state_dict()[name], weights, atol=1e-4, rtol=0)


@pytest.fixture
def noted(monkeypatch, rollouts):
    """What each optimiser step saw: its rollouts, and the weights that it began with."""
    original = VerdictTrainer.compute_loss
    steps = []

    def loss(self, model, inputs, *more, **named):
        if len(steps) == self.state.global_step:
            weights = {name: value.clone() for name, value in model.state_dict().items()}
            steps.append(([], weights))
        for row in range(len(inputs["advantages"])):
            prompt = inputs["prompt_ids"][row][inputs["prompt_mask"][row].bool()].tolist()
            written = inputs["completion_ids"][row][inputs["completion_mask"][row].bool()].tolist()
            taken = {number for rows, _ in steps for number in rows}
            fitting = [n for n, (p, c, _) in enumerate(rollouts) if (p, c) == (prompt, written) and n not in taken]
            steps[-1][0].append(fitting[0])
        return original(self, model, inputs, *more, **named)

    monkeypatch.setattr(VerdictTrainer, "compute_loss", loss)
    return steps


@pytest.mark.slow
def test_the_paper_preset_is_the_formula_of_grpo(folder, rollouts, noted):
    """Two steps on the rollouts of one policy, so that ratios and the divergence from the first model are not trivial."""
    paper = {"preset": "paper", "pairs_per_step": 2, "steps_per_rollout": 2, "max_steps": 2, "kl": 0.5}
    steps, _ = train(folder, "paper", **{name: SMALL[name] for name in ("held_out_share", "evaluations")}, **paper)
    first = load_causal_lm(str(folder / "tiny"))[0]
    scaled = advantages(rollouts, 2)
    with torch.no_grad():
        old = [logprobs(first, prompt, completion) for prompt, completion, _ in rollouts]
    assert [len(rows) for rows, _ in noted] == [4, 4]
    for step, (rows, weights) in zip(steps, noted, strict=True):
        model = load_causal_lm(str(folder / "tiny"))[0]
        model.load_state_dict(weights)
        loss = torch.zeros(())
        for row in rows:
            new = logprobs(model, *rollouts[row][:2])
            ratio = torch.exp(new - old[row])
            gain = torch.min(ratio * scaled[row], ratio.clamp(0.8, 1.2) * scaled[row])
            apart = torch.exp(old[row] - new) - (old[row] - new) - 1
            loss = loss - (gain - 0.5 * apart).mean() / len(rows)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
        assert step.loss == pytest.approx(loss.item(), rel=1e-4, abs=1e-6)
        assert step.grad_norm == pytest.approx(norm.item(), rel=1e-4)
    assert steps[1].kl > 0
    assert steps[1].loss != pytest.approx(steps[0].loss, abs=1e-4)


@pytest.mark.slow
def test_the_one_file_example_has_the_trainers_losses(folder, rollouts):
    example = _example()
    steps, trained = train(folder, "run")
    model = load_causal_lm(str(folder / "tiny"))[0]
    optimizer = torch.optim.AdamW(model.parameters(), lr=SMALL["learning_rate"], weight_decay=0.0)
    settings = example.Settings(max_grad_norm=1e9)
    losses = example.update(model, optimizer, [example.Rollout(*each) for each in rollouts], 4, settings)
    assert losses == [pytest.approx(steps[0].loss, rel=1e-4, abs=1e-7)]
    for name, weights in trained.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weights, atol=1e-4, rtol=0)


def _example():
    path = Path(__file__).parents[2] / "examples" / "grpo_in_one_file.py"
    spec = importlib.util.spec_from_file_location("grpo_in_one_file", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["grpo_in_one_file"] = module
    spec.loader.exec_module(module)
    return module


def test_a_sharded_model_needs_another_writer_and_no_held_out_pairs(folder, monkeypatch):
    monkeypatch.setattr(VerdictTrainer, "sharded", property(lambda trainer: True))
    with pytest.raises(ConfigError, match="take rollout_backend generate or vllm, and held_out_share=0"):
        train(folder, "sharded")
    with pytest.raises(ConfigError, match="held_out_share=0"):
        train(folder, "held", rollout_backend="generate", held_out_share=0.5, pairs_per_step=1)


def test_a_model_with_limited_attention_needs_another_writer(folder):
    write_tiny_model(folder / "tiny", sliding_window=16)
    with pytest.raises(ConfigError, match="sliding_window is 16; take rollout_backend generate"):
        train(folder, "limited")
