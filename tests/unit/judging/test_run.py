"""A judge run: what it asks, what it concludes, and that it parses each completion once."""

import asyncio
import json
from dataclasses import replace

import pytest

from rmr1.config import JudgeConfig
from rmr1.data import load_pairs
from rmr1.errors import DataError, EngineError, JournalError, RunError
from rmr1.judging import JudgeRun, JudgmentTally, PairTask, judge_pairs, plan_judging
from rmr1.records import Generation, Usage
from rmr1.results import InvalidVerdicts, JudgeResults
from rmr1.runs import NullCallbacks, RunDirectory
from tests.support.engines import FunctionEngine, answer, pairs, prefers


def run(engine, source, **settings):
    plan = plan_judging(JudgeConfig(**settings), engine)

    async def collect():
        return [finished async for finished in JudgeRun(engine, plan).judge(source)]

    return asyncio.run(collect())


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_every_comparison_is_asked_once_and_every_pair_judged(batch):
    engine = FunctionEngine(prefers("good"), batch)
    judged = run(engine, pairs(7), votes=3)
    assert sorted(number for number, _ in judged) == list(range(7))
    assert all(judgment.correct and judgment.position_consistent for _, judgment in judged)
    assert len(engine.asked) == 7 * 2 * 3
    assert len({request.id for request in engine.asked}) == 42
    assert len({request.sampling.seed for request in engine.asked}) == 42


def test_seeds_depend_on_the_pair_and_not_on_its_place():
    one, other = FunctionEngine(prefers("good")), FunctionEngine(prefers("good"))
    source = pairs(5)
    run(one, source)
    run(other, source[::-1])
    seeds = [{request.id: request.sampling.seed for request in engine.asked} for engine in (one, other)]
    assert seeds[0] == seeds[1]


def test_pairs_of_one_name_are_both_judged():
    engine = FunctionEngine(prefers("good"), batch=100)
    judged = run(engine, pairs(1) + pairs(1))
    assert [number for number, _ in sorted(judged, key=lambda item: item[0])] == [0, 1]


def test_a_biased_judge_is_a_tie():
    judged = run(FunctionEngine(lambda request: answer("A")), pairs(3))
    assert {(judgment.winner, judgment.position_consistent) for _, judgment in judged} == {("tie", False)}


def test_orders_policies():
    for policy, orders in (("given", {"ab"}), ("swapped", {"ba"}), ("random", {"ab", "ba"})):
        judged = run(FunctionEngine(prefers("good")), pairs(30), orders=policy)
        assert {vote.order for _, judgment in judged for vote in judgment.votes} == orders
        assert all(judgment.correct for _, judgment in judged)


def failing(request):
    return Generation(request.id, "", "error", error="boom")


def test_a_pair_that_the_engine_failed_on_is_unjudged_and_never_wrong():
    good = prefers("good")
    engine = FunctionEngine(lambda request: failing(request) if "p1/ab" in request.id else good(request))
    judged = dict(run(engine, pairs(3)))
    assert [vote.verdict.invalid for vote in judged[1].votes] == ["engine_error", None]
    assert (judged[1].outcome, judged[1].winner, judged[1].correct) == ("unjudged", None, None)
    assert judged[1].error == "boom"
    results = summarise(judged.items(), 3)
    assert (results.pairs, results.unjudged, results.unanswered) == (2, 1, 1)
    assert (results.accuracy.n, results.right, results.completions, results.invalid.n) == (2, 2, 4, 4)


def test_an_engine_that_is_gone_ends_the_run():
    with pytest.raises(EngineError, match="20 requests failed in a row, the last with: boom"):
        run(FunctionEngine(failing), pairs(50))


def test_requests_are_drawn_only_as_they_are_needed():
    engine = FunctionEngine(prefers("good"), batch=4)
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            for pair in pairs(1):
                drawn += 1
                yield pair

    async def take(count):
        plan = plan_judging(JudgeConfig(), engine)
        stream = JudgeRun(engine, plan).judge(endless())
        for _ in range(count):
            await anext(stream)
        await stream.aclose()

    asyncio.run(take(10))
    assert drawn <= 12


def summarise(judged, count):
    summary = JudgmentTally()
    for number, judgment in judged:
        summary.add(number, judgment)
    return summary.results(range(count))


def test_summary_is_the_same_in_any_order():
    good = prefers("good")
    engine = FunctionEngine(
        lambda request: answer("A") if "p3/" in request.id else "?" if "p5/ab" in request.id else good(request)
    )
    judged = run(engine, pairs(8))
    results = summarise(judged, 8)
    assert json.dumps(results.to_json()) == json.dumps(summarise(judged[::-1], 8).to_json())
    assert (results.right, results.ties, results.half_judged, results.completions) == (6, 1, 1, 16)
    assert results.accuracy.value == 6 / 8
    assert results.invalid == InvalidVerdicts(1 / 16, {"missing": 1}, 16)
    assert (results.position_consistency.value, results.position_consistency.n) == (6 / 7, 7)
    assert (results.vote_accuracy.value, results.vote_accuracy.n) == (14 / 16, 16)
    assert (results.first_shown.value, results.first_shown.n) == (8 / 15, 15)
    assert results.by_category["even"].value == 1.0
    assert results.tokens == Usage(160, 32, 16)


def test_pairs_of_one_group_are_one_cluster_wherever_they_stand(tmp_path):
    def accuracy(groups, name):
        source = [replace(pair, group=group) for pair, group in zip(pairs(len(groups)), groups, strict=True)]
        engine = FunctionEngine(lambda request: answer("A" if "0" in request.id or "1" in request.id else "B"))
        with RunDirectory(tmp_path / name, {}) as directory:
            judging = JudgeRun(engine, plan_judging(JudgeConfig(orders="given"), engine), directory)
            return asyncio.run(judging.conclude(source)).results.accuracy

    together, scattered = accuracy("aabbccdd", "together"), accuracy("acabdcdb", "scattered")
    alone = accuracy([""] * 8, "alone")
    assert together.clusters == scattered.clusters == 4
    assert alone.clusters == 8
    assert together.low < alone.low, "pairs that rise and fall together say less"


@pytest.mark.parametrize("columns", [{}, {"id": "x{}"}, {"id": "x#{}"}, {"group": "g{}"}])
def test_pairs_with_one_prompt_are_one_cluster_with_and_without_a_column_for_it(tmp_path, columns):
    rows = (
        {"prompt": f"q{number % 5}", "chosen": f"good {number}", "rejected": "bad"}
        | {name: value.format(number % 5 if name == "group" else number) for name, value in columns.items()}
        for number in range(20)
    )
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = judge_pairs(path, engine=FunctionEngine(prefers("good")), run=tmp_path / "run").results
    assert {(one.n, one.clusters) for one in (results.accuracy, results.position_consistency)} == {(20, 5)}
    assert {(one.n, one.clusters) for one in (results.vote_accuracy, results.first_shown)} == {(40, 5)}


def write_pairs(path, count):
    with path.open("w") as rows:
        for number in range(count):
            rows.write(
                json.dumps({"id": f"p{number}", "prompt": f"q{number}", "chosen": "good", "rejected": "bad"}) + "\n"
            )
    return path


def test_each_completion_is_parsed_once_and_not_again_for_the_report(tmp_path, parses):
    path = write_pairs(tmp_path / "pairs.jsonl", 5)
    engine = FunctionEngine(lambda request: "?" if "p2/" in request.id else prefers("good")(request))
    result = judge_pairs(path, engine=engine, votes=2, run=tmp_path / "run")
    assert len(engine.asked) == parses.count == result.results.completions == 20
    assert (result.run / "report.html").is_file()
    assert JudgeResults.from_json(json.loads((result.run / "results.json").read_text())) == result.results
    again = judge_pairs(path, engine=engine, votes=2, run=tmp_path / "run")
    assert (again.results, again.answered) == (result.results, 0)
    assert (len(engine.asked), parses.count) == (20, 20)
    assert not engine.closed


def test_a_source_that_is_open_can_be_judged_and_limited(tmp_path):
    source = load_pairs(write_pairs(tmp_path / "pairs.jsonl", 5))
    result = judge_pairs(source, engine=FunctionEngine(prefers("good")), limit=3, run=tmp_path / "run")
    assert (result.results.pairs, result.results.accuracy.value) == (3, 1.0)
    assert [pair.id for pair, _ in result.first] == ["p0", "p1", "p2"]


def test_pairs_can_be_judged_inside_a_running_loop(tmp_path):
    path = write_pairs(tmp_path / "pairs.jsonl", 2)

    async def notebook_cell():
        return judge_pairs(path, engine=FunctionEngine(prefers("good")), run=tmp_path / "run").results.right

    assert asyncio.run(notebook_cell()) == 2


def test_a_run_without_a_directory_has_no_results():
    engine = FunctionEngine(prefers("good"))
    with pytest.raises(RunError, match="without a directory"):
        asyncio.run(JudgeRun(engine, plan_judging(JudgeConfig(), engine)).conclude(pairs(1)))


def test_repeated_ids_are_judged_apart_and_replayed(tmp_path):
    path = tmp_path / "dup.jsonl"
    rows = [{"id": "q", "prompt": "Hi", "chosen": f"good {number}", "rejected": "bad"} for number in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first = judge_pairs(str(path), engine=FunctionEngine(prefers("good")), run=tmp_path / "run")
    journal = [json.loads(line) for line in (tmp_path / "run" / "completions.jsonl").read_text().splitlines()]
    assert {record["request"].partition("/")[0] for record in journal} == {"q", "q#2", "q#3"}
    again = judge_pairs(str(path), model=f"replay/{tmp_path / 'run'}", run=tmp_path / "again")
    assert (again.results.accuracy, again.results.pairs) == (first.results.accuracy, 3)


def test_data_without_pairs_are_an_error(tmp_path):
    path = tmp_path / "equal.jsonl"
    path.write_text(json.dumps({"prompt": "Hi", "responses": ["a", "b"], "scores": [1, 1]}))
    with pytest.raises(DataError, match="no pairs in it; rows of responses with equal scores make none"):
        judge_pairs(str(path), engine=FunctionEngine(prefers("good")), run=tmp_path / "run")


def test_a_template_that_shows_more_than_the_pairs_have_is_refused_before_any_request(tmp_path):
    template = tmp_path / "ref.txt"
    template.write_text("@@ user single-turn\n{{question}} {{response_a}} {{response_b}} {{reference}}\n")
    path = tmp_path / "p.jsonl"
    rows = [{"prompt": "Hi", "chosen": "good", "rejected": "bad", "key": key} for key in ("1", None)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    engine = FunctionEngine(prefers("good"))
    task = PairTask(str(path), columns={"reference": "key"}, run=tmp_path / "run")
    with pytest.raises(DataError, match="pair row-1: the template"):
        judge_pairs(task, engine=engine, template=str(template))
    assert engine.asked == []


def write_source(path, count, changed=None):
    text = "x" * 50_000  # more than is read at once
    rows = [{"id": f"p{n}", "prompt": f"q{n} {text}", "chosen": "good", "rejected": "bad"} for n in range(count)]
    if changed is not None:
        rows[changed]["chosen"] = "best"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("count", "changed", "told"),
    [
        (3, None, "6 pairs at the beginning, 3 at the end, its content is another one"),
        (9, None, "6 pairs at the beginning, 9 at the end"),
        (6, 5, "changed during the run: its content is another one"),
    ],
)
def test_a_source_that_changes_while_it_is_judged_is_an_error(tmp_path, count, changed, told):
    path = write_source(tmp_path / "pairs.jsonl", 6)

    def reply(request):
        write_source(path, count, changed)
        return prefers("good")(request)

    with pytest.raises(DataError, match=told):
        judge_pairs(path, engine=FunctionEngine(reply), run=tmp_path / "run")
    assert not (tmp_path / "run" / "results.json").exists()
    write_source(path, 6)
    if changed is not None:
        with pytest.raises(RunError, match=r"completions\.jsonl:\d+: .*another pair than .p5."):
            judge_pairs(path, engine=FunctionEngine(prefers("good")), run=tmp_path / "run")
        return
    kept = (tmp_path / "run" / "completions.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "run" / "completions.jsonl").write_bytes(b"".join(kept[:12]))
    result = judge_pairs(path, engine=FunctionEngine(prefers("good")), run=tmp_path / "run")
    assert (result.results.pairs, result.results.right) == (6, 6)


def test_completions_of_pairs_that_are_not_there_are_refused(tmp_path):
    plan = plan_judging(JudgeConfig(), FunctionEngine(prefers("good")))
    for count, told in ((4, None), (3, r"completions\.jsonl:7: .*there are only 3 pairs")):
        with RunDirectory(tmp_path / "run", {}) as directory:
            judging = JudgeRun(FunctionEngine(prefers("good")), plan, directory).conclude(pairs(count))
            if told is None:
                asyncio.run(judging)
                continue
            with pytest.raises(JournalError, match=told):
                asyncio.run(judging)


def test_a_cut_line_is_said_and_its_completion_requested_again(tmp_path):
    class Said(NullCallbacks):
        def __init__(self):
            self.said = []

        def say(self, message):
            self.said.append(message)

    path = write_source(tmp_path / "pairs.jsonl", 2)
    judge_pairs(path, engine=FunctionEngine(prefers("good")), run=tmp_path / "run")
    journal = tmp_path / "run" / "completions.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    engine, callbacks = FunctionEngine(prefers("good")), Said()
    judge_pairs(path, engine=engine, run=tmp_path / "run", callbacks=callbacks)
    assert len(engine.asked) == 1
    assert any("completions.jsonl: an interruption cut the last line" in one for one in callbacks.said)
