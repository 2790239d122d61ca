"""The loss of a frozen batch: what should not matter must leave it as it is."""

import json
import math
from pathlib import Path

import pytest

from rmr1.engines.chat_text import ChatText
from rmr1.records import Message
from rmr1.training.sft.evaluation import evaluate
from rmr1.training.sft.traces import Trace, tokenise
from rmr1.training.shared_rows import row_logprobs, sharing_unsupported_reason, summed_nll
from tests.support.tiny_model import tiny_model, tiny_tokenizer, trace_row

torch = pytest.importorskip("torch", reason="the train extra is not installed")
GOLDEN = json.loads((Path(__file__).parent / "sft_loss.json").read_text())


@pytest.fixture(scope="module")
def model():
    """Weights from a formula: random numbers may change between versions of torch."""
    tiny = tiny_model()
    with torch.no_grad():
        for number, (_, weights) in enumerate(sorted(tiny.named_parameters())):
            if weights.dim() > 1:
                count = torch.arange(weights.numel(), dtype=torch.float64)
                weights.copy_((0.3 * torch.sin(count * 0.7 + number + (count / 7) ** 2)).view(weights.shape))
    return tiny


@pytest.fixture(scope="module")
def examples():
    rows = [trace_row(number, "AB"[number % 2], words=5) for number in (1, 3, 4, 7)]
    traces = [
        Trace(
            row["id"],
            tuple(Message(**turn) for turn in row["prompt"]),
            row["completion"][0]["content"],
            row["label"],
            "g",
        )
        for row in rows
    ]
    tokenizer = tiny_tokenizer()
    return tokenise(traces, tokenizer, ChatText(tokenizer, "tiny"), 1000, verdicts=True).examples


def batch(examples):
    longest = max(len(example.tokens) for example in examples)
    rows = [(list(e.tokens), e.labels, [1] * len(e.tokens)) for e in examples]
    padded = [
        (ids + [0] * (longest - len(ids)), labels + [-100] * (longest - len(ids)), mask + [0] * (longest - len(ids)))
        for ids, labels, mask in rows
    ]
    ids, labels, mask = (torch.tensor(part) for part in zip(*padded, strict=True))
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def packed(examples):
    return {
        "input_ids": torch.tensor([[token for e in examples for token in e.tokens]]),
        "labels": torch.tensor([[label for e in examples for label in e.labels]]),
        "position_ids": torch.tensor([[place for e in examples for place in range(len(e.tokens))]]),
    }


def gradients(model, inputs):
    model.zero_grad()
    loss = summed_nll(model, inputs, -100)
    loss.backward()
    return loss.item(), {name: weights.grad.clone() for name, weights in model.named_parameters()}


def alone(model, examples):
    """The plain way: one example after the other, all logits, the library's own forward."""
    model.zero_grad()
    total = 0.0
    for example in examples:
        ids, labels = torch.tensor([example.tokens]), torch.tensor([example.labels])
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, labels[0, 1:], ignore_index=-100, reduction="sum")
        loss.backward()
        total += loss.item()
    return total, {name: weights.grad.clone() for name, weights in model.named_parameters()}


def assert_same(one, other):
    assert one[0] == pytest.approx(other[0], rel=1e-5)
    for name, gradient in one[1].items():
        torch.testing.assert_close(gradient, other[1][name], rtol=1e-3, atol=1e-4)


def test_the_loss_is_the_frozen_one(model, examples):
    assert summed_nll(model, batch(examples), -100).item() == pytest.approx(GOLDEN["summed_loss"], rel=1e-4)


def test_a_shared_beginning_changes_neither_loss_nor_gradient(model, examples):
    assert_same(gradients(model, batch(examples)), alone(model, examples))


def test_packed_examples_do_not_see_each_other(model, examples):
    first = packed(examples)
    hidden = model.base_model(
        input_ids=first["input_ids"], position_ids=first["position_ids"], use_cache=False
    ).last_hidden_state
    changed = {**first, "input_ids": first["input_ids"].clone()}
    start = len(examples[0].tokens)
    changed["input_ids"][0, :start] = 7
    after = model.base_model(
        input_ids=changed["input_ids"], position_ids=first["position_ids"], use_cache=False
    ).last_hidden_state
    assert not torch.equal(hidden[0, :start], after[0, :start])
    torch.testing.assert_close(hidden[0, start:], after[0, start:], rtol=0, atol=0)


def test_equal_examples_count_twice(model, examples):
    same = batch([examples[0], examples[0]])
    assert_same(gradients(model, same), alone(model, [examples[0]] * 2))


def test_rows_of_rollouts_have_the_log_probabilities_of_the_plain_way(model, examples):
    """Prompts padded left, completions padded right, one of them masked out."""
    width = max(len(example.tokens) - example.prompt_length for example in examples)
    widest = max(example.prompt_length for example in examples)
    ids, mask = torch.zeros(4, widest + width, dtype=torch.long), torch.zeros(4, widest + width, dtype=torch.long)
    for row, example in enumerate(examples):
        start, end = widest - example.prompt_length, widest - example.prompt_length + len(example.tokens)
        ids[row, start:end], mask[row, start:end] = torch.tensor(example.tokens), 1
    mask[2, widest:] = 0
    found, entropies = row_logprobs(model, ids, mask, width, temperature=0.7, entropy=True)
    assert found.shape == entropies.shape == (4, width)
    assert not found[2].any()
    for row, example in enumerate(examples):
        if row == 2:
            continue
        tokens = torch.tensor([example.tokens])
        plain = (model(input_ids=tokens).logits[0, example.prompt_length - 1 : -1] / 0.7).log_softmax(-1)
        length = len(example.tokens) - example.prompt_length
        expected = plain.gather(1, tokens[0, example.prompt_length :, None])[:, 0]
        torch.testing.assert_close(found[row, :length], expected, rtol=0, atol=2e-4)
        torch.testing.assert_close(entropies[row, :length], -(plain.exp() * plain).sum(-1), rtol=0, atol=2e-4)
        assert not found[row, length:].any()


def test_rows_without_anything_to_learn_still_call_the_model(model, examples):
    inputs = batch(examples)
    mask = inputs["attention_mask"].clone()
    mask[:, -20:] = 0
    model.zero_grad()
    found, _ = row_logprobs(model, inputs["input_ids"], mask, 20)
    found.sum().backward()
    assert not found.any()
    assert all(weights.grad is not None and not weights.grad.any() for weights in model.parameters())


def test_the_evaluation_is_the_same_loss_and_finds_the_verdict(model, examples):
    held = evaluate(model, examples, 0, "cpu")
    learnt = sum(len(example.tokens) - example.prompt_length for example in examples)
    assert held.loss == pytest.approx(alone(model, examples)[0] / learnt, rel=1e-5)
    assert held.loss == pytest.approx(GOLDEN["summed_loss"] / learnt, rel=1e-4)
    probabilities = []
    for example in examples:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([example.tokens])).logits[0, example.verdict.index - 1]
        margin = (logits[example.verdict.gold] - logits[example.verdict.other]).item()
        probabilities.append(1 / (1 + math.exp(-margin)))
    assert held.p_gold == pytest.approx(sum(probabilities) / len(probabilities), rel=1e-4)
    assert held.accuracy == sum(probability > 0.5 for probability in probabilities) / len(examples)


def test_what_is_not_shared_has_its_reason(model):
    assert sharing_unsupported_reason(model, "auto") is None
    assert sharing_unsupported_reason(model, "off") == "prefix_sharing is off"
    model.config.final_logit_softcapping = 30.0
    try:
        assert "final_logit_softcapping" in sharing_unsupported_reason(model, "auto")
    finally:
        del model.config.final_logit_softcapping
