"""Sampling the next token of each sequence."""

import math
import random

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("transformers", reason="the train extra is not installed")


from rmr1.prefix.decoding.sampling import Sampler, choose  # noqa: E402
from rmr1.records import Sampling  # noqa: E402


def sampler(seed, temperature=1.0, top_p=1.0, logprobs=False, **sampling):
    return Sampler(Sampling(temperature, top_p, 8, seed, **sampling), logprobs)


def test_tokens_are_drawn_with_their_probabilities():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]]))
    one = sampler(7)
    drawn = [choose(logits, [one])[0].token for _ in range(4000)]
    for token, expected in enumerate((0.5, 0.3, 0.2)):
        assert drawn.count(token) / 4000 == pytest.approx(expected, abs=0.03)


def test_temperature_and_top_p():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]]))
    assert {choose(logits, [sampler(seed, top_p=0.6)])[0].token for seed in range(200)} == {0, 1}
    assert {choose(logits, [sampler(seed, top_p=0.5)])[0].token for seed in range(200)} == {0}
    assert {choose(logits, [sampler(seed, temperature=0.05)])[0].token for seed in range(200)} == {0}
    assert {choose(logits, [sampler(seed, temperature=50.0)])[0].token for seed in range(200)} == {0, 1, 2}


CUTS = [
    ({"top_k": 2}, {0: 0.5, 1: 0.5}),  # of equal tokens, the first
    ({"top_k": 1}, {0: 1}),
    ({"top_k": 0}, {0: 0.3, 1: 0.3, 2: 0.3, 3: 0.1}),
    ({"top_k": 9}, {0: 0.3, 1: 0.3, 2: 0.3, 3: 0.1}),
    ({"min_p": 0.34}, {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}),
    ({"min_p": 0.3}, {0: 0.3, 1: 0.3, 2: 0.3, 3: 0.1}),
    ({"min_p": 1.0}, {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}),
    ({"top_k": 2, "top_p": 0.4}, {0: 1}),  # top-p counts what top-k has left: 0.5 and 0.5
    ({"top_p": 0.7}, {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}),
    ({"temperature": 0.5, "min_p": 0.12}, {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}),  # the temperature comes first
    ({"temperature": 0.5}, {0: 0.09 / 0.28, 1: 0.09 / 0.28, 2: 0.09 / 0.28, 3: 0.01 / 0.28}),
    (
        {"temperature": 2.0, "min_p": 0.57},
        {token: p**0.5 / (3 * 0.3**0.5 + 0.1**0.5) for token, p in enumerate((0.3, 0.3, 0.3, 0.1))},
    ),
]


@pytest.mark.parametrize(("sampling", "expected"), CUTS)
def test_what_is_drawn_from_is_what_top_k_and_min_p_leave(sampling, expected):
    """Drawn at 2,000 even shares of the distribution, so that the counts are the probabilities."""
    logits = torch.log(torch.tensor([[0.3, 0.3, 0.3, 0.1]]))

    class Even:
        def __init__(self):
            self.drawn = 0

        def random(self):
            self.drawn += 1
            return (self.drawn - 0.5) / 2000

    one = sampler(0, **sampling)
    one.chance = Even()
    drawn = [choose(logits, [one])[0].token for _ in range(2000)]
    assert {token: drawn.count(token) / 2000 for token in sorted(set(drawn))} == pytest.approx(expected, abs=0.002)


def test_each_sequence_of_a_batch_has_its_own_cut():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]])).expand(5, 3)
    kinds = ({}, {"top_k": 1}, {"top_k": 2}, {"min_p": 0.5}, {"min_p": 0.9})
    drawn = [choose(logits, [sampler(seed, **kind) for kind in kinds]) for seed in range(200)]
    assert [{row[number].token for row in drawn} for number in range(5)] == [{0, 1, 2}, {0}, {0, 1}, {0, 1}, {0}]


def test_impossible_tokens_are_never_drawn():
    logits = torch.tensor([[-math.inf, 0.0, -math.inf, 0.0, -math.inf]])
    assert {choose(logits, [sampler(seed)])[0].token for seed in range(300)} == {1, 3}


@pytest.mark.parametrize("vocabulary", [256, 1000, 5000])
def test_a_draw_is_the_token_at_that_share_of_the_distribution(vocabulary):
    logits = 4 * torch.randn(6, vocabulary, generator=torch.Generator().manual_seed(vocabulary))
    logits[:, 300:600] = -math.inf
    reached = logits.double().softmax(-1).cumsum(-1)
    for seed in range(200):
        shares = [random.Random(seed + row).random() for row in range(6)]
        drawn = choose(logits, [sampler(seed + row) for row in range(6)])
        for row, (share, choice) in enumerate(zip(shares, drawn, strict=True)):
            below = reached[row, choice.token - 1] if choice.token else 0.0
            assert below - 1e-6 <= share < reached[row, choice.token] + 1e-6
            assert logits[row, choice.token] > -math.inf


def test_rows_of_all_kinds_in_one_batch():
    logits = torch.log(torch.tensor([[0.1, 0.9], [0.9, 0.1], [0.5, 0.5]]))
    greedy, drawing, nucleus = choose(logits, [sampler(1, 0.0, logprobs=True), sampler(2), sampler(3, top_p=0.4)])
    assert (greedy.token, drawing.logprob) == (1, None)
    assert greedy.logprob == pytest.approx(math.log(0.9), abs=1e-5)
    assert [token for token, _ in greedy.top] == [1, 0]
    assert nucleus.token in (0, 1)
