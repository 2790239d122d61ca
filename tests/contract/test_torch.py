"""What ``rmr1.prefix.torch_internals`` takes for granted of torch: kernels that are there, take what they are given, and compute
what the public functions compute.
"""

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")

from rmr1.prefix import torch_internals as internals  # noqa: E402

PACKS = pytest.mark.skipif(not internals.can_pack_weights(), reason="torch was built without MKL or oneDNN")


def states(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.skipif(not internals.has_cpu_attention(backward=True), reason="torch has no such kernel here")
def test_the_kernel_of_attention_gives_output_log_sums_and_gradients():
    query, key, value = (states(2, 3, 9, 8, seed=seed).requires_grad_() for seed in range(3))
    mixed, sums = internals.cpu_attention(query.detach(), key.detach(), value.detach(), True, None, 0.3)
    scores = (query @ key.transpose(-1, -2) * 0.3).masked_fill(torch.ones(9, 9).triu(1).bool(), float("-inf"))
    expected = scores.softmax(-1) @ value
    torch.testing.assert_close(mixed, expected.detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(sums, scores.logsumexp(-1).detach(), atol=1e-5, rtol=1e-4)
    upstream = states(2, 3, 9, 8, seed=4)
    expected.backward(upstream)
    found = internals.cpu_attention_backward(
        upstream, query.detach(), key.detach(), value.detach(), mixed, sums, True, 0.3
    )
    for gradient, states_of in zip(found, (query, key, value), strict=True):
        torch.testing.assert_close(gradient, states_of.grad, atol=1e-5, rtol=1e-4)


@PACKS
@pytest.mark.parametrize("bias", [None, states(70, seed=2)])
def test_products_with_packed_weights_are_those_of_linear(bias):
    weight, input = states(70, 50), states(5, 50, seed=1)
    expected = torch.nn.functional.linear(input, weight, bias)
    by_mkl = internals.mkl_linear(input, internals.packed_for_mkl(weight, 5), weight, bias, 5)
    by_onednn = internals.onednn_linear(input, internals.packed_for_onednn(weight, 5), bias)
    for found in (by_mkl, by_onednn):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_questions_about_the_processor_have_answers():
    assert internals.has_bfloat16_instructions() in (True, False)
    assert not internals.can_pack_weights() or internals.multiplies_packed_bfloat16() in (True, False)


@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")
def test_what_was_compiled_is_found_again():
    plain = torch.nn.Linear(2, 2)
    assert internals.compiled_from(torch.compile(plain)) is plain
    assert internals.compiled_from(plain) is None
