"""vLLM's own server on this CPU, asked through ``openai/``. ``make test-vllm`` runs it."""

import asyncio
import re

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm runs these tests")

from rmr1 import Judge, load_pairs
from rmr1.config import EngineConfig
from rmr1.engines import open_model
from rmr1.records import GenerationRequest, Message, Sampling
from tests.support.tiny_model import write_pairs_file
from tests.support.vllm_server import vllm_server

OPTIONS = ("--dtype", "float32", "--enforce-eager", "--max-num-batched-tokens", "512", "--max-num-seqs", "8")


@pytest.fixture(scope="module")
def address(tiny_judge, tmp_path_factory):
    """In chunks of 512 tokens, so that the last test can end it."""
    with vllm_server(tiny_judge, tmp_path_factory.mktemp("server") / "log.txt", *OPTIONS) as found:
        yield found


def judge(address, **settings):
    engine = {"base_url": address, "server_grammar": "vllm", "max_retries": 0}
    return Judge("openai/judge", template="verdict-only", logprobs=True, engine=engine, **settings)


@pytest.mark.parametrize("settings", [{}, {"votes": 4, "max_tokens": 16}, {"constrain": True, "max_tokens": 200}])
def test_it_judges(address, tmp_path, settings):
    with judge(address, **settings) as made:
        judgments = list(made.compare_many(load_pairs(write_pairs_file(tmp_path / "pairs.jsonl", 5))))
    votes = [vote for judgment in judgments for vote in judgment.votes]
    assert len(votes) == 5 * 2 * settings.get("votes", 1)
    assert not [vote.error for vote in votes if vote.error]
    assert sum(vote.side is not None for vote in votes) > len(votes) * 0.7
    assert sum(vote.p_a is not None for vote in votes) > len(votes) * 0.7
    if "constrain" in settings:
        assert all(re.search(r"<answer>\[\[[AB]\]\]</answer>$", vote.text) for vote in votes)


def test_z_a_server_that_a_seeded_request_ends_is_told_with_the_cure(address):
    """It comes last: a prompt in chunks with a seed, and vLLM is gone."""
    engine = open_model("openai/judge", EngineConfig(base_url=address, max_retries=0)).engine

    async def ask(*texts):
        asked = [
            GenerationRequest(str(seed), (Message("user", text),), Sampling(1.0, 1.0, 8, seed))
            for seed, text in enumerate(texts)
        ]
        try:
            return [generation async for generation in engine.generate(asked)]
        finally:
            await engine.aclose()

    answers = asyncio.run(ask("short", *(f"{number}" + "word " * 250 for number in range(3))))
    errors = [answer.error for answer in answers if answer.error]
    assert errors, "vLLM no longer dies of it: prompts in chunks may be allowed on CPUs"
    assert all("--no-enable-chunked-prefill" in error for error in errors), errors
