"""Requests in, completions out: what is told about failures, notes and grammars."""

import asyncio

from rmr1.config import JudgeConfig
from rmr1.judging import JudgeRun, plan_judging
from rmr1.judging.runner import MAX_FAULT_KINDS, RequestLog
from rmr1.records import Generation
from rmr1.report.console import summary_rows
from rmr1.runs import NullCallbacks, RunDirectory
from tests.support.engines import FunctionEngine, answer, pairs


class Sentences(NullCallbacks):
    def __init__(self):
        self.said = []

    def say(self, message):
        self.said.append(message)


def test_failures_are_told_apart_by_their_words_and_not_by_their_numbers():
    log = RequestLog()
    said = []
    log.say = said.append
    for number in range(5):
        log.failed(f"HTTP 500: request req_{number:08x} failed after {number} s")
    log.failed("refused")
    assert [kind.count for kind in log.faults] == [5, 1]
    assert said == ["a request failed: HTTP 500: request req_00000000 failed after 0 s", "a request failed: refused"]


def test_any_number_of_kinds_is_counted_and_few_are_told():
    log = RequestLog()
    said = []
    log.say = said.append
    for number in range(3 * MAX_FAULT_KINDS):
        log.failed("because " + "x" * number)
    assert sum(kind.count for kind in log.faults) == 3 * MAX_FAULT_KINDS
    assert log.faults[0].reason == "other reasons"
    assert len(said) == MAX_FAULT_KINDS + 1


class Noting(FunctionEngine):
    """Makes the same note whenever it answers."""

    def hear(self, on_note):
        self.on_note = on_note

    async def generate(self, requests):
        async for generation in super().generate(requests):
            self.on_note("the server refuses seed")
            yield generation


def judged(engine, run, **config):
    plan = plan_judging(JudgeConfig(**config), engine)
    heard = Sentences()
    with RunDirectory(run, {"job": "test"}) as directory:
        results = asyncio.run(JudgeRun(engine, plan, directory, heard).conclude(pairs(4))).results
    return results, heard.said


def test_notes_of_an_engine_are_told_once_and_stay_in_the_results(tmp_path):
    engine = Noting(lambda request: answer("A"))
    results, said = judged(engine, tmp_path / "run")
    assert said == ["the server refuses seed"]
    assert results.notes == ("the server refuses seed",)
    again, said = judged(engine, tmp_path / "run")  # nothing is left to ask
    assert (again.notes, said) == (results.notes, [])


def test_a_grammar_that_is_not_obeyed_is_noticed_whether_or_not_the_run_was_interrupted(tmp_path):
    def reply(request):
        if request.id.startswith("p3") and broken:
            return Generation(request.id, "", "error", error="gone")
        return f"{answer('A')} A is better." if request.id.startswith("p1") else f"A is better. {answer('A')}"

    broken = True
    settings = {"constrain": True, "template": "verdict-only"}
    first, said = judged(FunctionEngine(reply), tmp_path / "run", **settings)
    assert first.invalid.share == 0.0, "a verdict may be valid in a text that does not follow the grammar"
    assert first.notes[0].startswith("2 of 6 constrained completions do not follow the grammar")
    assert said[0].startswith("1 of 3 constrained completions do not follow")
    broken = False
    second, _ = judged(FunctionEngine(reply), tmp_path / "run", **settings)
    whole, _ = judged(FunctionEngine(reply), tmp_path / "whole", **settings)
    assert second.notes == whole.notes
    assert second.notes[0].startswith("2 of 8")


def test_the_summary_names_failures_and_notes(tmp_path):
    class Failing(Noting):
        def _answers(self, waiting):
            if waiting:
                self.on_note("the server refuses seed")
            for request in waiting:
                yield Generation(request.id, "", "error", error="HTTP 400: too long; lower --max-tokens")
            waiting.clear()

    results, said = judged(Failing(lambda request: ""), tmp_path / "run")
    rows = list(summary_rows(results))
    assert ("failed requests", "8: HTTP 400: too long; lower --max-tokens") in rows
    assert ("note", "the server refuses seed") in rows
    assert said == ["the server refuses seed", "a request failed: HTTP 400: too long; lower --max-tokens"]


def test_nothing_is_told_about_a_run_without_trouble(tmp_path):
    engine = FunctionEngine(lambda request: f"So: {answer('A')}")
    results, said = judged(engine, tmp_path / "run", constrain=True, template="verdict-only")
    assert (results.notes, results.faults, said) == ((), (), [])
