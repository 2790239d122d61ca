"""Exported GGUF files say what transformers says: with the real small model, on both sides."""

import asyncio
import math

import pytest

pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("gguf", reason="the train extra is not installed")
pytest.importorskip("xllamacpp", reason="the llamacpp extra is not installed")

from rmr1.config import EngineConfig
from rmr1.engines import open_model
from rmr1.export import ExportTask, export_model
from rmr1.models import resolve_model
from rmr1.models.loading import load_causal_lm
from rmr1.records import GenerationRequest, Message, Sampling

MODEL = "smollm2-135m-instruct"
TOPICS = "tides bread chess rivers glass winter bees maps steel violins rice bridges moss clocks wool comets salt ferries owls ink"
MOST = 0.02
"""Nats of mean absolute difference that a file in float16 may have from the weights that it was made of."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("llamacpp")]


def requests(count):
    prompts = [f"Tell me one thing about {topic}." for topic in TOPICS.split()[:count]]
    return [
        GenerationRequest(prompt, (Message("user", prompt),), Sampling(0.0, 1.0, 6), logprobs=True)
        for prompt in prompts
    ]


def written(engine, count=20):
    async def collect():
        try:
            return {generation.request_id: generation async for generation in engine.generate(requests(count))}
        finally:
            await engine.aclose()

    return asyncio.run(collect())


def differences(generations):
    """Of each written token: its log-probability there, less that of transformers after the same tokens."""
    import torch

    model, tokenizer = load_causal_lm(MODEL)
    ids = {tokenizer.decode([number]): number for number in reversed(range(len(tokenizer)))}
    result = []
    for request in requests(len(generations)):
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        tokens = [token for token in generations[request.id].tokens if token.text in ids]
        answer = [ids[token.text] for token in tokens]
        with torch.inference_mode():
            logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        logprobs = torch.log_softmax(logits.float(), -1)
        result += [token.logprob - logprobs[at, answer[at]].item() for at, token in enumerate(tokens)]
    return result


@pytest.fixture(scope="module")
def exported(small_model, tmp_path_factory):
    return export_model(ExportTask(MODEL, tmp_path_factory.mktemp("exported") / "judge-f16.gguf")).path


@pytest.fixture(scope="module")
def by_llama(exported):
    return written(open_model(str(exported), EngineConfig(context=512)).engine)


def test_log_probabilities_are_those_of_transformers(by_llama):
    found = differences(by_llama)
    assert len(found) > 100
    mean = math.fsum(map(abs, found)) / len(found)
    print(f"mean absolute difference {mean:.5f} nats over {len(found)} tokens, most {max(map(abs, found)):.5f}")
    assert mean < MOST


def test_both_engines_write_the_same(by_llama):
    by_transformers = written(open_model(f"hf/{MODEL}", EngineConfig(slots=8, device="cpu")).engine)
    same = sum(by_llama[name].text == by_transformers[name].text for name in by_llama)
    assert same >= 18, "float16 may tip a choice between two equals, no more"
    assert all(by_llama[name].usage.prompt_tokens == by_transformers[name].usage.prompt_tokens for name in by_llama)


def test_a_file_of_eight_bits_is_close(small_model, exported, tmp_path):
    path = export_model(ExportTask(MODEL, tmp_path / "judge-q8_0.gguf", type="q8_0")).path
    assert path.stat().st_size < 0.6 * exported.stat().st_size
    found = differences(written(open_model(str(path), EngineConfig(context=512)).engine, 4))
    assert math.fsum(map(abs, found)) / len(found) < 10 * MOST


def test_an_exported_file_says_how_it_wants_to_be_asked(exported):
    assert resolve_model(str(exported)).template == "cor-compact"
