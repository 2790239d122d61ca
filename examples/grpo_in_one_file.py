"""Group-relative policy optimisation (GRPO) of a judge, the whole algorithm in one file.

A judge reads a question with two responses, writes its reasoning and a verdict ``[[A]]`` or ``[[B]]``. It is shown each pair in
both orders and writes several completions of each; a completion with the right verdict earns +1, any other text -1. What all
completions of a pair have earned on average is the baseline: completions above it become likelier, those below it less likely. No
value network, no reward model, no labels but "A is better".

``rmr1 rl`` does the same with TRL's trainer: on several GPUs, resumable, with vLLM, with fewer tokens computed. A test holds the
two to the same losses. This file is for reading, and for trying an idea in an afternoon:

    rmr1 sft --data traces.jsonl --run runs/judge
    python examples/grpo_in_one_file.py --model runs/judge --steps 10
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rmr1.curriculum import generate_pairs
from rmr1.models.loading import load_causal_lm
from rmr1.prompts import load_template, render_prompt
from rmr1.records import Generation, Order, PreferencePair, Side
from rmr1.reward import verdict_reward
from rmr1.sides import show
from rmr1.verdict import parse_verdict

ORDERS: tuple[Order, Order] = ("ab", "ba")


@dataclass
class Settings:
    """What you can change. Rewards are +1 and -1, so advantages lie between about -2.5 and 2.5."""

    template: str = "cor-brief"
    pairs_per_step: int = 8
    rollouts: int = 4  # of each order; a group is both orders of a pair
    max_tokens: int = 128
    temperature: float = 1.0
    learning_rate: float = 5e-6
    clip: float = 0.2
    max_grad_norm: float = 1.0
    updates_per_rollout: int = 1
    epsilon: float = 1e-6


@dataclass
class Rollout:
    """One completion: the tokens of its prompt and of what was written, and what that earned."""

    prompt: list[int]
    completion: list[int]
    reward: float


# 1. Ask -----------------------------------------------------------------------------------------------------------------------


def prompt_of(
    pair: PreferencePair, order: Order, tokenizer: PreTrainedTokenizerBase, template: str
) -> tuple[list[int], Side]:
    """The tokens that the judge reads, and the verdict that is right for that order."""
    comparison = show(pair, order)
    messages = render_prompt(comparison, load_template(template)).messages
    turns = [{"role": message.role, "content": message.content} for message in messages]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert comparison.gold is not None
    return tokenizer(text, add_special_tokens=False)["input_ids"], comparison.gold


@torch.no_grad()
def sample(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: list[list[int]], settings: Settings
) -> list[list[int]]:
    """Write one completion for each prompt; the token that ends it belongs to it."""
    width = max(len(prompt) for prompt in prompts)
    filler = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    ids = torch.tensor([[filler] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    model.eval()
    written = model.generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        do_sample=True,
        temperature=settings.temperature,
        top_k=0,
        top_p=1.0,
        max_new_tokens=settings.max_tokens,
        pad_token_id=filler,
    )[:, width:].tolist()
    model.train()
    return [up_to_the_end(row, stops(model, tokenizer)) for row in written]


def stops(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokens that end a completion."""
    declared = model.generation_config.eos_token_id
    return {tokenizer.eos_token_id, *([declared] if isinstance(declared, int) else declared or ())}


def up_to_the_end(tokens: list[int], ends: set[int]) -> list[int]:
    """Cut off what was written after the completion's end."""
    for place, token in enumerate(tokens):
        if token in ends:
            return tokens[: place + 1]
    return tokens


# 2. Reward --------------------------------------------------------------------------------------------------------------------


def reward_of(completion: list[int], gold: Side, tokenizer: PreTrainedTokenizerBase, ends: set[int]) -> float:
    """+1 for the right verdict, -1 for a wrong one, for none, and for a completion that was cut."""
    cut = not completion or completion[-1] not in ends
    text = tokenizer.decode(completion, skip_special_tokens=True)
    reward = verdict_reward(parse_verdict(Generation("rollout", text, "length" if cut else "stop")), gold)
    assert reward is not None
    return reward


def advantages_of(rewards: Tensor, group_size: int, epsilon: float = 1e-6) -> Tensor:
    """How much better than its group each rollout was: (R - mean) / (std + epsilon)."""
    groups = rewards.view(-1, group_size)
    centred = groups - groups.mean(dim=1, keepdim=True)
    return (centred / (groups.std(dim=1, keepdim=True) + epsilon)).view(-1)


# 3. Learn ---------------------------------------------------------------------------------------------------------------------


def log_probabilities(model: nn.Module, rollouts: Sequence[Rollout], temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probability of each written token, ``rollouts x longest``, and a mask of what was written."""
    width = max(len(rollout.prompt) + len(rollout.completion) for rollout in rollouts)
    longest = max(len(rollout.completion) for rollout in rollouts)
    device = next(model.parameters()).device
    rows = [torch.tensor(rollout.prompt + rollout.completion) for rollout in rollouts]
    ids = torch.stack([pad(row, (0, width - len(row))) for row in rows]).to(device)
    attends = torch.stack([pad(torch.ones_like(row), (0, width - len(row))) for row in rows]).to(device)
    logits = model(input_ids=ids, attention_mask=attends, use_cache=False).logits[:, :-1].float() / temperature
    of_next = -cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    written = torch.zeros(len(rollouts), longest, dtype=of_next.dtype, device=device)
    mask = torch.zeros_like(written)
    for row, rollout in enumerate(rollouts):
        start, length = len(rollout.prompt) - 1, len(rollout.completion)
        written[row, :length] = of_next[row, start : start + length]
        mask[row, :length] = 1
    return written, mask


def grpo_loss(new: Tensor, old: Tensor, mask: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """The clipped objective, as a mean over all written tokens of the batch.

    A token that has become likelier since it was written (ratio above 1) counts for more, up to ``1 + clip``: beyond that there is
    nothing more to gain from it in this step.
    """
    ratio = torch.exp(new - old)
    advantage = advantages[:, None]
    gain = torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    return -(gain * mask).sum() / mask.sum()


def update(
    model: nn.Module, optimizer: torch.optim.Optimizer, rollouts: Sequence[Rollout], group_size: int, settings: Settings
) -> list[float]:
    """Improve the model on one batch of rollouts; gives the loss of each update.

    Groups whose rollouts all earned the same have advantages of 0. They stay in the mean, but nothing has to be computed for them.
    """
    rewards = torch.tensor([rollout.reward for rollout in rollouts])
    advantages = advantages_of(rewards, group_size, settings.epsilon)
    live = [row for row in range(len(rollouts)) if advantages[row] != 0]
    if not live:
        return []
    chosen = [rollouts[row] for row in live]
    all_tokens = sum(len(rollout.completion) for rollout in rollouts)
    with torch.no_grad():
        old, mask = log_probabilities(model, chosen, settings.temperature)
    losses = []
    for _ in range(settings.updates_per_rollout):
        new, _ = log_probabilities(model, chosen, settings.temperature)
        share = mask.sum() / all_tokens  # from a mean over these tokens to a mean over all
        loss = share * grpo_loss(new, old, mask, advantages[live].to(new.device), settings.clip)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


# All of it --------------------------------------------------------------------------------------------------------------------


def roll_out(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Iterable[PreferencePair], settings: Settings
) -> list[Rollout]:
    """Judge each pair several times in both orders; the rollouts of a pair follow each other."""
    asked = [
        prompt_of(pair, order, tokenizer, settings.template)
        for pair in pairs
        for order in ORDERS
        for _ in range(settings.rollouts)
    ]
    completions = sample(model, tokenizer, [prompt for prompt, _ in asked], settings)
    ends = stops(model, tokenizer)
    return [
        Rollout(prompt, completion, reward_of(completion, gold, tokenizer, ends))
        for (prompt, gold), completion in zip(asked, completions, strict=True)
    ]


def main() -> None:
    """Train on the curriculum and print what happens."""
    arguments = argparse.ArgumentParser(description="GRPO of a judge, in one file.")
    arguments.add_argument("--model", required=True, help="a judge to begin with: a run of rmr1 sft, or a model folder")
    arguments.add_argument("--steps", type=int, default=10)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--save", help="folder for the trained model")
    given = arguments.parse_args()
    settings = Settings()
    torch.manual_seed(given.seed)
    model, tokenizer = load_causal_lm(given.model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    pairs = list(generate_pairs(None, [1], given.steps * settings.pairs_per_step, given.seed))
    random.Random(given.seed).shuffle(pairs)
    for step in range(given.steps):
        batch = pairs[step * settings.pairs_per_step :][: settings.pairs_per_step]
        rollouts = roll_out(model, tokenizer, batch, settings)
        update(model, optimizer, rollouts, settings.rollouts * len(ORDERS), settings)
        reward = sum(rollout.reward for rollout in rollouts) / len(rollouts)
        print(f"step {step + 1}: reward {reward:+.3f}, right {50 * (reward + 1):.0f} %", flush=True)
    if given.save:
        model.save_pretrained(given.save)
        tokenizer.save_pretrained(given.save)


if __name__ == "__main__":
    main()
