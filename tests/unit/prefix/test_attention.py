"""Attention over a packed tree: every way of computing it against the dense mask; which models are refused."""

import json
import re

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("peft", reason="the train extra is not installed")
import transformers  # noqa: E402

from rmr1.errors import ConfigError, InputError  # noqa: E402
from rmr1.prefix import attention, build_tree, pack  # noqa: E402
from rmr1.prefix.logprobs import (  # noqa: E402
    disagreement,
    reading_logprobs,
    sequence_logprobs,
)
from rmr1.prefix.parts import split_attention  # noqa: E402
from rmr1.prefix.support import core_model, unsupported_reason  # noqa: E402
from tests.support.tiny_model import tiny_model  # noqa: E402

HEAD = 8
ROWS = [
    [1] * 40 + [2] * 5,
    [1] * 40 + [3] * 9 + [4] * 3,
    [1] * 40 + [3] * 9 + [5],
    [1] * 40 + [3] * 9,
    [7] * 13,
]


@pytest.fixture
def packed():
    return pack(build_tree(ROWS))


def states(tokens, heads=6, sharing=3, dtype=torch.float64):
    torch.manual_seed(0)
    # As a model makes them: the heads of a token lie together.
    made = [torch.randn(1, tokens, count, HEAD, dtype=dtype) for count in (heads, heads // sharing, heads // sharing)]
    return [tensor.transpose(1, 2).requires_grad_() for tensor in made]


def dense(query, key, value, packed, scale):
    mask = attention.TreeMask(packed, torch.device("cpu")).dense()
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=scale, enable_gqa=True
    )


@pytest.mark.parametrize("sharing", [1, 3, 6])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6), (torch.bfloat16, 3e-2)]
)
def test_split_attention_and_its_gradient_are_those_of_the_mask(packed, sharing, dtype, tolerance):
    results = []
    for compute in (split_attention, dense):
        given = states(len(packed.tokens), sharing=sharing, dtype=dtype)
        mixed = compute(*given, packed.spans if compute is split_attention else packed, 0.7)
        assert mixed.dtype == dtype
        mixed.backward(torch.sin(torch.arange(mixed.numel())).view_as(mixed).to(dtype))
        results.append([mixed.detach(), *(tensor.grad for tensor in given)])
    for ours, expected in zip(*results, strict=True):
        assert torch.allclose(ours, expected, atol=tolerance * float(expected.abs().max()), rtol=0)


def test_the_gradient_of_split_attention_is_that_of_finite_differences():
    packed = pack(build_tree([[1, 1, 2], [1, 1, 3, 3], [1, 4]]))
    given = states(len(packed.tokens), heads=2, sharing=2)
    assert torch.autograd.gradcheck(lambda *qkv: split_attention(*qkv, packed.spans, 0.7), given)


@pytest.mark.filterwarnings("ignore:.*flex_attention called without torch.compile.*")
def test_the_predicate_of_flex_attention_gives_the_same(packed):
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    tokens = len(packed.tokens)
    predicate = attention.sees(torch.tensor(packed.ends()))
    blocks = create_block_mask(predicate, None, None, tokens, tokens, device="cpu", BLOCK_SIZE=16)
    assert 0 < blocks.sparsity() < 100
    with torch.no_grad():
        given = [tensor.detach() for tensor in states(tokens, dtype=torch.float32)]
        flexible = flex_attention(*given, block_mask=blocks, scale=0.7, enable_gqa=True)
        assert torch.allclose(flexible, split_attention(*given, packed.spans, 0.7), atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*flex_attention called without torch.compile.*")
def test_a_model_runs_with_flex_attention_where_there_are_blocks(monkeypatch):
    """As on CUDA, but for the compilation, and without gradients, which flex_attention has no CPU code for."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention
    from transformers.integrations import flex_attention as library

    class WithBlocks(attention.TreeMask):
        def __init__(self, packed, device):
            super().__init__(packed, device)
            length = len(packed.tokens)
            self.blocks = create_block_mask(attention.sees(self.ends), None, None, length, length, device=device)

    def uncompiled(*states, training, **options):
        calls.append(training)
        return flex_attention(*states, **options)

    calls: list[bool] = []
    model = tiny_model(initializer_range=0.2).requires_grad_(False)
    prompts, completions = [row[:12] for row in ROWS], [row[12:] for row in ROWS]
    split = sequence_logprobs(model, prompts, completions).logprobs
    monkeypatch.setattr(attention, "TreeMask", WithBlocks)
    monkeypatch.setattr(library, "compile_friendly_flex_attention", uncompiled)
    flexible = sequence_logprobs(model, prompts, completions).logprobs
    assert len(calls) == 2
    assert torch.allclose(split, flexible, atol=1e-5)


def test_where_the_kernel_is_missing_the_mask_takes_its_place(monkeypatch):
    model = tiny_model(initializer_range=0.2)
    prompts, completions = [row[:30] for row in ROWS], [row[30:] for row in ROWS]
    prompts[-1], completions[-1] = ROWS[-1][:5], ROWS[-1][5:]
    split = sequence_logprobs(model, prompts, completions).logprobs
    monkeypatch.setattr(attention, "can_split", lambda query, value: False)
    masked = sequence_logprobs(model, prompts, completions).logprobs
    assert torch.allclose(split, masked, atol=1e-5)


def test_calls_without_a_tree_are_as_before_and_nothing_of_it_is_saved(tmp_path):
    model = tiny_model().eval()
    ids = torch.tensor([[0, 0, 5, 6, 7], [3, 4, 5, 6, 7]])
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    before = model(input_ids=ids, attention_mask=mask).logits
    written = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=4, do_sample=False)
    sequence_logprobs(model, [[1, 2]], [[3]])
    assert model(input_ids=ids, attention_mask=mask).logits.equal(before)
    assert model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=4, do_sample=False).equal(written)
    model.save_pretrained(tmp_path)
    assert attention.IMPLEMENTATION not in json.dumps(json.loads((tmp_path / "config.json").read_text()))
    assert not model.get_output_embeddings()._forward_hooks
    assert not model.get_output_embeddings()._forward_pre_hooks


def test_what_takes_the_mask_for_one_yields_no_number(packed):
    model = tiny_model()
    inputs = attention.tree_inputs(packed, torch.device("cpu"))
    del inputs["prefix_attention"]
    assert model(**inputs).logits.isnan().all()


def test_a_layer_that_asks_for_more_than_plain_attention_is_an_error(packed):
    given = states(len(packed.tokens))
    mask = attention.TreeMask(packed, torch.device("cpu"))
    with pytest.raises(ConfigError, match="dropout"):
        attention.prefix_attention_forward(None, *given, None, dropout=0.1, prefix_attention=mask)
    with pytest.raises(ConfigError, match="softcap"):
        attention.prefix_attention_forward(None, *given, None, softcap=30.0, prefix_attention=mask)


def test_hooks_are_gone_after_an_error():
    head = torch.nn.Linear(4, 7)
    with pytest.raises(RuntimeError), reading_logprobs(head, torch.zeros(3, dtype=torch.long), 1.0, False):
        head(torch.zeros(1, 3, 5))
    assert head(torch.zeros(1, 3, 4)).shape == (1, 3, 7)


def test_nothing_to_predict_and_impossible_requests():
    model = tiny_model()
    nothing = sequence_logprobs(model, [[1, 2], [3]], [[], []], entropy=True)
    assert nothing.logprobs.shape == nothing.entropies.shape == (2, 0)
    with pytest.raises(InputError, match="first token"):
        sequence_logprobs(model, [[]], [[1, 2]])
    with pytest.raises(InputError, match="temperature"):
        sequence_logprobs(model, [[1]], [[1, 2]], temperature=0.0)
    with pytest.raises(TypeError, match="Linear is not a model"):
        core_model(torch.nn.Linear(1, 1))


SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 64,
    "pad_token_id": 0,
}
REFUSED = {
    "^it has layers of sliding_attention": ("Gemma2", {}),
    "sliding_window is 4": ("Mistral", {"sliding_window": 4}),
    "layers of sliding_attention$": (
        "Qwen3",
        {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ),
    "attention_dropout is 0.1": ("Llama", {"attention_dropout": 0.1}),
    "logits_scaling is 8.0": ("Granite", {"logits_scaling": 8.0}),
    "logit_scale is 0.0625": ("Cohere", {}),
    "cannot be exchanged|layers of linear_attention": ("Qwen3Next", {}),
    "cannot be exchanged|recurrent": ("Mamba", {}),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_model_that_cannot_is_refused_with_the_reason(reason):
    family, changes = REFUSED[reason]
    config = getattr(transformers, f"{family}Config")(**SMALL, **changes)
    with torch.device("meta"):
        model = getattr(transformers, f"{family}ForCausalLM")(config)
    refusal = unsupported_reason(model)
    assert refusal is not None
    assert re.search(reason, refusal)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_an_encoder_with_a_decoder_and_learnt_prompts_are_refused():
    with torch.device("meta"):
        encoder = transformers.T5ForConditionalGeneration(transformers.T5Config(d_model=8, num_layers=1, d_ff=8))
    assert "encoder" in unsupported_reason(encoder)
    from peft import PromptTuningConfig, get_peft_model

    prompted = get_peft_model(tiny_model(), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))
    assert "before the prompt" in unsupported_reason(prompted)


def test_trying_a_model_finds_what_its_configuration_does_not_say(monkeypatch):
    model = tiny_model(initializer_range=0.2)
    assert unsupported_reason(model) is None
    assert disagreement(model) < 1e-5
    assert model.training
    original = model.model.layers[1].forward
    # A layer that looks at its neighbour in the row, as a convolution does.
    monkeypatch.setattr(
        model.model.layers[1], "forward", lambda states, **more: original(states + states.roll(1, 1), **more)
    )
    assert disagreement(model) > 1e-3
