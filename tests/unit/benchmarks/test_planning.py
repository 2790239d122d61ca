"""The plan of an evaluation with cost and time, and the exit code that results call for."""

import math

import pytest

from rmr1.benchmarks import Axes, Rates, find_benchmark, load, plan_evaluation
from rmr1.cli.streams import Bounds, RunOutcome, exit_code
from rmr1.config import JudgeConfig, Prices, cost, parse_prices
from rmr1.errors import ConfigError, TemplateError
from rmr1.records import Usage
from rmr1.report.evaluation import plan_line, plan_table
from rmr1.results import Estimate, Figure, InvalidVerdicts
from tests.support.benchmarks import by_gold, run_eval, write_rm_bench, write_rmb

RATES = Rates(Prices(prompt=3, completion=15), 40.0)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_rm_bench(folder / "RM-Bench", ("chat", "code"), 2)
    write_rmb(folder / "RMB_dataset", 5)
    return [load(find_benchmark(name), folder) for name in ("rm-bench", "rmb")]


def test_without_rates_a_plan_has_no_money_and_no_time(found):
    plans = plan_evaluation(found, [JudgeConfig()], None, Rates())
    assert [(plan.cost, plan.seconds) for plan in plans] == [(None, None)] * 2
    table = plan_table(plans)
    assert table.title == "Plan: nothing is judged"
    assert table.columns == ("benchmark", "items", "comparisons", "completions", "prompt tokens", "written tokens")
    assert plan_line(plans) == (
        f"plan: 41 comparisons, 82 completions, about {sum(plan.prompt_tokens for plan in plans):,} prompt tokens, "
        f"at most {82 * 2048:,} written tokens"
    )


def test_cost_and_time_are_of_the_most_tokens(found):
    plans = plan_evaluation(found, [JudgeConfig(max_tokens=100)], None, RATES)
    rm_bench = plans[0]
    written = 2 * 2 * 9 * 2 * 100
    assert rm_bench.max_completion_tokens == written
    assert rm_bench.cost == pytest.approx(rm_bench.prompt_tokens * 3e-6 + written * 15e-6)
    assert rm_bench.seconds == pytest.approx(written / 40)
    table = plan_table(plans, RATES.words())
    assert table.title == (
        "Plan: nothing is judged; estimates from 3 for a million tokens of prompts, 15 written; 40 written tokens a second"
    )
    assert table.columns[-2:] == ("cost", "time")
    assert table.rows[0][-1] == "at most about 3 min 0 s"
    assert [row[0] for row in table.rows] == ["rm-bench", "rmb", "all"]
    assert table.rows[2][2:4] == ("41", "82")
    assert "time at most about 3 min 25 s (estimates from 3 for a million" in plan_line(plans, RATES.words())


@pytest.mark.parametrize(
    ("rates", "unknown"), [(Rates(prices=RATES.prices), "seconds"), (Rates(tokens_per_second=9), "cost")]
)
def test_what_is_not_known_is_left_out(found, rates, unknown):
    plans = plan_evaluation(found, [JudgeConfig()], None, rates)
    assert [name for name in ("cost", "seconds") if getattr(plans[0], name) is None] == [unknown]
    assert len(plan_table(plans).columns) == 7


def test_all_votes_of_an_order_get_the_same_prompt(found):
    one, four = (plan_evaluation(found, [JudgeConfig(votes=votes)], None, Rates())[0] for votes in (1, 4))
    assert four.completions == 4 * one.completions
    assert four.prompt_characters == 4 * one.prompt_characters
    assert four.pairs == one.pairs


def test_the_plan_of_a_sweep_is_a_sum_in_which_votes_are_shared(found):
    axes = Axes(votes=(1, 4), max_tokens=(64, 256), template=("cor", "cor-brief"))
    plans = plan_evaluation(found, list(axes.configs(JudgeConfig(**axes.flags()))), None, Rates())
    alone = [
        plan_evaluation(found, [JudgeConfig(votes=4, max_tokens=tokens, template=template)], None, Rates())
        for tokens in (64, 256)
        for template in ("cor", "cor-brief")
    ]
    for place, plan in enumerate(plans):
        for name in ("completions", "prompt_characters", "prompt_tokens", "max_completion_tokens"):
            assert getattr(plan, name) == sum(getattr(one[place], name) for one in alone)
        assert plan.pairs == alone[0][place].pairs


def test_the_plan_is_said_before_the_engine_is_asked(tmp_path, capsys):
    write_rm_bench(tmp_path / "RM-Bench", ("chat",), 1)
    run_eval("rm-bench", tmp_path, by_gold(lambda pair, order: True), tmp_path / "run")
    said = capsys.readouterr().err
    assert "plan: 9 comparisons, 18 completions, about " in said
    assert said.index("plan: ") < said.index("RM-Bench (1 of 1)")
    with pytest.raises(TemplateError):
        run_eval("rm-bench", tmp_path, None, tmp_path / "other", template="absent")


def test_prices_are_two_numbers():
    assert parse_prices("3,15.5") == Prices(prompt=3, completion=15.5)
    assert math.isclose(cost(Usage(1_000_000, 2_000_000), parse_prices("3, 15")), 33)
    for text in ("3", "3,x", "3,-1", "1,2,3", "nan,1", ""):
        with pytest.raises(ConfigError, match="as PROMPT,COMPLETION, such as 3,15"):
            parse_prices(text)


FAULTS = (
    "the engine failed on 2 requests, see here; 2 pairs are not judged and in no figure; run the same command to retry"
)


@pytest.mark.parametrize(
    ("errors", "bounds", "code", "messages"),
    [
        (0, Bounds(), 0, []),
        (0, Bounds(0.7, 0.1), 0, []),
        (2, Bounds(0.9, 0.01), 1, [FAULTS]),
        (0, Bounds(0.9, 0.05), 4, ["b: 10.0% of the verdicts are invalid, more than 5.0% (n = 40)"]),
        (0, Bounds(0.75, 0.1), 3, ["one is below 0.75: it is 0.7 over 20 comparisons"]),
        (
            0,
            Bounds(0.9),
            3,
            ["one is below 0.9: it is 0.7 over 20 comparisons", "two is below 0.9: it is 0.8 over 10 comparisons"],
        ),
    ],
)
def test_the_gravest_failure_makes_the_code(errors, bounds, code, messages, capsys):
    invalid = {"a": InvalidVerdicts(0.0, {}, 40), "b": InvalidVerdicts(0.1, {"missing": 4}, 40)}
    scores = {"one": Estimate(0.7, 0.5, 0.9, 20, 20), "two": Figure(0.8, 0.5, 0.9, 10, 10)}
    outcome = RunOutcome(errors, "here", invalid, scores, errors)
    assert exit_code(outcome, bounds) == code
    assert capsys.readouterr().err.splitlines() == [f"rmr1: {message}" for message in messages]


def test_no_score_is_below_every_bound(capsys):
    outcome = RunOutcome(0, "", {"": InvalidVerdicts(0.5, {"missing": 1}, 2)}, {"accuracy": None})
    assert exit_code(outcome, Bounds(0.0)) == 3
    assert exit_code(outcome, Bounds(None, 0.4)) == 4
    assert capsys.readouterr().err.splitlines() == [
        "rmr1: accuracy is below 0.0: there are no comparisons",
        "rmr1: 50.0% of the verdicts are invalid, more than 40.0% (n = 2)",
    ]
