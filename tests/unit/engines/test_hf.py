"""The hf engine with a small random model."""

import asyncio
import math
import re
import shutil
from contextlib import aclosing
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("transformers", reason="the train extra is not installed")

from transformers import PreTrainedModel  # noqa: E402

from rmr1.config import EngineConfig  # noqa: E402
from rmr1.engines import open_model  # noqa: E402
from rmr1.engines.chat_text import ChatText  # noqa: E402
from rmr1.engines.grammar_ending import FORCED  # noqa: E402
from rmr1.engines.hf import HfEngine  # noqa: E402
from rmr1.errors import ConfigError, EngineError, ModelNotFoundError  # noqa: E402
from rmr1.models.files import folder_fingerprint  # noqa: E402
from rmr1.prefix.decoding.packed_linears import PackedLinears  # noqa: E402
from rmr1.records import GenerationRequest, Message, Sampling  # noqa: E402
from tests.support.tiny_model import tiny_model, tiny_tokenizer, write_tiny_model  # noqa: E402

STOPS = [2, *range(40, 50)]
INSTRUCTIONS = Message("system", "Judge the two answers, and say which is better.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    # Large initial weights and many stop tokens, so that a random model has preferences and ends some of its answers.
    return write_tiny_model(tmp_path_factory.mktemp("tiny"), initializer_range=0.4, eos_token_id=STOPS)


@pytest.fixture
def engine(folder):
    made = HfEngine(str(folder), EngineConfig(slots=4, device="cpu"))
    yield made
    asyncio.run(made.aclose())


def requests(count, *, temperature=0.0, max_tokens=24, logprobs=False, start=0):
    return [
        GenerationRequest(
            str(number),
            (INSTRUCTIONS, Message("user", f"Question {number}{'?' * (number % 5 * 17)}")),
            Sampling(temperature, 1.0, max_tokens, number),
            logprobs=logprobs,
        )
        for number in range(start, start + count)
    ]


def write(engine, asked):
    async def collect():
        return {generation.request_id: generation async for generation in engine.generate(asked)}

    return asyncio.run(collect())


def by_transformers(folder, asked):
    """Greedy answers of ``model.generate``: the tokens after the prompt."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    answers = {}
    for request in asked:
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
        written = model.generate(**prompt, do_sample=False, max_new_tokens=request.sampling.max_tokens)
        answers[request.id] = written[0, prompt["input_ids"].shape[1] :].tolist()
    return answers, tokenizer


def text_of(tokens, tokenizer):
    return tokenizer.decode(tokens[:-1] if tokens[-1] in STOPS else tokens, skip_special_tokens=True)


def test_greedy_answers_are_those_of_transformers(engine, folder):
    asked = requests(11)
    expected, tokenizer = by_transformers(folder, asked)
    done = write(engine, asked)
    assert {name: one.text for name, one in done.items()} == {
        name: text_of(tokens, tokenizer) for name, tokens in expected.items()
    }
    assert {name: one.usage.completion_tokens for name, one in done.items()} == {
        name: len(tokens) for name, tokens in expected.items()
    }
    ends = {name: "stop" if tokens[-1] in STOPS else "length" for name, tokens in expected.items()}
    assert {name: one.finish_reason for name, one in done.items()} == ends
    assert set(ends.values()) == {"stop", "length"}, "the model should show both ends"


def test_what_a_sequence_draws_does_not_depend_on_its_neighbours(engine):
    together = write(engine, requests(9, temperature=1.0))
    for number in (0, 3, 8):
        alone = write(engine, requests(1, temperature=1.0, start=number))
        assert alone[str(number)].text == together[str(number)].text
    assert len({one.text for one in together.values()}) > 5


def test_votes_on_one_prompt_differ_by_their_seeds_and_compute_it_once(engine):
    prompt = (INSTRUCTIONS, Message("user", "the same"))
    asked = [GenerationRequest(str(seed), prompt, Sampling(1.0, 1.0, 24, seed)) for seed in range(4)]
    done = write(engine, asked)
    assert len({one.text for one in done.values()}) == 4
    assert [done[str(seed)].usage.cached_tokens == done["0"].usage.prompt_tokens for seed in range(4)] == [
        False,
        True,
        True,
        True,
    ]


def test_instructions_are_computed_once(engine):
    done = write(engine, requests(3))
    shared = len(INSTRUCTIONS.content)
    assert done["0"].usage.cached_tokens == 0
    assert all(shared < done[name].usage.cached_tokens < done[name].usage.prompt_tokens for name in ("1", "2"))


def test_long_prompts_are_computed_in_parts(engine, folder):
    prompt = (INSTRUCTIONS, Message("user", "word " * 300))
    asked = [GenerationRequest("long", prompt, Sampling(0.0, 1.0, 8)), *requests(2, max_tokens=8)]
    expected, tokenizer = by_transformers(folder, asked)
    done = write(engine, asked)
    assert {name: one.text for name, one in done.items()} == {
        name: text_of(tokens, tokenizer) for name, tokens in expected.items()
    }


def test_log_probabilities_belong_to_their_tokens(engine, folder):
    done = write(engine, requests(2, temperature=1.0, logprobs=True))
    for one in done.values():
        assert "".join(token.text for token in one.tokens) == one.text
        for token in one.tokens:
            assert len(token.top) == 20
            assert math.fsum(math.exp(logprob) for _, logprob in token.top) < 1.0001
            assert token.logprob <= token.top[0][1] + 1e-6


def test_a_prompt_that_does_not_fit_is_a_fault_of_its_request_only(folder):
    engine = HfEngine(str(folder), EngineConfig(slots=2, context=256, device="cpu"))
    long = GenerationRequest("long", (Message("user", "x" * 400),))
    edge = GenerationRequest("edge", (Message("user", "x" * 200),), Sampling(1.0, 1.0, 500, 1))
    done = write(engine, [long, edge])
    assert done["long"].finish_reason == "error"
    assert "the context only 256" in done["long"].error
    assert done["edge"].finish_reason in ("stop", "length")
    assert done["edge"].usage.prompt_tokens + done["edge"].usage.completion_tokens <= 256


def test_requests_are_drawn_as_there_is_room(engine):
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            drawn += 1
            yield from requests(1, start=drawn)

    async def take(count):
        async with aclosing(engine.generate(endless())) as generations:
            for _ in range(count):
                await anext(generations)

    asyncio.run(take(3))
    assert drawn <= 3 + 4 + 4


def test_closing_stops_the_writing(tmp_path):
    """The writing is closed after a few forward passes of many; no pass follows."""
    folder = write_tiny_model(tmp_path, eos_token_id=[])
    engine = HfEngine(str(folder), EngineConfig(slots=2, device="cpu"))
    passes = 0

    async def leave_early():
        begun = asyncio.Event()

        def count(module, given):
            nonlocal passes
            if isinstance(module, PreTrainedModel):
                passes += 1
                if passes == 8:
                    begun.set()

        hook = torch.nn.modules.module.register_module_forward_pre_hook(count)
        try:
            stream = engine.generate(requests(2, max_tokens=1500))
            task = asyncio.ensure_future(anext(stream))
            await begun.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await engine.aclose()
        finally:
            hook.remove()
        return task.cancelled()

    assert asyncio.run(leave_early()), "the request ended before it could be left"
    assert passes < 16


GRAMMAR = 'root ::= [a-z ]* "[[" [AB] "]]"'


def constrained(asked, grammar=GRAMMAR):
    return [replace(request, grammar=grammar) for request in asked]


def test_a_grammar_is_kept_to_whatever_the_limit_is(engine):
    assert engine.obeys_grammars
    assert engine.least_tokens(GRAMMAR) == 6  # a byte each, and the end of the turn
    for temperature in (0.0, 1.0):
        asked = [
            replace(request, sampling=replace(request.sampling, max_tokens=6 + number))
            for number, request in enumerate(constrained(requests(9, temperature=temperature, logprobs=True)))
        ]
        for number, done in write(engine, asked).items():
            assert re.fullmatch(r"[a-z ]*\[\[[AB]\]\]", done.text)
            assert done.finish_reason == "stop"
            assert done.usage.completion_tokens <= 6 + int(number)
            assert done.finish_detail in (None, FORCED)
            assert {"A", "B"} & {token.text for token in done.tokens}
            assert done.text == "".join(token.text for token in done.tokens)


def test_who_has_no_grammar_is_not_touched_by_neighbours_that_have(engine):
    free = requests(6, temperature=1.0, logprobs=True)
    bound = constrained(requests(6, temperature=1.0, logprobs=True, start=6))
    alone, with_others = (
        write(engine, free),
        write(engine, [one for two in zip(free, bound, strict=True) for one in two]),
    )
    assert all(with_others[number] == replace(done, usage=with_others[number].usage) for number, done in alone.items())
    assert {number: done.text for number, done in write(engine, bound).items()} == {
        number: done.text for number, done in with_others.items() if int(number) >= 6
    }


def test_what_is_well_formed_without_a_grammar_is_the_same_with_one(engine):
    free = requests(60, temperature=1.0, logprobs=True, max_tokens=4)
    plain = write(engine, free)
    anything = write(engine, constrained(free, "root ::= [\\x00-\\U0010FFFF]*"))
    whole = [number for number, done in plain.items() if "\ufffd" not in done.text and done.finish_reason == "stop"]
    assert whole
    for number in whole:
        assert anything[number].text == plain[number].text
        assert anything[number].tokens == plain[number].tokens
        assert anything[number].finish_detail is None


def test_a_grammar_that_cannot_be_followed_is_an_error_of_its_request(engine):
    asked = [
        *constrained(requests(1), "root ::= x"),
        *constrained(requests(1, max_tokens=5, start=1)),
        *requests(1, start=2),
    ]
    done = write(engine, asked)
    assert [done[number].finish_reason == "error" for number in "012"] == [True, True, False]
    assert 'line 1, column 10: there is no rule "x"' in done["0"].error
    assert "5 tokens are too few: the shortest text of the grammar has 6" in done["1"].error
    with pytest.raises(ConfigError, match='there is no rule "x"'):
        engine.least_tokens("root ::= x")


def test_answers_from_the_cache_are_those_that_would_be_computed(engine, folder, tmp_path, monkeypatch):
    asked = requests(9, temperature=1.0, logprobs=True)
    alone = write(engine, asked)
    monkeypatch.setenv("RMR1_CACHE", str(tmp_path))

    def cached(chosen):
        made = open_model(f"hf/{folder}", EngineConfig(slots=4, device="cpu", cache=True)).engine
        found = write(made, chosen)
        asyncio.run(made.aclose())
        return found

    def content(found):
        return {name: (one.text, one.finish_reason, one.tokens) for name, one in found.items()}

    cached(asked[::2])
    mixed = cached(asked)
    assert sum(one.from_cache for one in mixed.values()) == 5
    assert content(mixed) == content(alone)
    assert all(one.from_cache for one in cached(asked).values())


def test_the_identity_knows_the_weights(folder, tmp_path, engine):
    other = write_tiny_model(tmp_path / "other", seed=1)
    assert folder_fingerprint(folder) != folder_fingerprint(other)
    assert engine.identity()["model_fingerprint"] == folder_fingerprint(folder)
    assert engine.identity()["dtype"] == "float32"


@pytest.mark.parametrize("name", ["tokenizer_config.json", "chat_template.jinja", "tokenizer.model"])
def test_a_folder_with_another_tokenizer_or_chat_template_is_another_model(name, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert folder_fingerprint(copy) == folder_fingerprint(folder)
    (copy / name).write_text("another")
    assert folder_fingerprint(copy) != folder_fingerprint(folder)


@pytest.mark.parametrize("fast", [True, False])
def test_a_cpu_computes_in_bfloat16_where_it_has_instructions_for_it(tmp_path, monkeypatch, fast):
    monkeypatch.setattr("rmr1.engines.hf.is_fast_in_bfloat16", lambda: fast)
    sizes = {"hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 8}
    wide = write_tiny_model(tmp_path, **sizes)
    made = HfEngine(str(wide), EngineConfig(device="cpu", slots=1))
    mixed = fast and bool(PackedLinears(tiny_model(**sizes), torch.bfloat16))
    assert made.identity()["dtype"] == ("mixed" if mixed else "float32")
    asked = requests(2, logprobs=True, max_tokens=4)
    exact = write(HfEngine(str(wide), EngineConfig(device="cpu", slots=4, dtype="float32")), asked)
    for number, generation in write(made, asked).items():
        found, expected = (one.tokens[0].logprob for one in (generation, exact[number]))
        assert abs(found - expected) < 0.05
        assert (found != pytest.approx(expected, abs=1e-5)) == mixed


def test_mixed_precision_that_is_not_to_be_had_is_refused(folder):
    with pytest.raises(ConfigError, match="torch cannot pack the weights"):
        HfEngine(str(folder), EngineConfig(device="cpu", dtype="mixed"))
    with pytest.raises(ConfigError, match="mixed is for CPUs; on meta take bfloat16"):
        HfEngine(str(folder), EngineConfig(device="meta", dtype="mixed"))


def test_what_cannot_be_run_is_named(folder, tmp_path):
    with pytest.raises(ModelNotFoundError):
        open_model("hf/no-such-model")
    with pytest.raises(ConfigError, match=r"engine\.device nowhere"):
        HfEngine(str(folder), EngineConfig(device="nowhere"))
    silent = tiny_tokenizer()
    silent.chat_template = None
    with pytest.raises(EngineError, match="has no chat template"):
        ChatText(silent, "base-model")
    write_tiny_model(tmp_path, sliding_window=16, layer_types=["sliding_attention", "full_attention"])
    with pytest.raises(EngineError, match="sliding_attention"):
        HfEngine(str(tmp_path), EngineConfig(device="cpu"))


def test_it_can_be_closed_twice(engine):
    asyncio.run(engine.aclose())  # the fixture closes it again
