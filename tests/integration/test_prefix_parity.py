"""The prefix tree against the plain padded path: log-probabilities and the gradients of all parameters, on random trees."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
peft = pytest.importorskip("peft", reason="the train extra is not installed")
import transformers  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from rmr1.prefix import attention, logprobs  # noqa: E402
from rmr1.prefix.logprobs import disagreement, sequence_logprobs  # noqa: E402
from rmr1.prefix.support import unsupported_reason  # noqa: E402

# Newer releases of transformers call it activation checkpointing, and warn.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
LOGPROBS, GRADIENTS = 2e-5, 1e-4
FAMILIES = ("Llama", "Qwen2", "Qwen3", "Gemma")
VOCABULARY = 40


def make(family, tied=True, **changes):
    shape = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "vocab_size": VOCABULARY,
        # Large enough for attention to be far from uniform: a wrong position or a missing ancestor has to show.
        "initializer_range": 0.2,
        "tie_word_embeddings": tied,
        "pad_token_id": 0,
    }
    config = getattr(transformers, f"{family}Config")(**shape | changes)
    torch.manual_seed(1)
    return getattr(transformers, f"{family}ForCausalLM")(config).train()


MODELS = {family: make(family) for family in FAMILIES}
# Different ones: where all tokens are equal, queries and keys have no gradient but rounding.
words = st.lists(st.integers(1, VOCABULARY - 1), min_size=2, max_size=6, unique=True)


@st.composite
def trees(draw):
    """Prompts and completions: instructions, then questions, then answers, of any lengths; some of them equal."""
    instructions = draw(st.lists(words, min_size=1, max_size=2))
    questions = [draw(st.sampled_from(instructions)) + draw(words) for _ in range(draw(st.integers(1, 3)))]
    starts = draw(st.lists(words, min_size=1, max_size=2))
    rows = draw(st.lists(st.tuples(st.sampled_from(questions), st.sampled_from(starts), words), min_size=2, max_size=6))
    return [prompt for prompt, _, _ in rows], [start + rest for _, start, rest in rows]


DEEP = (
    [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [1, 2, 3, 9], [1, 2, 3, 4, 5, 6, 7], [8, 8]],
    [[6, 7, 8], [6, 7, 9, 10, 11], [1], [1, 2, 3, 4], [6, 7, 8]],
)


def plain(model, prompts, completions, temperature=1.0):
    """One padded row a sequence, all logits."""
    rows = [prompt + completion for prompt, completion in zip(prompts, completions, strict=True)]
    width, longest = max(map(len, completions)), max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    everything = (model(input_ids=ids, attention_mask=mask).logits / temperature).log_softmax(-1)
    chosen, entropies = torch.zeros(len(rows), width), torch.zeros(len(rows), width)
    for number, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        here = everything[number, len(prompt) - 1 : len(prompt) - 1 + len(completion)]
        chosen[number, : len(completion)] = here.gather(1, torch.tensor(completion)[:, None])[:, 0]
        entropies[number, : len(completion)] = -(here.exp() * here).sum(-1).detach()
    return chosen, entropies


def gradients(model, values):
    model.zero_grad()
    weights = torch.cos(torch.arange(values.numel(), dtype=values.dtype)).view_as(values)
    (values * weights).sum().backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def differences(model, prompts, completions, temperature=1.0, **options):
    """The largest difference of log-probabilities, of entropies, and of a parameter's gradient relative to its size."""
    ours = sequence_logprobs(model, prompts, completions, temperature=temperature, entropy=True, **options)
    got = gradients(model, ours.logprobs)
    expected, entropies = plain(model, prompts, completions, temperature)
    wanted = gradients(model, expected)
    assert got.keys() == wanted.keys()
    # A gradient that is next to nothing is measured by the largest.
    least = 1e-3 * torch.stack([one.norm() for one in wanted.values()]).max()
    relative = max(float((got[name] - wanted[name]).norm() / wanted[name].norm().clamp(min=least)) for name in wanted)
    return (
        float((ours.logprobs - expected).detach().abs().max()),
        float((ours.entropies - entropies).abs().max()),
        relative,
    )


def agree(model, prompts, completions, **options):
    values, entropies, relative = differences(model, prompts, completions, min_shared=1, **options)
    assert values <= LOGPROBS
    assert entropies <= LOGPROBS
    assert relative <= GRADIENTS


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=8, derandomize=True, deadline=None)
@given(batch=trees())
def test_prefix_parity_on_random_trees(family, batch):
    agree(MODELS[family], *batch)


@pytest.mark.parametrize("family", FAMILIES)
def test_prefix_parity_of_what_is_supported(family):
    assert unsupported_reason(MODELS[family]) is None
    assert disagreement(MODELS[family]) <= LOGPROBS


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("reentrant", [False, True])
def test_prefix_parity_with_gradient_checkpointing(family, reentrant):
    model = make(family)
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    agree(model, *DEEP)


@pytest.mark.parametrize("family", FAMILIES)
def test_prefix_parity_under_autocast(family):
    """In bfloat16 both ways round a lot, and alike."""
    with torch.autocast("cpu", torch.bfloat16):
        values, entropies, _ = differences(make(family), *DEEP, min_shared=1)
    assert max(values, entropies) < 0.05


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj", "lm_head"]])
def test_prefix_parity_with_lora_and_checkpointing(family, targets):
    model = make(family, tied=False)
    config = peft.LoraConfig(r=3, target_modules=targets, init_lora_weights=False, task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(model, config)
    adapted.gradient_checkpointing_enable()
    adapted.enable_input_require_grads()
    assert unsupported_reason(adapted) is None
    agree(adapted.train(), *DEEP)


@pytest.mark.parametrize("family", ["Llama", "Qwen2"])
@pytest.mark.parametrize("key_heads", [4, 1])
def test_prefix_parity_with_untied_heads_and_any_sharing_of_keys(family, key_heads):
    agree(make(family, tied=False, num_key_value_heads=key_heads), *DEEP)


@pytest.mark.parametrize("options", [{"temperature": 0.7}, {"logits_memory": 1}, {"logits_memory": 4 * VOCABULARY * 5}])
def test_prefix_parity_with_temperature_and_logits_in_parts(options):
    agree(MODELS["Llama"], *DEEP, **options)


def test_prefix_parity_where_short_beginnings_are_computed_again():
    shared = [sequence_logprobs(MODELS["Qwen3"], *DEEP, min_shared=length) for length in (1, 4, 100)]
    assert shared[0].computed < shared[1].computed < shared[2].computed == shared[2].given
    for other in shared[1:]:
        assert torch.allclose(other.logprobs, shared[0].logprobs, atol=LOGPROBS)


def test_prefix_parity_in_double_precision_is_exact():
    values, _, relative = differences(make("Llama").double(), *DEEP, min_shared=1)
    assert values < 1e-6  # the plain path of this file gathers into single precision
    assert relative < 1e-6


@pytest.mark.parametrize("wrapper", ["ddp", "fsdp"])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_prefix_parity_under_distributed_wrappers(wrapper, tmp_path):
    from torch import distributed
    from torch.distributed.fsdp import fully_shard
    from torch.nn.parallel import DistributedDataParallel

    model = make("Llama")
    expected = gradients(model, plain(model, *DEEP)[0])
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        if wrapper == "ddp":
            wrapped = DistributedDataParallel(model)
        else:
            for layer in model.model.layers:
                fully_shard(layer, reshard_after_forward=True)
            wrapped = fully_shard(model, reshard_after_forward=True)
        got = gradients(wrapped, sequence_logprobs(wrapped, *DEEP, min_shared=1, logits_memory=1).logprobs)
        for name, gradient in got.items():
            whole = gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient
            assert torch.allclose(whole, expected[name.removeprefix("module.")], atol=1e-5, rtol=1e-4), name
        assert len(got) == len(expected)
    finally:
        distributed.destroy_process_group()


class _NoAncestor(attention.TreeMask):
    def __init__(self, packed, device):
        super().__init__(packed, device)
        self.spans = [self.spans[0]._replace(reach=self.spans[0].end), *self.spans[1:]]


def _row_positions(packed, device):
    return attention.tree_inputs(packed, device) | {"position_ids": torch.arange(len(packed.tokens))[None]}


def _one_place_on(packed, firsts, original=logprobs.predictions):
    wanted = original(packed, firsts)
    last = len(packed.tokens) - 1
    return replace(wanted, places=tuple(min(place + 1, last) for place in wanted.places))


FAULTS = {
    "positions": (logprobs, "tree_inputs", _row_positions),
    "ancestor": (attention, "TreeMask", _NoAncestor),
    "place": (logprobs, "predictions", _one_place_on),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fault", FAULTS)
def test_prefix_parity_notices_a_fault(family, fault, monkeypatch):
    target, name, broken = FAULTS[fault]
    monkeypatch.setattr(target, name, broken)
    values, _, relative = differences(MODELS[family], *DEEP, min_shared=1)
    assert values > 100 * LOGPROBS
    assert relative > 100 * GRADIENTS
