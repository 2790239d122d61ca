"""An evaluation in Python: benchmarks of one's own, the files that it leaves, and how often it parses."""

import json
from collections import Counter

import pytest

import rmr1.verdict.parse
from rmr1.benchmarks import (
    STRICT,
    Benchmark,
    Part,
    Policy,
    compare_runs,
    evaluate,
    evaluation_report,
    find_benchmark,
    score_run,
    write_evaluation_report,
)
from rmr1.errors import ConfigError, JournalError, RunError
from rmr1.records import Generation
from rmr1.results import EvalResults
from rmr1.runs import read_document
from rmr1.stats import Average
from tests.support.benchmarks import by_gold, write_rewardbench, write_rm_bench
from tests.support.engines import FunctionEngine

NOTE = "right if the response that was given as the better one is preferred"


def mine(name="mine", **changes):
    """A benchmark of a script; it is in no package."""
    parts = {
        "title": "My pairs",
        "source": "this test",
        "folders": (),
        "sizes": {"all": 4},
        "find": lambda folder: (Part(str(folder / "pairs.jsonl"), "all"),),
        "metrics": lambda protocol: {"accuracy": Average(("all",))},
        "policies": {"official": Policy("mean", note=NOTE), "strict": STRICT},
        "subset": lambda pair, part: part.name,
    }
    return Benchmark(name, **(parts | changes))


@pytest.fixture
def data(tmp_path):
    rows = [{"prompt": f"q{number}", "chosen": "good", "rejected": "bad"} for number in range(4)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def judge():
    """Right on all pairs but the last one, in both orders."""
    return FunctionEngine(by_gold(lambda pair_id, order: not pair_id.endswith("3")))


def test_a_benchmark_of_a_script_is_judged_scored_and_reported(data):
    engine = judge()
    result = evaluate(engine, mine(), data=data, run=data / "run")
    assert result.results.benchmarks["mine"].protocols["strict"].metrics["accuracy"].value == 0.75
    assert EvalResults.from_json(json.loads((data / "run" / "results.json").read_text())) == result.results
    page = (data / "run" / "report.html").read_text()
    assert "My pairs, protocol official" in page
    assert NOTE[1:] in page
    assert not engine.closed, "whoever opened an engine closes it"
    identity = json.loads((data / "run" / "run.json").read_text())["identity"]
    assert identity["model"] == identity["engine"] == engine.name


def test_a_run_of_such_a_benchmark_is_read_again_with_the_object(data):
    result = evaluate(judge(), [mine()], data=data, run=data / "run")
    assert score_run(data / "run", benchmarks=[mine()]) == result.results
    write_evaluation_report(data / "run", data / "page.html", "official", benchmarks=[mine()])
    assert (data / "page.html").read_bytes() == (data / "run" / "report.html").read_bytes()
    compared = compare_runs([data / "run", data / "run"], benchmarks=[mine()]).results
    (found,) = compared.benchmarks.values()
    assert (found.pairs, found.differing, list(found.runs)) == (4, 0, ["run (1)", "run (2)"])


def test_without_the_object_one_line_says_which_benchmark_is_missing(data):
    evaluate(judge(), mine(), data=data, run=data / "run")
    message = f'{data / "run"}: the benchmark "mine" of this run is not installed; install the package that offers it'
    for read in (score_run, lambda run: evaluation_report(run, "official")):
        with pytest.raises(RunError) as raised:
            read(data / "run")
        assert str(raised.value).startswith(message)
        assert "\n" not in str(raised.value)


def test_what_could_not_be_scored_is_said_before_anything_is_judged(data):
    evaluate(judge(), mine(), data=data, run=data / "run")
    engine = judge()
    with pytest.raises(RunError, match='the benchmark "mine" of this run is not installed'):
        evaluate(engine, mine("other"), data=data, run=data / "run")
    assert not engine.asked


def test_benchmarks_are_named_or_given_or_both_and_each_is_taken_once(data):
    write_rm_bench(data / "RM-Bench", ("chat",), 1)
    chosen = ["rm-bench", mine(), find_benchmark("rm-bench")]
    result = evaluate(judge(), chosen, data=data, run=data / "run", orders="given")
    assert list(result.results.benchmarks) == ["rm-bench", "mine"]
    assert result.results.judge.orders == "given"


@pytest.mark.parametrize("name", ["", "a/b", "..", "two words"])
def test_a_name_that_no_directory_can_have_is_refused(name):
    with pytest.raises(ConfigError, match="a name has letters, digits, dots, dashes and underscores"):
        mine(name)


def test_a_wrong_setting_is_named(data):
    with pytest.raises(ConfigError, match="votez"):
        evaluate(judge(), mine(), data=data, run=data / "run", votez=3)


def test_each_completion_is_parsed_once_and_again_only_for_another_rule(tmp_path, monkeypatch):
    write_rewardbench(tmp_path)
    counts = Counter()
    read = rmr1.verdict.parse.RULES.copy()

    def counting(name):
        def decide(*arguments, **options):
            counts[name] += 1
            return read[name](*arguments, **options)

        return decide

    for name in read:
        monkeypatch.setitem(rmr1.verdict.parse.RULES, name, counting(name))
    engine = judge()
    evaluate(engine, "rewardbench", data=tmp_path, limit=30, run=tmp_path / "run")
    completions = len(engine.asked)
    # The run's rule while judging; the rules of the protocols official and rm-r1 once each while scoring; the page none.
    assert counts == {"default": completions, "rewardbench": completions, "rm-r1-eval": completions}
    counts.clear()
    write_evaluation_report(tmp_path / "run", tmp_path / "page.html", "strict")
    assert counts["default"] == 0


def test_what_failed_and_what_the_engine_said_stand_in_the_results_and_the_report(data):
    class Slow(FunctionEngine):
        def hear(self, on_note):
            on_note("the server is slow")

    engine = Slow(
        lambda request: Generation(request.id, "", "error", error="boom") if "row-0/" in request.id else "[[A]]"
    )
    result = evaluate(engine, mine(), data=data, run=data / "run")
    for found in (
        result.results,
        score_run(data / "run", benchmarks=[mine()]),
        EvalResults.from_json(read_document(data / "run", "results.json")),
    ):
        assert [(kind.reason, kind.count) for kind in found.faults] == [("boom", 2)]
        assert found.engine_notes == ("the server is slow",)
    remarks = evaluation_report(data / "run", "official", benchmarks=[mine()]).benchmarks[0].remarks
    assert {"failed requests: 2: boom", "note: the server is slow"} <= set(remarks)


def test_a_line_that_is_missing_from_a_finished_run_is_noticed_by_what_reads_it(data):
    evaluate(judge(), mine(), data=data, run=data / "run")
    journal = data / "run" / "mine" / "completions.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(
        JournalError, match=r"completions\.jsonl:8: lines are missing: there are 7 .* results\.json counts 8"
    ):
        score_run(data / "run", benchmarks=[mine()])
    assert (
        len(evaluate(asked := judge(), mine(), data=data, run=data / "run").results.benchmarks) == len(asked.asked) == 1
    )
    assert score_run(data / "run", benchmarks=[mine()]).benchmarks["mine"].pairs.completions == 8
