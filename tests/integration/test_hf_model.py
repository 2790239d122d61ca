"""The catalogue's model for transformers: the same tokens, weights that can be trained."""

import asyncio

import pytest

from rmr1.engines import open_model
from rmr1.models.card import read_card
from rmr1.models.loading import hf_folder, load_causal_lm, published_type
from rmr1.records import GenerationRequest, Message, Sampling

pytest.importorskip("transformers", reason="the train extra is not installed")
TEXTS = (
    "12345 + 678 = 13023",
    "items:\n\n1. a\n 2. b\n\n\n  3. c",
    "a  5   b    77\t8",
    "naïve café, 数学 и ½ × 3² — “quoted”",
    "def f(x):\n    return x ** 2  # it's 4x\n",
    "<answer>[[A]]</answer>",
)


@pytest.fixture(scope="module")
def loaded(small_model):
    return load_causal_lm("smollm2-135m-instruct")


@pytest.mark.slow
def test_all_weights_are_dense_tied_and_trainable(loaded):
    import torch

    model, _ = loaded
    kinds = {weights.dtype for weights in model.parameters()}
    assert kinds == {torch.float32}
    assert all(weights.requires_grad for weights in model.parameters())
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert sum(weights.numel() for weights in model.parameters()) == 134_515_008


@pytest.mark.slow
def test_folder_and_card(loaded):
    folder = hf_folder("smollm2-135m-instruct")
    card = read_card(folder)
    assert (card.base, card.template, card.think) == ("smollm2-135m-instruct", "cor-compact", "closed")
    assert card.gguf.endswith(".gguf")
    assert published_type(folder) == "float32"
    assert hf_folder(str(folder)) == folder


@pytest.mark.slow
def test_prompts_have_as_many_tokens_as_in_the_embedded_engine(loaded):
    """Splitting digits and spaces in another way than the embedded engine would train on prompts that no judge sees."""
    _, tokenizer = loaded

    async def counts():
        engine = open_model("llamacpp/smollm2-135m-instruct").engine
        requests = [GenerationRequest(text, (Message("user", text),), Sampling(max_tokens=1)) for text in TEXTS]
        try:
            return {answer.request_id: answer.usage.prompt_tokens async for answer in engine.generate(requests)}
        finally:
            await engine.aclose()

    ours = {
        text: len(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
            )
        )
        for text in TEXTS
    }
    assert asyncio.run(counts()) == ours
    assert all(tokenizer.decode(tokenizer(text)["input_ids"]) == text for text in TEXTS)
