"""Replies of servers, broken in 10,000 ways: no exception, nothing lost, nothing invented, and every run can be resumed."""

import json
import random
from collections import Counter
from zlib import crc32

import pytest

from rmr1.config import DistillConfig, JudgeConfig
from rmr1.distillation import distill
from rmr1.engines.chat_reply import read_reply
from rmr1.judging import Completion, Judge, judge_pairs
from rmr1.records import FinishReason, Generation
from rmr1.verdict import parse_verdict
from tests.support.raw_server import TEXT, Raw, answering, completion, error

MUTANTS = 10_000
PAIRS = 60
THOUGHT = "Perhaps <answer>[[B]]</answer>? No."
ODD = [
    None, True, False, 0, -1, 7, 1.5, -0.0, 1e308, 10**40, float("nan"), float("inf"), "", " ", "x", "\x00\x1b[2J", "\ud800",
    "9" * 400, "</think>", [], {}, [[]], [None], {"": None}, {"text": None}, {"type": "text"}, {"error": 5}, [[[[[]]]]],
]  # fmt: skip


def tokens(text):
    return [
        {"token": one, "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "B", "logprob": -1.0}]}
        for one in text
    ]


def valid_replies():
    details = {"prompt_tokens_details": {"cached_tokens": 3}}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, **details}
    message = completion()["choices"][0]["message"]

    def choice(**fields):
        return completion(
            choices=[{"index": 0, "finish_reason": "stop", "message": {**message, **fields}}], usage=usage
        )

    with_tokens = completion("<answer>[[A]]</answer>", usage=usage)
    with_tokens["choices"][0]["logprobs"] = {"content": tokens("<answer>[[A]]</answer>"), "refusal": None}
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, {"type": "text", "text": TEXT}]
    return [
        completion(usage=usage),
        completion(finish="end_turn"),
        with_tokens,
        choice(content=[{"type": "text", "text": TEXT[:20]}, {"type": "text", "text": TEXT[20:]}]),
        choice(content=thinking),
        choice(reasoning_content=THOUGHT),
        choice(reasoning={"text": THOUGHT}, refusal=None, tool_calls=None),
        choice(content=f"<think>{THOUGHT}</think>{TEXT}"),
        choice(content=None, refusal="I cannot say."),
        error("upstream overloaded", code=502),
    ]


def places(value, path=()):
    """Paths to every part of a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def changed(value, path, draw):
    """The value with one part exchanged, left out, repeated or wrapped."""
    if not path:
        return draw.choice(ODD)
    whole = json.loads(json.dumps(value))
    holder = whole
    for key in path[:-1]:
        holder = holder[key]
    key = path[-1]
    how = draw.randrange(5)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, list):
        holder.append(holder[key])
    elif how == 2:
        holder[key] = [holder[key]]
    else:
        holder[key] = draw.choice(ODD)
    return whole


def damaged(body, draw):
    """The bytes, cut or with a byte exchanged for one that no JSON holds."""
    at = draw.randrange(len(body))
    return [body[:at], body[:at] + bytes([draw.choice([0, 10, 0x80, 0xC3, 0xFF])]) + body[at + 1 :], body + body[at:]][
        draw.randrange(3)
    ]


def mutant(draw, replies):
    value = draw.choice(replies)
    for _ in range(draw.randrange(1, 4)):
        value = changed(value, draw.choice(list(places(value))), draw)
    body = json.dumps(value).encode()
    return damaged(body, draw) if draw.random() < 0.2 else body


def check(generation: Generation) -> str:
    """What holds for every reply; its finish reason."""
    if generation.finish_reason == "error":
        assert (generation.text, generation.usage.prompt_tokens) == ("", 0)
        assert generation.error.isprintable()
        assert 0 < len(generation.error) <= 500
    verdict = parse_verdict(generation)
    assert verdict.side in ("A", None), "a passing thought became a verdict"
    completion_of = Completion(
        pair=0, index=0, request="r", pair_id="p", group="", category="", label="A", order="ab", vote=0, text=generation.text,
        finish_reason=generation.finish_reason, think_open=generation.think_open, usage=generation.usage, p_shown_a=None,
        fenced=0, prompt_sha256="0" * 64, pair_hash="0" * 16, verdict=verdict, error=generation.error,
        finish_detail=generation.finish_detail,
    )  # fmt: skip
    assert Completion.from_record(json.loads(json.dumps(completion_of.to_record()))) == completion_of
    return generation.finish_reason


def test_no_mutant_raises_is_lost_or_becomes_something_else():
    draw, replies = random.Random(11), valid_replies()
    found = Counter(check(read_reply("r", mutant(draw, replies))) for _ in range(MUTANTS))
    assert found.total() == MUTANTS
    assert set(found) <= set(FinishReason.__args__)
    assert min(found["stop"], found["error"]) > MUTANTS // 10, found


# Through the verbs, with a server of mutants


@pytest.fixture
def pairs_file(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = (
        {"id": f"p{number}", "prompt": f"question {number}", "chosen": "good", "rejected": "bad"}
        for number in range(PAIRS)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def mutants(request):
    """The same request always gets the same odd answer, and one in four a good one."""
    draw = random.Random(crc32(json.dumps(request["messages"]).encode()))
    if draw.random() < 0.25:
        return Raw(completion())
    status = draw.choice([200, 200, 200, 200, 200, 400, 500, 302, 418])
    return Raw(mutant(draw, valid_replies()), status)


def engine(address):
    return {"base_url": address, "max_retries": 0, "timeout_s": 30}


def requests_of(path):
    return [json.loads(line)["request"] for line in path.read_text().splitlines()]


class Server:
    """A server of mutants that is repaired in the middle of a test."""

    def __init__(self):
        self.repaired = False

    def __call__(self, request):
        return Raw(completion()) if self.repaired else mutants(request)


def test_a_judge_run_of_mutants_loses_nothing_and_is_resumed(pairs_file, tmp_path):
    server, run = Server(), tmp_path / "run"
    with answering(server) as serving:
        config = JudgeConfig(model="openai/m", logprobs=True, engine=engine(serving.address))
        first = judge_pairs(pairs_file, config, run=run).results
        failed = requests_of(run / "faults.jsonl")
        server.repaired = True
        second = judge_pairs(pairs_file, config, run=run).results
    assert first.unanswered == len(failed) == sum(kind.count for kind in first.faults) > 0
    assert (second.unanswered, second.pairs, second.faults) == (0, PAIRS, ())
    kept = requests_of(run / "completions.jsonl")
    assert len(kept) == len(set(kept)) == 2 * PAIRS
    assert second.first_shown.value == 1.0  # every verdict is for the response shown as A


def test_a_distillation_of_mutants_loses_nothing_and_is_resumed(pairs_file, tmp_path):
    server, run = Server(), tmp_path / "run"
    with answering(server) as serving:
        config = DistillConfig(teacher="openai/m", teacher_engine=engine(serving.address))
        first = distill(pairs_file, config, run=run).results
        server.repaired = True
        second = distill(pairs_file, config, run=run).results
    for one in (first, second):
        assert one.comparisons == one.kept + one.rejected + one.faulted + one.left == PAIRS
    assert first.faulted > 0
    assert (second.faulted, second.left) == (0, 0)
    assert second.kept >= first.kept
    assert set(second.traces_by_label) == {"A"}


def test_compare_survives_mutants():
    with answering(mutants) as server, Judge("openai/m", engine=engine(server.address)) as judge:
        judgments = [judge.compare(f"question {number}", "good", "bad", label="A") for number in range(40)]
    assert all(len(one.votes) == 2 for one in judgments)
    failed = [vote for one in judgments for vote in one.votes if vote.error]
    assert failed
    assert all(vote.side is None for vote in failed)
