"""Two passes, k samples, budgets and counts, with engines that are functions."""

import asyncio
import json
from collections import Counter

import pytest

from rmr1.config import DistillConfig, load_config
from rmr1.data import load_pairs
from rmr1.distillation import DistillRun, Writer, distill
from rmr1.distillation.run import labelled
from rmr1.errors import ConfigError, DataError, EngineError
from rmr1.judging import plan_judging
from rmr1.records import UNKNOWN_USAGE, Generation, Usage
from rmr1.runs import RunDirectory
from tests.support.engines import FunctionEngine, answer

GOOD = "<type>Chat</type>\n<rubric>\n1. Help (100%)\n<justify>x</justify>\n</rubric>\n<eval>{}</eval>\n"
CITED = "<quote_A>good</quote_A> and <quote_B>bad</quote_B>"


def write_pairs(path, count):
    with path.open("w") as rows:
        for number in range(count):
            row = {"id": f"p{number}", "prompt": f"q{number}", "chosen": f"good {number}", "rejected": "bad"}
            rows.write(json.dumps(row | {"category": ("even", "odd")[number % 2]}) + "\n")
    return path


def gold(request):
    return request.comparison.gold


def wrong(request):
    return "B" if gold(request) == "A" else "A"


def judged(side, evaluation=CITED):
    return GOOD.format(evaluation) + answer(side)


def distil(folder, teacher, repairer=None, *, count=8, run="run", engine=FunctionEngine, **settings):
    source = load_pairs(write_pairs(folder / "pairs.jsonl", count))
    settings = {"teacher": "test/teacher", "repairer": "test/repairer" if repairer else None} | settings
    config = DistillConfig(**settings)

    def writer(reply, prices):
        made = reply if isinstance(reply, FunctionEngine) else engine(reply)
        return Writer(made, plan_judging(config.judging("test/x", config.teacher_engine), made), prices)

    with RunDirectory(folder / run, {}) as directory:
        distilling = DistillRun(
            source,
            writer(teacher, config.teacher_prices),
            writer(repairer, config.effective_repairer_prices) if repairer else None,
            config,
            directory,
        )
        return asyncio.run(distilling.conclude())


def rows(result, name="traces.jsonl"):
    return [json.loads(line) for line in (result.run / name).read_text().splitlines()]


def adds_up(results):
    parts = sum(getattr(results, name) for name in ("kept", "repaired", "rejected", "faulted", "left"))
    return parts == results.comparisons and sum(results.rejected_by_reason.values()) == results.rejected


def number_of(request):
    return int(request.comparison.pair_id[1:])


def test_right_traces_are_kept_and_wrong_ones_repaired(tmp_path):
    repairs = FunctionEngine(lambda request: judged(gold(request)))
    result = distil(
        tmp_path, lambda request: judged((gold if number_of(request) % 2 else wrong)(request)), repairs, orders="both"
    )
    assert (result.results.kept, result.results.repaired, result.results.comparisons) == (8, 8, 16)
    assert adds_up(result.results)
    assert result.results.complete
    traces = rows(result)
    assert [row["id"] for row in traces] == [f"p{number}/{order}" for number in range(8) for order in ("ab", "ba")]
    assert [row["origin"] for row in traces[:4]] == ["repairer", "repairer", "teacher", "teacher"]
    assert [row["label"] for row in traces[:2]] == ["A", "B"]
    for row in traces:
        assert row["completion"] == [{"role": "assistant", "content": judged(row["label"])}]
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]
        assert "Failed Judgement" not in row["prompt"][1]["content"]
    shown = repairs.asked[0].messages[1].content
    assert "[The Start of the Failed Judgement]\n(type)Chat(/type)" in shown
    assert f"The better response of this item: {gold(repairs.asked[0])}." in shown
    assert len(repairs.asked) == 8
    assert [row["reason"] for row in rows(result, "rejected.jsonl")] == ["wrong_verdict"] * 8


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        (lambda request: judged(wrong(request)), "stop", "wrong_verdict"),
        (lambda request: "I cannot say.", "stop", "missing"),
        (lambda request: "", "stop", "missing"),
        (lambda request: "<think>" + judged(gold(request)), "stop", "missing"),
        (lambda request: answer("A") + answer("B"), "stop", "conflicting"),
        (lambda request: judged(gold(request)) + " and so on", "length", "truncated"),
        (lambda request: judged(gold(request), "no reference"), "stop", "format"),
        (lambda request: judged(gold(request), CITED + " The correct verdict is clear."), "stop", "leaks_hint"),
    ],
)
def test_each_reason_in_either_pass(tmp_path, text, finish, reason):
    def reply(request):
        return Generation(request.id, text(request), finish)

    alone = distil(tmp_path, reply, count=3, run="alone", require_format=True)
    if reason == "leaks_hint":  # the teacher was told nothing
        assert alone.results.kept == 3
    else:
        assert alone.results.rejected_by_reason == {reason: 3}
    repaired = distil(
        tmp_path, lambda request: judged(wrong(request)), reply, count=3, run="repaired", require_format=True
    )
    assert repaired.results.rejected_by_reason == {reason: 3}
    assert repaired.results.passes["repairer"].rejected == {reason: 3}
    assert adds_up(repaired.results)
    assert rows(repaired) == []
    assert [(row["pass"], row["reason"]) for row in rows(repaired, "rejected.jsonl")][:2] == [
        (1, "wrong_verdict"),
        (2, reason),
    ]


def test_a_broken_format_is_kept_and_named_unless_forbidden(tmp_path):
    result = distil(tmp_path, lambda request: judged(gold(request), "no reference"), count=2)
    assert result.results.kept == 2
    assert rows(result)[0]["problems"] == "no_reference_to_A, no_reference_to_B"
    assert result.results.problems == {"no_reference_to_A": 2, "no_reference_to_B": 2}


def test_samples_are_drawn_until_one_is_right(tmp_path):
    def reply(request):
        right = request.comparison.vote >= number_of(request)
        return judged((gold if right else wrong)(request))

    engine = FunctionEngine(reply, batch=3)
    result = distil(tmp_path, engine, count=5, samples=3)
    assert Counter(number_of(request) for request in engine.asked) == {0: 1, 1: 2, 2: 3, 3: 3, 4: 3}
    assert all(request.sampling.temperature == 1.0 for request in engine.asked)
    assert len({request.sampling.seed for request in engine.asked}) == 12
    assert (result.results.kept, result.results.rejected) == (3, 2)
    assert [row["id"].partition("/")[0] for row in rows(result)] == ["p0", "p1", "p2"]
    assert len(rows(result, "rejected.jsonl")) == 0 + 1 + 2 + 3 + 3


def test_up_to_n_right_samples_are_kept(tmp_path):
    def reply(request):
        return judged((wrong if request.comparison.vote == 1 else gold)(request))

    result = distil(tmp_path, reply, count=2, samples=4, keep=2)
    assert [row["id"][-2:] for row in rows(result)] == ["/0", "/2", "/0", "/2"]
    assert (result.results.kept, result.results.traces) == (2, 4)


def test_faults_are_never_wrong_traces_and_are_asked_again(tmp_path):
    def failing(request):
        if number_of(request) == 2:
            return Generation(request.id, "", "error", error="boom")
        return judged((wrong if number_of(request) == 3 else gold)(request))

    def failing_repairs(request):
        return Generation(request.id, "", "error", error="boom")

    first = distil(tmp_path, failing, failing_repairs, count=5)
    assert (first.results.kept, first.results.faulted, first.results.rejected) == (3, 2, 0)
    assert not first.results.complete
    assert adds_up(first.results)
    teacher = FunctionEngine(lambda request: judged(gold(request)))
    repairer = FunctionEngine(lambda request: judged(gold(request)))
    second = distil(tmp_path, teacher, repairer, count=5)
    assert [number_of(request) for request in teacher.asked] == [2]
    assert [number_of(request) for request in repairer.asked] == [3]
    assert (second.results.kept, second.results.repaired, second.results.faulted) == (4, 1, 0)
    assert second.results.complete


def test_a_fault_holds_later_samples_back(tmp_path):
    def reply(request):
        if number_of(request) == 1 and request.comparison.vote == 0:
            return Generation(request.id, "", "error", error="boom")
        return judged(wrong(request))

    engine = FunctionEngine(reply)
    result = distil(tmp_path, engine, count=2, samples=2)
    assert [(number_of(request), request.comparison.vote) for request in engine.asked] == [(0, 0), (1, 0), (0, 1)]
    assert (result.results.rejected, result.results.faulted) == (1, 1)


def test_an_engine_that_is_gone_ends_the_run(tmp_path):
    with pytest.raises(EngineError, match="20 requests failed in a row"):
        distil(tmp_path, lambda request: Generation(request.id, "", "error", error="boom"), count=30)


def using(prompt, completion):
    return lambda request: Generation(request.id, judged(gold(request)), usage=Usage(prompt, completion))


@pytest.mark.parametrize("batch", [1, 4])
def test_a_budget_of_tokens_is_never_overrun_and_can_be_raised(tmp_path, batch):
    spent = []
    for budget in (6_000, 8_000, 100_000):
        engine = FunctionEngine(using(1000, 100), batch)
        result = distil(tmp_path, engine, count=10, max_tokens=100, max_total_tokens=budget)
        tokens = result.results.tokens.prompt_tokens + result.results.tokens.completion_tokens
        assert tokens <= budget
        assert adds_up(result.results)
        spent.append((result.results.kept, result.results.left, result.out_of_budget))
    # A prompt is taken for half its bytes (some 1300 tokens), so 4 or 5 requests of 1100 tokens fit into 6000.
    assert spent[0][0] in (4, 5)
    assert spent[0][0] < spent[1][0] < 10
    assert [one[2] for one in spent] == [True, True, False]
    assert spent[2] == (10, 0, False)
    undisturbed = distil(tmp_path, using(1000, 100), count=10, max_tokens=100, run="undisturbed")
    for name in ("traces.jsonl", "results.json"):
        assert (tmp_path / "run" / name).read_bytes() == (undisturbed.run / name).read_bytes()


def test_a_budget_of_money(tmp_path):
    prices = {"prompt": 1.0, "completion": 10.0}
    result = distil(tmp_path, using(1000, 100), count=10, max_tokens=100, max_cost=0.0105, teacher_prices=prices)
    assert result.out_of_budget
    assert result.results.cost == pytest.approx(0.002 * result.results.kept)
    assert result.results.cost <= 0.0105
    assert result.results.kept >= 4
    assert json.loads((result.run / "metrics.jsonl").read_text())["spent_in_all"]["cost"] == result.results.cost


def test_tokens_that_the_engine_does_not_tell_are_known_to_the_next_process(tmp_path):
    def silent(request):
        return Generation(request.id, judged(gold(request)), usage=UNKNOWN_USAGE)

    def budgets(**settings):
        done = distil(tmp_path, FunctionEngine(silent), count=10, max_tokens=100, max_total_tokens=6_000, **settings)
        spent = json.loads((done.run / "metrics.jsonl").read_text().splitlines()[-1])["spent_in_all"]["tokens"]
        return done.results.kept, done.results.left, spent

    kept, left, spent = budgets()
    assert 0 < kept < 10 and left == 10 - kept and 4_000 < spent <= 6_000
    assert budgets() == (kept, left, spent)


def test_what_was_spent_on_a_deleted_completion_stays_spent(tmp_path):
    def budgets(limit):
        engine = FunctionEngine(using(1000, 100))
        done = distil(tmp_path, engine, count=10, max_tokens=100, max_total_tokens=limit)
        spent = json.loads((done.run / "metrics.jsonl").read_text().splitlines()[-1])["spent_in_all"]["tokens"]
        return len(engine.asked), spent

    asked, spent = budgets(6_000)
    assert spent == asked * 1100
    journal = tmp_path / "run" / "pass1.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[1:]))
    assert budgets(6_000) == (0, spent)
    assert budgets(100_000) == (11 - asked, 11 * 1100)


def test_the_verdict_is_read_from_what_is_left_of_the_text(tmp_path):
    def reply(request):
        return f"Maybe {answer(wrong(request))}</think>\n{judged(gold(request))}"

    assert distil(tmp_path, reply, count=2, run="a").results.kept == 2
    kept = distil(tmp_path, reply, count=2, run="b", keep_think=True)
    assert kept.results.kept == 2
    assert rows(kept)[0]["completion"][0]["content"].startswith("Maybe ")


def test_pairs_without_a_label_are_refused_by_name(tmp_path):
    path = tmp_path / "unlabelled.jsonl"
    path.write_text(
        '{"id":"u1","prompt":"q","response_a":"x","response_b":"y","label":"A"}\n'
        '{"id":"u2","prompt":"q","response_a":"x","response_b":"y","label":null}\n'
    )
    source = load_pairs(path)
    with pytest.raises(DataError, match='"u2" has no label'):
        list(labelled(source, None, skip=False))
    assert [(number, pair.id) for number, pair in labelled(source, None, skip=True)] == [(0, "u1")]
    assert len(list(labelled(source, 1, skip=False))) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "--teacher"),
        ({"teacher": "x", "keep": 2}, "--samples"),
        ({"teacher": "x", "samples": 2, "repairer": "y"}, "second pass"),
        ({"teacher": "x", "samples": 2, "temperature": 0.0}, "temperature"),
        ({"teacher": "x", "repare": 1}, 'unknown key "repare"'),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        load_config(DistillConfig, flags=settings, environment={})


def test_a_budget_of_money_needs_prices(tmp_path):
    pairs = write_pairs(tmp_path / "pairs.jsonl", 2)
    engine = FunctionEngine(lambda request: judged(gold(request)))
    with pytest.raises(
        ConfigError, match=r"--max-cost: the price of test/function is not known; .*--teacher-prices-prompt"
    ):
        distill(pairs, teacher=engine, max_cost=1.0)
    other = FunctionEngine(lambda request: judged(gold(request)))
    other.name = "test/other"
    prices = {"prompt": 1.0, "completion": 1.0}
    with pytest.raises(ConfigError, match=r"the price of test/other is not known; .*--repairer-prices-completion"):
        distill(pairs, teacher=engine, repairer=other, max_cost=1.0, teacher_prices=prices)
    assert not engine.asked


def test_each_completion_is_parsed_once(tmp_path, parses):
    def reply(request):
        return judged((wrong if number_of(request) % 2 else gold)(request))

    teacher, repairer = FunctionEngine(reply), FunctionEngine(lambda request: judged(gold(request)))
    pairs = write_pairs(tmp_path / "pairs.jsonl", 6)
    result = distill(pairs, teacher=teacher, repairer=repairer, run=tmp_path / "run")
    assert (result.results.kept, result.results.repaired) == (3, 3)
    assert len(teacher.asked) + len(repairer.asked) == parses.count == 9
    assert (result.run / "report.html").is_file()
    again = distill(pairs, teacher=teacher, repairer=repairer, run=tmp_path / "run")
    assert (again.results, parses.count) == (result.results, 9)
    assert not teacher.closed


def test_a_source_that_is_open_can_be_distilled(tmp_path):
    source = load_pairs(write_pairs(tmp_path / "pairs.jsonl", 4))
    teacher = FunctionEngine(lambda request: judged(gold(request)))
    result = distill(source, teacher=teacher, limit=3, run=tmp_path / "run", samples=2, keep=1)
    assert (result.results.pairs, result.results.kept) == (3, 3)
    assert len(rows(result)) == 3
