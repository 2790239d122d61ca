"""Budgets: what may be spent, what is spent, and that no process spends more."""

import asyncio

import pytest

from rmr1.config import JudgeConfig, Prices
from rmr1.engines import AnswerCache, CachingEngine
from rmr1.errors import BudgetError, ConfigError, JournalError
from rmr1.judging import Budget, Judge, JudgeRun, plan_judging
from rmr1.judging.budget import prices_of_judge, worst
from rmr1.models import ModelPrices
from rmr1.records import Generation, Usage
from rmr1.results import JudgeResults
from rmr1.runs import NullCallbacks, RunDirectory, read_document
from tests.support.engines import FunctionEngine, pairs, prefers


def test_what_was_spent_on_faults_counts():
    budget = Budget(max_tokens=100)
    promise = budget.promise(Usage(40, 40), None)
    assert promise is not None
    assert budget.promise(Usage(20, 1), None) is None
    budget.settle(promise, Usage(10, 0))
    assert budget.tokens == 10
    assert budget.promise(Usage(45, 45), None) is not None


def test_what_an_engine_does_not_tell_is_counted_as_all_that_was_set_aside():
    budget = Budget(max_tokens=100)
    promise = budget.promise(Usage(40, 40), None)
    assert budget.settle(promise, Usage(unknown=1)) == Usage(40, 40)
    assert budget.tokens == 80


def test_money_and_tokens_are_limited_apart():
    prices = Prices(prompt=1e6, completion=2e6)
    budget = Budget(max_tokens=1000, max_cost=10)
    assert budget.promise(Usage(4, 3), prices) is not None
    assert budget.promise(Usage(1, 0), prices) is None
    assert budget.promise(Usage(1, 0), None) is not None


def test_prices_of_a_judge():
    given = JudgeConfig(model="openai/mine", prices=Prices(prompt=1, completion=2), max_cost=1)
    assert prices_of_judge(given, "openai/mine") == ModelPrices(given.prices, "as given")
    assert prices_of_judge(JudgeConfig(), "openai/mine") is None
    assert prices_of_judge(JudgeConfig(max_cost=1), "openai/gpt-4o").prices.prompt == 2.5
    with pytest.raises(ConfigError, match=r"--max-cost: the price of openai/mine is not known; .*--prices-prompt 3"):
        prices_of_judge(JudgeConfig(max_cost=1), "openai/mine")


class Said(NullCallbacks):
    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


class Spender(FunctionEngine):
    """Uses ``share`` of the worst that each request may take, and notes the most that was ever spent and under way."""

    def __init__(self, batch, share=1.0, unknown=False):
        super().__init__(self.answer, batch)
        self.share, self.unknown = share, unknown
        self.used = self.asked_for = self.peak = 0

    def answer(self, request):
        most = worst(request)
        used = Usage(int(most.prompt_tokens * self.share), int(most.completion_tokens * self.share))
        self.used += used.prompt_tokens + used.completion_tokens
        text = prefers("good")(request)
        return Generation(request.id, text, usage=Usage(unknown=1) if self.unknown else used)


def judge(run, engine, count=12, **settings):
    plan = plan_judging(JudgeConfig(max_tokens=100, **settings), engine)
    said = Said()
    prices = prices_of_judge(plan.config, "test/function")
    with RunDirectory(run, {"job": "judge", **plan.identity()}) as directory:
        judging = JudgeRun(engine, plan, directory, said, total_pairs=count, prices=prices)
        return asyncio.run(judging.conclude(pairs(count), with_texts=True)), said.lines


@pytest.mark.parametrize("batch", [1, 5, 16])
@pytest.mark.parametrize("share", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("unknown", [False, True])
def test_a_budget_is_never_exceeded_and_larger_ones_go_on(tmp_path, batch, share, unknown):
    plain, spent = Spender(batch, share), 0
    judge(tmp_path / "plain", plain)
    expected = JudgeResults.from_json(read_document(tmp_path / "plain", "results.json"))
    for limit in (1, 5_000, 9_000, 20_000, 10**6):
        engine = Spender(batch, share, unknown)
        result, said = judge(tmp_path / "run", engine, max_total_tokens=limit)
        spent += engine.used
        assert spent <= limit
        assert result.results.spending.tokens.prompt_tokens + result.results.spending.tokens.completion_tokens <= limit
        assert (
            result.out_of_budget == (result.results.left > 0) == any("the budget is used up" in line for line in said)
        )
        assert result.results.pairs + result.results.left == 12
        assert result.out_of_budget or spent == plain.used, "nothing was asked twice"
    assert result.results.accuracy == expected.accuracy
    assert result.results.left == 0


def test_a_money_budget_counts_what_earlier_processes_have_spent(tmp_path):
    prices = {"prompt": 1, "completion": 10}
    engine = Spender(4)
    result, said = judge(tmp_path / "run", engine, max_cost=0.02, prices=prices)
    first = result.results.spending.cost
    assert 0.005 < first <= 0.02
    assert result.results.spending.prices == "1 for a million prompt tokens, 10 written; as given"
    assert "in money is spent (max_cost)" in said[-1]
    again, _ = judge(tmp_path / "run", Spender(4), max_cost=0.02, prices=prices)
    assert (again.answered, again.results.spending.cost) == (0, first)
    cheaper, _ = judge(tmp_path / "run", Spender(4), max_cost=0.03, prices=prices)
    assert first < cheaper.results.spending.cost <= 0.03


def test_failed_requests_are_paid_for_too(tmp_path):
    engine = FunctionEngine(lambda request: Generation(request.id, "", "error", Usage(500, 0), error="cut off"), 2)
    result, _ = judge(tmp_path / "run", engine, count=2, max_total_tokens=10**6)
    assert result.results.spending.tokens == Usage(2000, 0)
    result, _ = judge(tmp_path / "run", engine, count=2, max_total_tokens=2_000)
    assert result.answered == 0 and result.out_of_budget


def test_what_was_paid_stays_paid_if_completions_are_deleted(tmp_path):
    first, _ = judge(tmp_path / "run", Spender(4), count=2, max_total_tokens=10**6)
    journal = tmp_path / "run/completions.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[1:]))
    again, _ = judge(tmp_path / "run", Spender(4), count=2, max_total_tokens=10**6)
    assert again.answered == 1
    assert again.results.spending.tokens.prompt_tokens == first.results.spending.tokens.prompt_tokens * 5 / 4
    (tmp_path / "run/spent.jsonl").write_bytes(b"")
    with pytest.raises(JournalError, match=r"spent\.jsonl:1: lines are missing here"):
        judge(tmp_path / "run", Spender(4), count=2)


def test_pairs_that_were_judged_before_a_gap_are_counted_when_the_budget_ends_at_it(tmp_path):
    good = prefers("good")
    engine = FunctionEngine(
        lambda request: (
            Generation(request.id, "", "error", Usage(), error="boom") if "p1/" in request.id else good(request)
        )
    )
    judge(tmp_path / "run", engine)
    result, _ = judge(tmp_path / "run", engine, max_total_tokens=1)
    assert (result.results.pairs, result.results.left, result.results.accuracy.clusters) == (11, 1, 11)


def test_answers_from_the_cache_need_no_budget(tmp_path):
    engines = [Spender(4), Spender(4)]
    first, second = (CachingEngine(engine, AnswerCache(tmp_path / "answers")) for engine in engines)
    judge(tmp_path / "a", first, count=6)
    result, _ = judge(tmp_path / "b", second, count=12, max_total_tokens=3_000)
    assert (result.results.from_cache, result.results.pairs, result.results.left) == (12, 7, 5)
    assert 0 < engines[1].used <= 3_000
    assert result.answered == 2


def test_a_judge_whose_budget_is_used_up_says_so():
    engine = Spender(1)
    with Judge(engine, max_tokens=100, max_total_tokens=6_000) as made:
        assert made.compare("question", "good", "bad").winner == "A"
        spent = made.budget.tokens
        with pytest.raises(BudgetError, match=r"the budget is used up: [\d,]+ of 6,000 tokens are spent"):
            list(made.compare_many(pairs(20)))
    assert 0 < spent < engine.used <= 6_000
