"""The reader of chat completions: what servers mean is read, and what does not fit is a failed request."""

import json
import math

import pytest

from rmr1.engines.chat_reply import is_web_page, read_reply, read_usage, server_words
from rmr1.records import Usage
from rmr1.verdict import parse_verdict, verdict_probability
from tests.support.raw_server import TEXT, completion, error


def read(body, **options):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    generation = read_reply("r", content, **options)
    assert generation.request_id == "r"
    return generation


def message(**fields):
    return completion(choices=[{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **fields}}])


def failure(body):
    generation = read(body)
    assert (generation.finish_reason, generation.text, generation.usage) == ("error", "", Usage())
    return generation.error


def test_a_plain_reply():
    done = read(completion())
    assert (done.text, done.finish_reason, done.finish_detail, done.usage) == (TEXT, "stop", None, Usage(10, 5))


def test_bytes_and_objects_are_read_alike():
    assert read_reply("r", completion()) == read(completion())


# words for the end


@pytest.mark.parametrize(
    "word", ["eos", "end_turn", "STOP", "stop_sequence", "FinishReason.STOP", "wholly new", 7, ["x"]]
)
def test_other_words_for_the_end_are_ends_and_are_kept(word):
    done = read(completion(finish=word))
    assert (done.finish_reason, done.text) == ("stop", TEXT)
    assert done.finish_detail


def test_no_word_for_the_end_is_an_end_if_there_is_a_text():
    assert (read(completion(finish=None)).finish_reason, read(completion(finish=None)).finish_detail) == ("stop", None)
    assert "with nothing" in failure(completion("", None))


@pytest.mark.parametrize(
    "word", ["max_tokens", "MAX_TOKENS", "FinishReason.MAX_TOKENS", "model_length", "max-output-tokens"]
)
def test_other_words_for_the_limit(word):
    done = read(completion("cut", word))
    assert (done.finish_reason, done.finish_detail) == ("length", word)


@pytest.mark.parametrize("word", ["content_filter", "SAFETY", "refusal", "PROHIBITED_CONTENT"])
def test_a_refusal_is_an_answer_without_a_verdict(word):
    done = read(completion(TEXT, word))
    assert (done.finish_reason, done.text, done.finish_detail) == ("refused", TEXT, word)
    assert parse_verdict(done).invalid == "refused"


def test_what_a_refusal_says_is_kept():
    done = read(message(content=None, refusal="I cannot compare these."))
    assert (done.finish_reason, done.text, done.finish_detail) == ("refused", "I cannot compare these.", "refusal")
    parts = read(message(content=[{"type": "refusal", "refusal": "No [[A]]."}]))
    assert (parts.finish_reason, parts.text) == ("refused", "No [[A]].")
    assert read(message(content=TEXT, refusal="")).finish_reason == "stop"


@pytest.mark.parametrize("word", ["error", "abort", "cancelled", "MALFORMED_FUNCTION_CALL"])
def test_a_server_that_gave_up_has_failed(word):
    assert word in failure(completion(TEXT, word))


def test_tool_calls_are_an_answer_without_a_verdict():
    done = read(completion(None, "tool_calls"))
    assert (done.finish_reason, done.text, done.finish_detail) == ("stop", "", "tool_calls")
    assert parse_verdict(read(message(content=[{"type": "tool_use", "name": "f"}]))).invalid == "missing"


# contents


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": TEXT}],
        [{"type": "text", "text": TEXT[:9]}, {"type": "text", "text": TEXT[9:]}],
        [TEXT[:9], TEXT[9:]],
        [{"text": TEXT}],
        {"type": "output_text", "text": TEXT},
        [{"type": "text", "text": {"value": TEXT, "annotations": []}}],
        [None, {"type": "text", "text": TEXT}, {"type": "redacted_thinking", "data": "xyz"}],
    ],
)
def test_contents_of_parts_are_their_texts(content):
    assert read(message(content=content)).text == TEXT


@pytest.mark.parametrize(
    "fields",
    [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "I weigh [[B]]."}]}, TEXT]},
        {"content": [{"type": "thinking", "thinking": "I weigh [[B]]."}, {"type": "text", "text": TEXT}]},
        {"content": [{"type": "reasoning", "summary": [{"text": "I weigh [[B]]."}]}, TEXT]},
        {"content": TEXT, "reasoning": "I weigh [[B]]."},
        {"content": TEXT, "reasoning_content": "I weigh [[B]].", "reasoning": "I weigh [[B]]."},
        {"content": TEXT, "reasoning": {"text": "I weigh [[B]].", "effort": "low"}},
        {"content": TEXT, "reasoning": [{"type": "text", "text": "I weigh [[B]]."}]},
        {"content": TEXT, "reasoning_details": [{"type": "reasoning.text", "text": "I weigh [[B]]."}]},
        {"content": TEXT, "reasoning": "I <think>weigh</think > [[B]]."},
    ],
)  # fmt: skip
def test_thoughts_are_kept_apart_and_have_no_say(fields):
    done = read(message(**fields), think_open=True)
    assert done.text == f"<think>\nI weigh [[B]].\n</think>\n\n{TEXT}"
    assert not done.think_open
    assert parse_verdict(done).side == "A"
    assert "I weigh" in parse_verdict(done).sections.think


@pytest.mark.parametrize("thought", [None, 7, True, {}, [], {"effort": "low"}, [[[[]]]]])
def test_a_thought_that_is_no_text_is_none(thought):
    assert read(message(content=TEXT, reasoning=thought)).text == TEXT


def test_half_a_character_can_be_kept():
    read(message(content="\ud83d <answer>[[A]]</answer>")).text.encode()


# what does not fit


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (completion(choices=[]), "without choices"),
        (completion(choices=None), "without choices"),
        (completion(choices={"0": {}}), "without choices"),
        (completion(choices=["x"]), "without choices"),
        (completion(choices=[{"index": 0, "message": None, "finish_reason": "stop"}]), "no message"),
        (completion(choices=[{"index": 0, "finish_reason": "stop"}]), "no message"),
        (message(content=7), "no text: 7"),
        (message(content=[{"type": "image_url", "image_url": {}}]), "no text: "),
        (message(content=[{"type": "text", "text": None}]), "no text: "),
        (message(content=[[TEXT]]), "no text: "),
        ("quota is used up", "quota is used up"),
        (None, "no chat completion: null"),
        ([1, 2], "no chat completion"),
        (error("upstream overloaded", code=502), "upstream overloaded (code 502)"),
        ({"error": "plain words"}, "plain words"),
        ([{"error": {"message": "in a list"}}], "in a list"),
        ({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs", "type": "extra"}]}, "inputs (type extra) (loc body.seed)"),
        (completion(choices=[{"index": 0, "message": {"content": ""}, "error": {"message": "inside"}}]), "inside"),
        (b"", "answered with nothing"),
        (b" \n", "answered with nothing"),
        (json.dumps(completion()).encode()[:150], "was cut"),
        (b'{"choices": [{"message": {"content": "\xff\xfe"}}]}', "no JSON"),
        (b"<!doctype html><title>Chat</title>", "is /v1 missing"),
        (b"\xef\xbb\xbf\n<HTML><body>", "is /v1 missing"),
        (b"[" * 200_000, "is not read (nested too deeply)"),
        (b'{"usage": ' + b"9" * 6000 + b"}", "is not read (a number of 6000 digits is too large)"),
        (b'{"choices": [], "choices": [{"message": {"content": "x"}}]}', 'the key "choices" is there twice'),
        (b"data: {}\n\n", "no JSON"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_a_failure_with_the_servers_words(body, said):
    assert said in failure(body)


def test_what_a_server_says_is_one_short_line_without_secrets():
    words = failure(
        error("\x1b[31mbad key sk-proj-abcd1234efgh5678\r\nsee \u202ehttps://me:pw@host/?key=abc " + "x" * 900)
    )
    assert len(words) == 500
    assert words.isprintable()
    for secret in ("abcd1234", "pw@", "key=abc"):
        assert secret not in words
    assert "hunter22" not in read_reply("r", error("your key hunter22 is bad"), secrets=["hunter22"]).error


def test_the_choice_that_was_asked_for_is_read():
    first, second = (completion(text)["choices"][0] for text in ("one", "two"))
    assert read(completion(choices=[second | {"index": 1}, first])).text == "one"
    assert read(completion(choices=[{"message": {"content": "only"}}])).text == "only"


def test_web_pages():
    assert is_web_page(b" <html lang='en'>")
    assert not is_web_page(b'{"html": "<html>"}')
    assert server_words(b"") == "nothing"


# tokens


@pytest.mark.parametrize(
    ("usage", "read_as"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(10, 5)),
        ({"prompt_tokens": 10.0, "completion_tokens": 5}, Usage(10, 5)),
        ({"input_tokens": 10, "output_tokens": 5}, Usage(10, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(10, 5, 4)),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 99}},
            Usage(10, 5, 10),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": "x"}}, Usage(10, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": 3}, Usage(10, 5)),
        ({"prompt_tokens": 10, "completion_tokens": None}, Usage(10, 0, 0, 1)),
        ({"prompt_tokens": -1, "completion_tokens": 5}, Usage(0, 5, 0, 1)),
        ({}, Usage(unknown=1)),
        (None, Usage(unknown=1)),
        ([], Usage(unknown=1)),
        ("many", Usage(unknown=1)),
        *(
            ({"prompt_tokens": odd, "completion_tokens": odd}, Usage(unknown=1))
            for odd in (None, "7", 1.5, True, math.nan, math.inf, 10**30, 1e300, {}, [1])
        ),
    ],
)
def test_usage_that_is_no_count_is_unknown_and_not_zero(usage, read_as):
    assert read_usage(usage) == read_as
    assert read(completion(usage=usage)).usage == read_as


# log-probabilities


def with_tokens(content, text=TEXT):
    body = completion(text)
    body["choices"][0]["logprobs"] = content
    done = read(body)
    assert done.text == text
    return verdict_probability(done, parse_verdict(done))


def tokens(text=TEXT, **changes):
    """One token for each character; at an A, an alternative."""
    both = [{"token": other, "logprob": -0.5} for other in "AB"]
    return [{"token": one, "logprob": -0.5, "top_logprobs": both if one == "A" else [], **changes} for one in text]


def test_probability_of_the_verdict():
    assert with_tokens({"content": tokens()}) == pytest.approx(0.5)


def test_tokens_around_the_text_are_left_out():
    assert with_tokens({"content": [*tokens("Hm. "), *tokens(), *tokens("<|im_end|>")]}) == pytest.approx(0.5)
    assert with_tokens({"content": [{"token": f" {TEXT[0]}", "logprob": -1}, *tokens(TEXT[1:])]}) == pytest.approx(0.5)


def test_characters_of_several_tokens_have_their_place():
    text = f"\u2713 {TEXT}"
    pieces = [{"token": f"\\x{byte:02x}", "bytes": [byte], "logprob": -1.0} for byte in "\u2713".encode()]
    rest = [{**one, "bytes": list(one["token"].encode())} for one in tokens(f" {TEXT}")]
    assert with_tokens({"content": pieces + rest}, text) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "logprobs",
    [
        None, [], "x", 7, {}, {"content": None}, {"content": []}, {"content": [None]}, {"content": ["x"]},
        {"content": tokens(top_logprobs=None)},
        {"content": tokens(top_logprobs="x")},
        {"content": tokens(top_logprobs=[None, 7, {"token": None, "logprob": -1}, {"token": "B"}])},
        {"content": tokens(top_logprobs=[{"token": "B", "logprob": "-1"}])},
        {"content": tokens(top_logprobs=[{"token": "B", "logprob": math.nan}])},
        {"content": tokens(logprob=None)},
        {"content": tokens(logprob="-0.5")},
        {"content": tokens(logprob=math.nan)},
        {"content": tokens(logprob=0.7)},
        {"content": tokens(logprob=True)},
        {"content": tokens(token=None)},
        {"content": tokens("another text")},
        {"content": [{"token": one} for one in TEXT]},
    ],
)  # fmt: skip
def test_odd_log_probabilities_give_no_probability_and_do_no_harm(logprobs):
    assert with_tokens(logprobs) is None
