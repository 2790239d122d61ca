"""What the model reads and what it learns, token by token."""

import dataclasses

import pytest

from rmr1.engines.chat_text import ChatText
from rmr1.errors import DataError, EngineError
from rmr1.records import Message
from rmr1.training.chat_tokens import end_of_turn
from rmr1.training.sft.traces import IGNORED, Trace, tokenise
from tests.support.engines import answer
from tests.support.tiny_model import tiny_tokenizer

pytest.importorskip("transformers", reason="the train extra is not installed")

PROMPT = (Message("system", "You judge."), Message("user", "Which one? é"))


def trace(completion: str = f"<eval>é ok</eval>{answer('B')}", label="B") -> Trace:
    return Trace("p/ab", PROMPT, completion, label, "p")


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def tokens_of(traces, tokenizer, max_length, **options):
    return tokenise(traces, tokenizer, ChatText(tokenizer, "tiny"), max_length, **options)


def only(tokenised):
    (example,) = tokenised.examples
    return example


def test_the_supervised_tokens_are_exactly_the_trace_and_the_end_of_the_turn(tokenizer):
    one = trace()
    example = only(tokens_of([one], tokenizer, 1000))
    learnt = [token for token, label in zip(example.tokens, example.labels, strict=True) if label != IGNORED]
    assert [label for label in example.labels if label != IGNORED] == learnt
    assert tokenizer.decode(learnt) == one.completion + "<|im_end|>"


def test_the_rest_is_exactly_the_prompt_of_inference(tokenizer):
    example = only(tokens_of([trace()], tokenizer, 1000))
    turns = [{"role": message.role, "content": message.content} for message in PROMPT]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert list(example.tokens[: example.prompt_length]) == prompt


def test_too_long_is_dropped_whole_and_counted(tokenizer):
    length = len(only(tokens_of([trace()], tokenizer, 1000)).tokens)
    assert len(only(tokens_of([trace()], tokenizer, length)).tokens) == length
    dropped = tokens_of([trace()], tokenizer, length - 1)
    assert (dropped.examples, dropped.too_long) == ([], ["p/ab"])
    assert tokens_of([], tokenizer, length).examples == []


@pytest.mark.parametrize(("label", "gold", "other"), [("B", "B", "A"), (None, "B", "A")])
def test_the_verdict_is_where_the_parser_finds_it(tokenizer, label, gold, other):
    example = only(tokens_of([trace(label=label)], tokenizer, 1000, verdicts=True))
    verdict = example.verdict
    assert tokenizer.decode([example.tokens[verdict.index]]) == "B"
    assert tokenizer.decode(example.tokens[verdict.index - 2 : verdict.index + 3]) == "[[B]]"
    assert (tokenizer.decode([verdict.gold]), tokenizer.decode([verdict.other])) == (gold, other)


def test_a_trace_without_a_verdict_has_none(tokenizer):
    assert only(tokens_of([trace("no verdict", label=None)], tokenizer, 1000, verdicts=True)).verdict is None
    inside = f"{answer('A')}</think>{answer('B')}"
    located = only(tokens_of([trace(inside)], tokenizer, 1000, verdicts=True)).verdict
    assert tokenizer.decode([located.gold]) == "B"


def test_the_end_of_the_turn_is_that_of_the_chat_template(tokenizer):
    assert tokenizer.decode([end_of_turn(tokenizer)]) == "<|im_end|>"
    other = tiny_tokenizer()
    other.eos_token = "<|endoftext|>"
    assert other.decode([end_of_turn(other)]) == "<|im_end|>"
    other.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    assert other.decode([end_of_turn(other)]) == "<|endoftext|>"


def test_a_model_without_a_chat_template_and_one_that_refuses_system_messages(tokenizer):
    bare = tiny_tokenizer()
    bare.chat_template = None
    with pytest.raises(EngineError, match="no chat template"):
        ChatText(bare, "bare")
    with pytest.raises(DataError, match="no chat template"):
        end_of_turn(bare)
    strict = tiny_tokenizer()
    strict.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    )
    with pytest.raises(DataError, match="trace p/ab: the model's chat template refuses the prompt: no system role"):
        tokens_of([trace()], strict, 1000)
    assert tokens_of([dataclasses.replace(trace(), prompt=PROMPT[1:])], strict, 1000).examples
