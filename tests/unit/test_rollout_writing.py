"""Sequences that are written over shared beginnings, against transformers and against the log-probabilities of training."""

import threading

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("transformers", reason="the train extra is not installed")

from rmr1.engines.hf.batch import Batch, Writing  # noqa: E402
from rmr1.engines.hf.packing import PackedLinears  # noqa: E402
from rmr1.prefix import parts  # noqa: E402
from rmr1.prefix.logprobs import sequence_logprobs  # noqa: E402
from rmr1.prefix.support import cannot_write  # noqa: E402
from rmr1.records import GenerationRequest, Sampling  # noqa: E402
from rmr1.training.grpo.writing import write  # noqa: E402
from tests.support.tiny_model import tiny_model  # noqa: E402

STOPS = frozenset({2, *range(200, 212)})
HEAD = list(range(50, 90))
PROMPTS = [[*HEAD, 100 + number, *range(110, 120 + 7 * number)] for number in range(3)]
MOST = 20


@pytest.fixture(scope="module")
def model():
    # Large initial weights, so that a random model has preferences; layers large enough to be packed.
    return tiny_model(initializer_range=0.15, hidden_size=256, intermediate_size=256, num_attention_heads=8).eval()


def greedy(model, prompt):
    """What transformers writes."""
    ids = torch.tensor([prompt])
    written = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=MOST, eos_token_id=sorted(STOPS)
    )
    return written[0, len(prompt) :].tolist()


@pytest.mark.parametrize("slots", [2, 5, 64])
def test_groups_are_written_as_transformers_writes_them(model, slots):
    expected = [greedy(model, prompt) for prompt in PROMPTS]
    assert {len(tokens) < MOST for tokens in expected} == {True, False}, "the model should show both ends"
    copies = [0, 0, 0, 1, 2, 2]
    samplings = [Sampling(0.0, 1.0, MOST, number) for number in range(len(copies))]
    assert write(model, [PROMPTS[copy] for copy in copies], samplings, STOPS, slots) == [
        expected[copy] for copy in copies
    ]


def test_what_is_drawn_does_not_depend_on_how_many_are_written_at_once(model):
    prompts = [prompt for prompt in PROMPTS for _ in range(4)]
    samplings = [Sampling(1.0, 1.0, 5 + 3 * (number % 5), number) for number in range(len(prompts))]
    once = write(model, prompts, samplings, STOPS, 64)
    assert write(model, prompts, samplings, STOPS, 3) == once
    assert len(set(map(tuple, once))) == len(once)


def test_log_probabilities_are_those_of_training(model):
    writings = [
        Writing(
            GenerationRequest(str(number), (), Sampling(1.0, 1.0, 12, number), logprobs=True),
            tuple(prompt),
            40,
            12,
            True,
        )
        for number, prompt in enumerate(prompt for prompt in PROMPTS for _ in range(2))
    ]
    batch, done = Batch(model, len(writings), frozenset()), []
    arriving = writings
    while arriving or batch.busy:
        done += batch.work(arriving, threading.Event())
        arriving = []
    prompts = [list(writing.prompt) for writing in writings]
    completions = [[choice.token for choice in writing.choices] for writing in writings]
    with torch.no_grad():
        expected = sequence_logprobs(model, prompts, completions).logprobs
    found = torch.tensor([[choice.logprob for choice in writing.choices] for writing in writings])
    assert torch.allclose(found, expected, atol=2e-5)
    assert [writing.cached for writing in writings] == [0, len(prompts[0]), 40, len(prompts[2]), 40, len(prompts[4])]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("form", ["plain", "causal", "masked"])
def test_parts_are_computed_alike_with_and_without_the_kernel(monkeypatch, dtype, form):
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 9, 8, dtype=dtype) for _ in range(3))
    options = {"plain": {}, "causal": {"causal": True}, "masked": {"mask": torch.zeros(2, 1, 1, 9)}}[form]
    if "mask" in options:
        options["mask"][:, :, :, 4:] = float("-inf")
    by_kernel = parts.attend(query, key, value, 0.3, **options)
    monkeypatch.setattr(parts, "has_kernel", lambda query, value: False)
    by_products = parts.attend(query, key, value, 0.3, **options)
    for ours, theirs in zip(by_products, by_kernel, strict=True):
        assert ours.dtype == theirs.dtype
        assert torch.allclose(ours.float(), theirs.float(), atol=1e-6 if dtype == torch.float32 else 2e-2)


def test_without_the_kernel_the_same_is_written(model, monkeypatch):
    samplings = [Sampling(0.0, 1.0, MOST, number) for number in range(3)]
    expected = write(model, PROMPTS, samplings, STOPS, 4)
    monkeypatch.setattr(parts, "has_kernel", lambda query, value: False)
    assert write(model, PROMPTS, samplings, STOPS, 4) == expected


def test_packed_weights_give_the_same_and_are_given_back(model):
    packed = PackedLinears(model, 5)
    states = torch.randn(5, 1, 256)
    layer = model.model.layers[0].mlp.up_proj
    with torch.inference_mode():
        expected = layer(states)
        with packed.used():
            assert "forward" in vars(layer) or not torch.backends.mkl.is_available()
            found = layer(states)
    assert torch.allclose(found, expected, atol=1e-5)
    assert "forward" not in vars(layer)


def test_only_what_gains_is_packed(model):
    assert not PackedLinears(model, 1)
    assert not PackedLinears(tiny_model(), 8), "its layers are too small"
    assert not PackedLinears(tiny_model(hidden_size=256, num_attention_heads=8).to(torch.bfloat16), 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert not PackedLinears(model, 8)


def test_models_whose_attention_is_limited_are_refused():
    assert cannot_write(tiny_model()) is None
    assert "sliding" in cannot_write(tiny_model(sliding_window=16))
    assert cannot_write(tiny_model(attention_dropout=0.1)) is None
