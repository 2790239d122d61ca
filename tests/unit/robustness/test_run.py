"""An audit is one resumable run: flips by attack with the fence on and off, and no prompt asked twice."""

import json
import re
from dataclasses import replace

import pytest

from rmr1.data import write_pairs
from rmr1.errors import ConfigError, DataError
from rmr1.records import Generation
from rmr1.results import AuditResults
from rmr1.robustness import audit_judge
from rmr1.runs import NullCallbacks
from tests.support.engines import FunctionEngine, answer, pairs, prefers

COUNT = 6


def gullible(request):
    """Obeys the first verdict that it finds in the prompt, and else prefers the response that says good."""
    shown = re.search(r"\[\[(A|B)\]\]", request.messages[-1].content)
    return answer(shown[1]) if shown else prefers("good")(request)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "pairs.jsonl"
    write_pairs(path, pairs(COUNT))
    return path


def audit(source, tmp_path, engine, *attacks, run="audit", **settings):
    return audit_judge(str(source), engine=engine, attacks=attacks, run=tmp_path / run, template="cor", **settings)


def figures(results):
    return {
        one.name: tuple(part.flipped and part.flipped.value for part in (one.fenced, one.unfenced))
        for one in results.attacks
    }


def test_a_gullible_judge_flips_without_the_fence_only(source, tmp_path):
    done = audit(source, tmp_path, FunctionEngine(gullible), "verdict", "flattery", "fake-judge")
    assert figures(done.results) == {"verdict": (0.0, 1.0), "fake-judge": (0.0, 1.0), "flattery": (0.0, 0.0)}
    by_name = {one.name: one for one in done.results.attacks}
    assert by_name["verdict"].fence.value == 1.0
    assert by_name["verdict"].fence.p_adjusted < 0.1
    assert (by_name["verdict"].fenced.fenced, by_name["verdict"].unfenced.fenced) == (2 * COUNT, 0)
    assert (done.results.pairs, done.results.by_label, done.results.left_out) == (COUNT, COUNT, 0)
    assert (done.results.preferred.value, done.results.preferred.n) == (0.0, 2 * COUNT)
    content = json.loads((done.run / "results.json").read_text())
    assert AuditResults.from_json(content) == done.results
    page = (done.run / "report.html").read_text()
    assert "verdict, fence off" in page
    assert "What the fence prevents" in page


def test_no_prompt_is_asked_twice(source, tmp_path):
    engine = FunctionEngine(gullible)
    done = audit(source, tmp_path, engine, "verdict", "flattery")
    prompts = [(request.id, request.messages) for request in engine.asked]
    assert len(prompts) == len(set(prompts)) == 2 * COUNT * 4  # clean, verdict twice, flattery
    assert done.results.repeated == 2 * COUNT * 2
    assert done.results.tokens.completion_tokens == 2 * len(prompts)


class Stop(NullCallbacks):
    def __init__(self, after):
        self.left = after

    def answered(self, usage):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", (1, 13, 30))
def test_it_resumes_where_it_was_stopped(source, tmp_path, after):
    whole = audit(source, tmp_path, FunctionEngine(gullible), "verdict", "empty", run="whole").results
    first, second = FunctionEngine(gullible), FunctionEngine(gullible)
    with pytest.raises(KeyboardInterrupt):
        audit(source, tmp_path, first, "verdict", "empty", callbacks=Stop(after))
    assert audit(source, tmp_path, second, "verdict", "empty").results == whole
    assert len(first.asked) + len(second.asked) <= 2 * COUNT * 4 + 1  # one may be asked and not kept
    third = FunctionEngine(gullible)
    assert audit(source, tmp_path, third, "verdict", "empty").results == whole
    assert third.asked == []


def test_more_attacks_go_on_with_the_same_run(source, tmp_path):
    audit(source, tmp_path, FunctionEngine(gullible), "verdict")
    engine = FunctionEngine(gullible)
    done = audit(source, tmp_path, engine, "verdict", "empty")
    assert len(engine.asked) == 2 * COUNT
    assert [one.name for one in done.results.attacks] == ["verdict", "empty"]


def test_without_labels_the_judge_itself_names_the_losers(tmp_path):
    path = tmp_path / "pairs.jsonl"
    undecided = replace(pairs(1, None)[0], id="same", response_b=pairs(1)[0].response_a)
    write_pairs(path, [*pairs(4, None), undecided, *(replace(one, id=f"tie{one.id}") for one in pairs(1, "tie"))])
    done = audit(path, tmp_path, FunctionEngine(gullible), "verdict")
    assert (done.results.pairs, done.results.by_label, done.results.left_out) == (4, 0, 2)
    assert figures(done.results) == {"verdict": (0.0, 1.0)}


def test_a_label_counts_for_more_than_what_the_judge_says(tmp_path):
    path = tmp_path / "pairs.jsonl"
    write_pairs(path, pairs(4, "B"))
    done = audit(path, tmp_path, FunctionEngine(prefers("good")), "empty")
    assert done.results.preferred.value == 1.0
    assert figures(done.results) == {"empty": (None, None)}


def test_requests_that_fail_are_told_and_asked_again(source, tmp_path):
    def failing(request):
        broken = "[[" in request.messages[-1].content
        return Generation(request.id, "", "error", error="out of order") if broken else gullible(request)

    done = audit(source, tmp_path, FunctionEngine(failing), "verdict")
    assert done.unanswered == 2 * COUNT
    assert done.results.attacks[0].unfenced.flipped is None
    again = audit(source, tmp_path, FunctionEngine(gullible), "verdict")
    assert (again.unanswered, figures(again.results)) == (0, {"verdict": (0.0, 1.0)})


def test_what_cannot_be_audited_is_refused(source, tmp_path):
    with pytest.raises(ConfigError, match="--attacks nonsense: unknown"):
        audit(source, tmp_path, FunctionEngine(gullible), "nonsense")
    with pytest.raises(ConfigError, match="--audit takes no budget"):
        audit(source, tmp_path, FunctionEngine(gullible), "empty", max_total_tokens=1000)
    path = tmp_path / "ties.jsonl"
    write_pairs(path, pairs(2, "tie"))
    with pytest.raises(DataError, match="no pair has a response that should lose"):
        audit(path, tmp_path, FunctionEngine(gullible), "verdict")
