"""What refusals teach about the shape of requests, and what they do not."""

import json

import pytest

from rmr1.engines.request_shape import RequestShape, is_used_up, learn_shape, likely_cure, merge_system
from rmr1.records import GenerationRequest, Message, Sampling

SHAPE = RequestShape("max_tokens")
MESSAGES = (Message("system", "judge"), Message("user", "q"))


def sent(shape=SHAPE, temperature=0.0, top_p=1.0, messages=MESSAGES, logprobs=True, more=None, **sampling):
    sampling = Sampling(temperature, top_p, 100, seed=3, **sampling)
    return shape.fields("m", GenerationRequest("r", messages, sampling, logprobs=logprobs), more or {})


def learnt(words, **options):
    lesson = learn_shape(SHAPE, sent(**options), words)
    return lesson and lesson.shape


@pytest.mark.parametrize(
    "words",
    [
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "max_tokens is deprecated in favor of max_completion_tokens (code invalid_request_error)",
        "Unknown name \"max_tokens\": Cannot find field.",
        "Extra inputs are not permitted (loc body.max_tokens)",
    ],
)  # fmt: skip
def test_the_limit_gets_its_other_name(words):
    assert learnt(words) == RequestShape("max_completion_tokens")
    assert "max_completion_tokens" in learn_shape(SHAPE, sent(), words).sentence
    assert sent(learnt(words))["max_completion_tokens"] == 100
    assert "max_tokens" not in sent(learnt(words))


@pytest.mark.parametrize(
    "words",
    [
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
        "max_tokens must be at least 1",
        "'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum context length is 4096 tokens",
        "This model's maximum context length is 4096 tokens; max_tokens is not supported beyond it",
    ],
)
def test_a_limit_that_is_too_high_keeps_its_name(words):
    assert learnt(words) is None
    assert "--max-tokens" in likely_cure(400, sent(), words)


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        ("'temperature' does not support 0 with this model. Only the default (1) value is supported.", {"temperature"}),
        ("`temperature` (=0.0) has to be a strictly positive float", {"temperature"}),
        ('Invalid JSON payload received. Unknown name "seed": Cannot find field.', {"seed"}),
        ("Extra inputs are not permitted (type extra_forbidden) (loc body.seed)", {"seed"}),
        ("Unrecognized request argument supplied: seed", {"seed"}),
        ("`top_p` must be > 0.0 and < 1.0", {"top_p"}),
        ("`temperature` and `top_p` cannot both be specified for this model", {"top_p"}),
        ("logprobs is not supported for this model", {"logprobs", "top_logprobs"}),
        ("top_logprobs: unknown field", {"logprobs", "top_logprobs"}),
    ],
)
def test_a_field_that_is_refused_is_left_out(words, left_out):
    assert learnt(words) == RequestShape("max_tokens", frozenset(left_out))
    assert not left_out & set(sent(learnt(words)))
    assert f"engine.omit=[{sorted(left_out)[0]}]" in learn_shape(SHAPE, sent(), words).sentence


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("temperature must be between 0 and 2", {"temperature": 3.0}),
        ("top_p must be less than 1", {"top_p": 0.9}),
        ("the request is invalid", {}),
        ("the temperature of the server room is high", {}),
        ("upstream overloaded", {}),
        ("the system is not available: no such resource", {}),
        ("n_seed is unknown", {}),
        ("model m not found", {}),
    ],
)
def test_what_does_not_refuse_a_field_teaches_nothing(words, options):
    assert learnt(words, **options) is None


@pytest.mark.parametrize(
    "words",
    [
        "System role not supported",
        "jinja2.exceptions.TemplateError: System role not supported",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "'messages[0].role' does not support 'system' with this model.",
        "Developer instruction is not enabled for models/gemma-3-27b-it",
        "Only user and assistant roles are supported!",
        "Unexpected role: system",
    ],
)
def test_a_system_message_that_is_refused_is_merged(words):
    shape = learnt(words)
    assert shape == RequestShape("max_tokens", merge_system=True)
    assert sent(shape)["messages"] == [{"role": "user", "content": "judge\n\nq"}]
    assert learnt(words, messages=MESSAGES[1:]) is None, "there is no system message to merge"
    assert "system_role=merge" in likely_cure(400, sent(messages=MESSAGES[1:]), words)


def test_only_a_leading_system_message_is_merged():
    assert merge_system(MESSAGES[1:]) == MESSAGES[1:]
    assert merge_system((*MESSAGES, Message("assistant", "a")))[1:] == (Message("assistant", "a"),)


@pytest.mark.parametrize(
    ("status", "words", "cure"),
    [
        (404, "Not Found", "/v1"),
        (405, "Method Not Allowed", "/v1"),
        (404, "The model `m` does not exist", "name of the model"),
        (429, "slow down", "--concurrency"),
        (400, "prompt is too long: 9000 tokens", "larger context"),
        (400, "failed to parse grammar", "engine.server_grammar"),
        (422, "seed: value is not a valid integer", "engine.omit=[seed]"),
        (500, "boom", ""),
    ],
)
def test_likely_cures(status, words, cure):
    assert cure in likely_cure(status, sent(), words)


def test_what_is_used_up():
    assert is_used_up(429, "You exceeded your current quota (code insufficient_quota)")
    assert is_used_up(402, "")
    assert not is_used_up(429, "Rate limit reached for requests per minute")
    assert not is_used_up(500, "insufficient_quota")


def test_cuts_are_sent_where_they_are_set():
    assert not {"top_k", "min_p"} & set(sent())
    assert {"top_k": 0, "min_p": 0.1}.items() <= sent(top_k=0, min_p=0.1).items()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Unknown parameter: 'top_k'.", "top_k"),
        ("Unrecognized request argument supplied: min_p", "min_p"),
        ("Unsupported parameter: 'reasoning_effort' is not supported with this model.", "reasoning_effort"),
    ],
)
def test_cuts_and_efforts_that_are_refused_are_left_out(words, name):
    lesson = learn_shape(SHAPE, sent(top_k=5, min_p=0.1, more={"reasoning_effort": "low"}), words)
    assert lesson.shape == RequestShape("max_tokens", frozenset({name}))
    assert f"engine.omit=[{name}]: " in lesson.sentence


@pytest.mark.parametrize(
    ("more", "words", "cure"),
    [
        (
            {"reasoning_effort": "huge"},
            "Unsupported value: 'reasoning_effort' does not support 'huge'. Supported values are: 'low', 'high'.",
            "set engine.reasoning_effort to what the server takes",
        ),
        (
            {"service_tier": "x"},
            "service_tier: Extra inputs are not permitted",
            "if the server cannot take service_tier, leave it out of engine.extra_body",
        ),
        (
            {"chat_template_kwargs": {"enable_thinking": False}},
            'Unknown name "chat_template_kwargs": Cannot find field.',
            "leave it out of engine.chat_template_kwargs",
        ),
    ],
)
def test_what_the_user_adds_is_not_dropped_in_silence(more, words, cure):
    assert learn_shape(SHAPE, sent(more=more), words) is None
    assert cure in likely_cure(400, sent(more=more), words)


def test_the_seed_gets_the_name_that_the_words_say():
    lesson = learn_shape(SHAPE, sent(), "seed: extra inputs are not permitted, use random_seed")
    assert sent(lesson.shape)["random_seed"] == 3
    assert "seed" not in sent(lesson.shape)
    guessed = RequestShape("max_tokens", seed="random_seed")
    words = "random_seed: Extra inputs are not permitted"
    lesson = learn_shape(guessed, sent(guessed), words)
    assert sent(lesson.shape)["seed"] == 3
    lesson = learn_shape(guessed, sent(guessed), words, {lesson.shape})
    assert not {"seed", "random_seed"} & set(sent(lesson.shape)), "a name that was refused is not tried again"
    assert not {"seed", "random_seed"} & set(sent(RequestShape("max_tokens", frozenset({"seed"}), seed="random_seed")))


@pytest.mark.parametrize(
    ("words", "alternatives"),
    [
        ("Requested sample logprobs of 20, which is greater than max allowed: 10", 10),
        ("Invalid value: 'top_logprobs' must be less than or equal to 8", 8),
        ("top_logprobs: Input should be <= 5", 5),
        ("top_logprobs must be between 0 and 11", 11),
        ("top_logprobs is out of range", 5),
    ],
)
def test_a_server_with_fewer_alternatives_is_asked_for_those(words, alternatives):
    shape = learnt(words)
    assert (sent(shape)["logprobs"], sent(shape)["top_logprobs"]) == (True, alternatives)


def test_alternatives_that_are_refused_in_any_number_are_left_out():
    five = RequestShape("max_tokens", alternatives=5)
    assert learn_shape(five, sent(five), "top_logprobs is out of range") is None
    assert learn_shape(five, sent(five), "top_logprobs is not supported").shape.omit == {"logprobs", "top_logprobs"}


def test_a_server_that_counts_logprobs():
    shape = learnt("logprobs: Input should be a valid integer")
    assert sent(shape)["logprobs"] == 20
    assert "top_logprobs" not in sent(shape)
    fewer = learn_shape(shape, sent(shape), "logprobs must be at most 5").shape
    assert sent(fewer)["logprobs"] == 5


def test_shapes_are_read_back():
    shape = RequestShape("max_completion_tokens", frozenset({"seed", "top_p"}), True, "random_seed", 5, True)
    assert RequestShape.from_json(json.loads(json.dumps(shape.to_json()))) == shape
    for wrong in ({}, {"limit": 1}, [], {"limit": "x", "alternatives": "many"}):
        with pytest.raises(ValueError, match=r"."):
            RequestShape.from_json(wrong)
