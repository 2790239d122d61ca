"""The parser against what the released code of RM-R1 makes of its own outputs."""

import gzip
import json

import pytest

from rmr1.records import Generation
from rmr1.verdict import parse_verdict


def rows(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def generation(row):
    return Generation(row["id"], row["output"], think_open="DeepSeek" in row["model"])


@pytest.fixture(scope="module")
def conformance(shared):
    return rows(shared / "data" / "parser_conformance_synthetic.jsonl.gz")


def test_released_evaluation_rule_on_every_conformance_row(conformance):
    assert len(conformance) == 265
    for row in conformance:
        verdict = parse_verdict(generation(row), "rm-r1-eval")
        assert (verdict.side or "error") == row["expected"]["official_eval_verdict"], row["id"]


def test_released_reward_rule_on_every_conformance_row(conformance):
    for row in conformance:
        verdict = parse_verdict(generation(row), "rm-r1-reward")
        reward = 1.0 if verdict.side == row["label"] else -1.0
        assert reward == row["expected"]["official_train_reward_window80"], row["id"]


def test_problems_agree_with_another_reading_of_the_grammar(conformance):
    ours_is_laxer = {"space_inside", "newline_inside"}
    for row in conformance:
        if "Instruct" in row["model"] and row["kind"] not in ours_is_laxer:
            problems = parse_verdict(generation(row)).problems
            assert bool(problems) == bool(row["expected"]["strict_violations"]), (row["id"], problems)


def test_real_traces_have_their_published_verdicts(shared):
    traces = [row for row in rows(shared / "data" / "rmr1_traces.jsonl.gz") if row.get("published_result") is not None]
    assert len(traces) == 16
    for row in traces:
        assert parse_verdict(generation(row)).side == row["published_prediction"], row["id"]
