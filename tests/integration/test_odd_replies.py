"""What a judge run makes of the odd replies that servers were seen to give, and what its summary says."""

import json

import pytest

from rmr1.config import JudgeConfig
from rmr1.errors import EngineError, RunError
from rmr1.judging import judge_pairs
from rmr1.report.console import summary_rows
from rmr1.runs import NullCallbacks
from tests.support.raw_server import Raw, answering, completion, error

CASES = {
    "finish-eos": "judged", "finish-end_turn": "judged", "maxtokens": "max_completion_tokens from now on",
    "temperature": "engine.omit=[temperature]", "seed": "engine.omit=[seed]", "nosystem": "system_role=merge",
    "nosystem500": "system_role=merge", "html": "/v1", "jsonstring": "quota is used up", "errin200": "upstream overloaded",
    "errchoice": "upstream overloaded", "emptychoices": "without choices", "nullmessage": "no message", "chunks": "judged",
    "textchunks": "judged", "usage-empty": "unknown for 6 completions", "usage-nulls": "unknown for 6 completions",
    "lp-notop": "judged", "lp-topnull": "judged", "reason-object": "judged", "noopen-cut": "truncated 6",
    "ignoresgrammar": "6 of 6 constrained completions do not follow the grammar", "ratelimit": "EngineError",
}  # fmt: skip
REFUSED = {"maxtokens": "max_tokens", "temperature": "temperature", "seed": "seed"}
RETRIED = ("errin200", "errchoice")
FAILING = ("html", "jsonstring", "errin200", "errchoice", "emptychoices", "nullmessage")


class Sentences(NullCallbacks):
    def __init__(self):
        self.said = []

    def say(self, message):
        self.said.append(message)


@pytest.fixture
def pairs_file(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = ({"id": f"p{number}", "prompt": f"q{number}", "chosen": "good", "rejected": "bad"} for number in range(3))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def reply_of(case):
    body = case["body"].encode() if isinstance(case["body"], str) else case["body"]
    name = case["name"]

    def reply(request):
        if name in REFUSED and REFUSED[name] not in request:
            return Raw(completion())
        if name.startswith("nosystem") and any(message["role"] == "system" for message in request["messages"]):
            return Raw(error("System role not supported"), 500 if name.endswith("500") else 400)
        return Raw(body, case["status"])

    return reply


@pytest.mark.parametrize("name", CASES)
def test_replies_that_servers_were_seen_to_give(name, shared, pairs_file, tmp_path):
    lines = (shared / "cases" / "replies.jsonl").read_text().splitlines()
    (case,) = [one for one in map(json.loads, lines) if one["name"] == name]
    heard = Sentences()
    with answering(reply_of(case)) as server:
        grammar = {"server_grammar": "llamacpp"} if name == "ignoresgrammar" else {}
        config = JudgeConfig(
            model="openai/m",
            engine={"base_url": server.address, **grammar},
            constrain=bool(grammar),
            logprobs=name.startswith("lp"),
        )

        def judged():
            return judge_pairs(pairs_file, config, run=tmp_path / "run", callbacks=heard).results

        if CASES[name] == "EngineError":
            with pytest.raises(EngineError, match="what this key may spend is used up"):
                judged()
            return
        first, again = judged(), judged()  # the journal can be read back
        tries = 1 + config.engine.max_retries if name in RETRIED else 1
        assert len(server.asked) <= 6 * tries * (2 if name in FAILING else 1) + 16
    assert first == again
    summary = "\n".join(" ".join(row) for row in summary_rows(first))
    assert first.unanswered == (6 if name in FAILING else 0)
    if CASES[name] == "judged":
        assert (first.pairs, first.invalid.share, first.faults, first.notes) == (3, 0.0, (), ())
    else:
        assert CASES[name] in summary
    if name in FAILING or first.notes:
        assert len(heard.said) >= 2, "it is told at once, and not only in the end"


def test_a_field_that_was_refused_stays_in_the_results_of_a_run_that_is_resumed(pairs_file, tmp_path):
    broken = True

    def reply(request):
        if "seed" in request:
            return Raw(error('Unknown name "seed"'), 400)
        if broken and "q1" in request["messages"][-1]["content"]:
            return Raw(error("boom 17"), 400)
        return Raw(completion())

    with answering(reply) as server:
        config = JudgeConfig(model="openai/m", engine={"base_url": server.address})
        first = judge_pairs(pairs_file, config, run=tmp_path / "run").results
        broken = False
        second, third = (judge_pairs(pairs_file, config, run=tmp_path / "run").results for _ in range(2))
    assert [(kind.count, kind.reason) for kind in first.faults] == [(2, "HTTP 400: boom 17")]
    assert len(first.notes) == 1
    assert first.notes == second.notes == third.notes
    assert (second.faults, second.unanswered) == ((), 0)


def test_what_a_killed_process_has_learnt_is_kept_for_the_next_one(pairs_file, tmp_path):
    def reply(request):
        if "seed" in request:
            return Raw(error('Unknown name "seed"'), 400)
        if len(server.asked) < 12:
            return Raw(error("gone", code="insufficient_quota"), 429)  # this ends the first process
        return Raw(completion())

    with answering(reply) as server:
        config = JudgeConfig(model="openai/m", engine={"base_url": server.address, "max_retries": 0}, concurrency=1)
        heard = Sentences()
        for _ in range(6):
            with pytest.raises(EngineError):
                judge_pairs(pairs_file, config, run=tmp_path / "run", callbacks=heard)
        assert sum("seed" in request for request in server.asked) == 1
        server.asked += [{}] * 12
        second = judge_pairs(pairs_file, config, run=tmp_path / "run", callbacks=heard).results
    assert sum("seed" in request for request in server.asked) == 1
    assert len(second.notes) == 1
    assert sum("engine.omit=[seed]" in sentence for sentence in heard.said) == 1
    memory = tmp_path / "run" / "server.json"
    memory.write_text("{}")
    with (
        answering(lambda request: Raw(completion())),
        pytest.raises(RunError, match=r"server.json: damaged; delete it"),
    ):
        judge_pairs(pairs_file, config, run=tmp_path / "run")


@pytest.mark.parametrize("obeys", [True, False])
def test_a_server_that_ignores_its_grammar_is_found_out_even_if_its_verdicts_are_valid(obeys, pairs_file, tmp_path):
    follows = "The first is better. <answer>[[A]]</answer>"
    text = f"{follows} Good luck!"
    heard = Sentences()
    with answering(lambda request: Raw(completion(follows if obeys else text))) as server:
        config = JudgeConfig(
            model="openai/m",
            engine={"base_url": server.address, "server_grammar": "vllm"},
            template="verdict-only",
            constrain=True,
        )
        results = judge_pairs(pairs_file, config, run=tmp_path / "run", callbacks=heard).results
        again = judge_pairs(pairs_file, config, run=tmp_path / "run").results
    assert all("structured_outputs" in request for request in server.asked)
    said = [one for one in heard.said if "do not follow the grammar" in one]
    assert (len(said), len(results.notes)) == ((0, 0) if obeys else (1, 1))
    assert results == again
    assert results.invalid.share == 0.0
