"""How each benchmark reads its files and makes figures of completions, on small data in the raw formats."""

import io
import json
import math
import random

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmr1.benchmarks import (
    BENCHMARKS,
    PROTOCOLS,
    compare_runs,
    find_benchmark,
    find_benchmarks,
    is_released,
    load,
    score_released,
    score_run,
)
from rmr1.benchmarks.benchmark import Entry, ScoredItem
from rmr1.benchmarks.suite.ppe import conflict_pairs
from rmr1.benchmarks.suite.rewardbench import SIZES
from rmr1.benchmarks.suite.rewardbench2 import ties_score
from rmr1.errors import ConfigError, DataError, RunError, RunMismatchError
from rmr1.records import Generation, Usage
from rmr1.report.comparison import comparison_csv, comparison_tables
from rmr1.report.progress import EvalProgress
from rmr1.results import EvalResults, InvalidVerdicts
from rmr1.sides import pair_side
from rmr1.verdict import parse_verdict
from tests.support.benchmarks import by_gold, figures, run_eval, write_json, write_rm_bench
from tests.support.engines import FunctionEngine, answer

DOMAINS = ("chat", "math", "code", "safety-refuse")
NINE = {(i, j): (3 * i + 2 * j) / 10 for i in range(3) for j in range(3)}
"""A different accuracy in each cell, in tenths."""


def place(pair_id):
    item, _, cell = pair_id.rpartition("#")
    return int(item.rpartition("/")[2]), tuple(int(style) for style in cell.split("-"))


def nine_cells(pair_id, order):
    number, cell = place(pair_id)
    return number < round(10 * NINE[cell])


@pytest.fixture(scope="module")
def nine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nine")
    data = write_rm_bench(folder / "RM-Bench", DOMAINS)
    return run_eval("rm-bench", data, by_gold(nine_cells), folder / "run")


def mean(*cells):
    return pytest.approx(sum(NINE[cell] for cell in cells) / len(cells), abs=1e-12)


DIAGONAL = ((0, 0), (1, 1), (2, 2))


@pytest.mark.parametrize("protocol", ["official", "strict"])
def test_nine_known_cells_give_hard_normal_and_easy(nine, protocol):
    found = figures(nine, "rm-bench", protocol)
    assert found["hard"] == mean((0, 1), (0, 2), (1, 2))
    assert found["normal"] == mean(*DIAGONAL)
    assert found["easy"] == mean((1, 0), (2, 0), (2, 1))
    assert found["total"] == mean(*NINE)
    assert found["math"] == mean(*NINE)
    assert found["safety easy"] == mean((1, 0), (2, 0), (2, 1))


def test_nine_known_cells_under_the_slip_of_the_released_code(nine):
    found = figures(nine, "rm-bench", "rm-r1")
    hard, easy = ((0, 2), (0, 2), (1, 0)), ((1, 0), (2, 1), (2, 1))
    assert found["hard"] == mean(*hard)
    assert found["chat hard"] == mean(*hard)
    assert found["normal"] == mean(*DIAGONAL)
    assert found["easy"] == mean(*easy)
    assert found["total"] == mean(*hard, *DIAGONAL, *easy)
    assert found["hard"] != pytest.approx(figures(nine, "rm-bench", "official")["hard"])


def test_cells_and_sizes_are_in_the_results(nine):
    found = nine.results.benchmarks["rm-bench"]
    assert {cell: round(figure.value, 9) for cell, figure in found.protocols["official"].cells.items()} == {
        f"{domain.partition('-')[0]}/{i}{j}": rate for domain in DOMAINS for (i, j), rate in NINE.items()
    }
    assert "chat: 10 of 129 items" in found.data.problems
    assert found.judged.items == 40
    assert found.orders.position_consistency.value == 1.0
    assert found.orders.kappa == 1.0
    assert found.orders.first_shown == 0.5


def test_a_domain_that_is_not_there_is_named_and_left_out(tmp_path, capsys):
    data = write_rm_bench(tmp_path / "RM-Bench", ("chat", "code", "safety-refuse", "safety-response"), 4)
    result = run_eval("rm-bench", tmp_path, by_gold(lambda pair, order: True), tmp_path / "run")
    found = result.results.benchmarks["rm-bench"]
    assert "math: none of 529 items" in found.data.problems
    total = found.protocols["official"].metrics["total"]
    assert (total.value, len(total.missing), total.missing[0]) == (1.0, 9, "math/00")
    assert "math" not in found.protocols["official"].metrics
    assert "RM-Bench: not the whole benchmark: math: none of 529 items" in capsys.readouterr().err
    assert load(find_benchmark("rm-bench"), data).items == {"chat": 4, "code": 4, "safety": 8}


def test_the_first_items_are_of_all_subsets_and_more_include_the_fewer(tmp_path):
    write_rm_bench(tmp_path, DOMAINS, 5)
    loaded = load(find_benchmark("rm-bench"), tmp_path)
    assert (loaded.limited(4), loaded.limited(5), loaded.limited(None), loaded.limited(99)) == (36, 45, 180, 180)
    assert {pair.category for pair in loaded.pairs[:36]} == {"chat", "math", "code", "safety"}
    result = run_eval("rm-bench", tmp_path, by_gold(nine_cells), tmp_path / "run", limit=4)
    assert result.results.benchmarks["rm-bench"].judged.pairs == 36
    engine = FunctionEngine(by_gold(nine_cells))
    more = run_eval("rm-bench", tmp_path, None, tmp_path / "run", engine=engine, limit=6)
    assert (more.results.benchmarks["rm-bench"].judged.pairs, len(engine.asked)) == (54, 36)
    fewer = run_eval("rm-bench", tmp_path, None, tmp_path / "run", engine=FunctionEngine(None), limit=4)
    assert fewer.results == result.results


def rewardbench_rows(subset, count):
    return [
        {"id": number, "subset": subset, "prompt": f"{subset} {number}", "chosen": "yes", "rejected": "no"}
        for number in range(count)
    ]


def test_rows_of_one_id_are_told_apart(tmp_path):
    write_json(tmp_path / "filtered.json", rewardbench_rows("math-prm", 2) * 2)
    ids = [pair.id for pair in load(find_benchmark("rewardbench"), tmp_path).pairs]
    assert sorted(ids) == [f"filtered/math-prm/{name}" for name in ("0", "0~2", "1", "1~2")]


def test_rewardbench_weighs_math_and_gives_half_a_point_without_a_verdict(tmp_path):
    rows = [*rewardbench_rows("math-prm", 4), *rewardbench_rows("hep-cpp", 4), *rewardbench_rows("donotanswer", 2)]
    write_json(tmp_path / "filtered.json", rows)

    def judge(pair_id, order):
        return None if "donotanswer" in pair_id else "math" in pair_id

    result = run_eval("rewardbench", tmp_path, by_gold(judge), tmp_path / "run")
    official, released = (figures(result, "rewardbench", name) for name in ("official", "rm-r1"))
    assert official["Reasoning"] == pytest.approx(984 / (984 + 164))
    assert (official["Safety"], released["Safety"], figures(result, "rewardbench", "strict")["Safety"]) == (
        0.5,
        0.0,
        0.0,
    )
    assert official["score"] == pytest.approx((984 / 1148 + 0.5) / 2)
    assert official["micro"] == pytest.approx(5 / 10)
    invalid = result.results.benchmarks["rewardbench"].judged.invalid
    assert invalid == InvalidVerdicts(0.2, {"missing": 4}, 20)


@pytest.mark.parametrize(
    ("text", "side"), [("[[B]], no, [[A]]", "A"), ("so [[B]]", "B"), ("<answer>A</answer>", None), ("", None)]
)
def test_rewardbench_reads_the_first_mark_that_it_looks_for(text, side):
    assert parse_verdict(Generation("g", text), "rewardbench").side == side


def test_rewardbench2_in_pairs_counts_a_response_that_beats_all_three(tmp_path):
    write_json(
        tmp_path / "test.json",
        [
            {"id": str(number), "subset": "Math", "prompt": f"q{number}", "chosen": ["c"], "rejected": ["x", "y", "z"]}
            for number in range(4)
        ]
        + [{"id": "t", "subset": "Ties", "prompt": "q", "chosen": ["c", "d"], "rejected": ["x", "y", "z"]}],
    )
    won = {"0": (True, True, True), "1": (True, None, True), "2": (None, None, None), "3": (True, None, False)}

    def judge(pair_id, order):
        number, cell = place(pair_id)
        return won[str(number)][cell[1]]

    result = run_eval("rewardbench2-pairs", tmp_path, by_gold(judge), tmp_path / "run")
    assert figures(result, "rewardbench2-pairs", "pairs")["Math"] == pytest.approx(1 / 4)
    assert figures(result, "rewardbench2-pairs", "strict")["Math"] == pytest.approx(1 / 4)
    found = result.results.benchmarks["rewardbench2-pairs"]
    assert "rm-r1" in found.not_computed
    assert "best of four" in found.not_computed["official"]
    assert found.judged.items == 4


def test_rewardbench2_in_pairs_gives_a_coin_an_eighth(tmp_path):
    rows = [
        {"id": str(number), "subset": "Focus", "prompt": f"q{number}", "chosen": ["c"], "rejected": ["x", "y", "z"]}
        for number in range(800)
    ]
    write_json(tmp_path / "test.json", rows)
    coin = random.Random(7)
    judge = by_gold(lambda pair_id, order: coin.random() < 0.5)
    result = run_eval("rewardbench2-pairs", tmp_path, judge, tmp_path / "run", orders="random")
    assert figures(result, "rewardbench2-pairs", "pairs")["Focus"] == pytest.approx(1 / 8, abs=0.04)


def four_rows(count, subset="Math"):
    return [
        {"id": str(number), "subset": subset, "prompt": f"q{number}", "chosen": ["c"], "rejected": ["x", "y", "z"]}
        for number in range(count)
    ]


def letter_of(request, text):
    """The letter under which a response is shown in a choice."""
    prompt = request.messages[-1].content
    return next(letter for letter in "ABCD" if f"Chatbot {letter}'s Response]\n{text}\n[" in prompt)


def test_rewardbench2_asks_once_for_the_best_of_four_and_a_guess_is_a_quarter(tmp_path):
    write_json(tmp_path / "test.json", [*four_rows(4), {**four_rows(1, "Ties")[0], "id": "t", "chosen": ["c", "d"]}])
    said = {"q0": lambda request: f"[[{letter_of(request, 'c')}]]", "q1": lambda request: f"[[{letter_of(request, 'y')}]]",
            "q2": lambda request: "all are fine", "q3": lambda request: f"[[{letter_of(request, 'c')}]]"}  # fmt: skip
    engine = FunctionEngine(lambda request: said[request.comparison.prompt[0].content](request))
    result = run_eval("rewardbench2", tmp_path, None, tmp_path / "run", engine=engine)
    assert len(engine.asked) == 4
    assert figures(result, "rewardbench2", "official") == {"score": (2 + 1 / 4) / 4, "Math": (2 + 1 / 4) / 4}
    found = result.results.benchmarks["rewardbench2"]
    assert "no two orders" in found.not_computed["strict"]
    assert (found.judged.items, found.judged.pairs, found.judged.completions) == (4, 4, 4)
    assert found.judged.invalid == InvalidVerdicts(0.25, {"missing": 1}, 4)
    assert (found.orders.position_consistency, found.bias.better_shown_first, found.length) == (None, None, ())
    assert score_run(result.run) == result.results
    again = run_eval("rewardbench2", tmp_path, None, tmp_path / "run", engine=FunctionEngine(None))
    assert again.results == result.results
    with pytest.raises(RunMismatchError, match="seed was 0, now 1"):
        run_eval("rewardbench2", tmp_path, None, tmp_path / "run", engine=engine, seed=1)


def test_a_judge_that_always_says_one_letter_gets_a_quarter_of_rewardbench2(tmp_path):
    write_json(tmp_path / "test.json", four_rows(400))
    result = run_eval("rewardbench2", tmp_path, lambda request: "[[B]]", tmp_path / "run")
    assert figures(result, "rewardbench2", "official")["Math"] == pytest.approx(1 / 4, abs=0.06)
    assert result.results.benchmarks["rewardbench2"].data.items == {"Math": 400}


class Scorer(FunctionEngine):
    gives_scores = True


def ratings_rows(chance, questions=6):
    """Rows of RewardBench 2 with the score of each response in its text, and those scores by item."""
    rows, scores = [], {}

    def add(name, subset, right, wrong):
        drawn = [float(chance.randint(1, 6)) for _ in range(right + wrong)]
        texts = [f"{name} answer {place} scores {score}" for place, score in enumerate(drawn)]
        rows.append(
            {
                "id": name,
                "subset": subset,
                "prompt": f"about {name}",
                "chosen": texts[:right],
                "rejected": texts[right:],
            }
        )
        scores[name] = (drawn[:right], drawn[right:])

    for number in range(20):
        add(str(number), "Math", 1, 3)
    for number in range(questions):
        add(f"ref:{number}", "Ties", 1, 2)
        add(f"tied:{number}", "Ties", chance.randint(2, 4), 2)
    return rows, scores


def published_ties(scores):
    """The rule that the authors publish, over all questions at once: accuracies, then margins."""
    numbers = sorted({name.partition(":")[2] for name in scores if ":" in name})
    gap = {
        kind: numpy.array([min(right) - max(wrong) for right, wrong in (scores[f"{kind}:{n}"] for n in numbers)])
        for kind in ("ref", "tied")
    }
    spread = numpy.array([max(right) - min(right) for right, _ in (scores[f"tied:{n}"] for n in numbers)])
    smaller = numpy.minimum(gap["ref"], gap["tied"])
    with numpy.errstate(divide="ignore", invalid="ignore"):
        margin = numpy.nan_to_num(numpy.tanh(smaller / spread - 1), nan=0.0)
    shares = [gap["tied"] > 0, gap["ref"] > 0, gap["tied"] > spread, smaller > spread, margin]
    return sum(weight * part.mean() for weight, part in zip((0.3, 0.3, 0.2, 0.2, 0.01), shares, strict=True))


def score_in(request):
    return request.messages[-1].content.rpartition("scores ")[2].split()[0]


@pytest.mark.parametrize("seed", range(6))
def test_rewardbench2_by_scores_shares_the_point_of_ties_and_scores_ties_as_published(tmp_path, seed):
    rows, scores = ratings_rows(random.Random(seed))
    write_json(tmp_path / "test.json", rows)
    engine = Scorer(score_in)
    result = run_eval("rewardbench2-ratings", tmp_path, None, tmp_path / "run", engine=engine)
    responses = sum(len(right) + len(wrong) for right, wrong in scores.values())
    assert len(engine.asked) == responses  # also if a response is in many comparisons
    points = []
    for name, (right, wrong) in scores.items():
        if ":" not in name:
            best = max(right + wrong)
            points.append((right[0] == best) / (right + wrong).count(best))
    found = figures(result, "rewardbench2-ratings", "official")
    assert found["Math"] == pytest.approx(sum(points) / len(points), abs=1e-12)
    assert found["Ties"] == pytest.approx(max(0.0, published_ties(scores)), abs=1e-12)
    assert found["score"] == pytest.approx(max(0.0, (found["Math"] + published_ties(scores)) / 2))
    assert score_run(result.run) == result.results


def test_rewardbench2_by_scores_compares_two_judges_on_the_same_figures(tmp_path):
    write_json(tmp_path / "test.json", ratings_rows(random.Random(0))[0])
    one = run_eval("rewardbench2-ratings", tmp_path, None, tmp_path / "one", engine=Scorer(score_in))
    rated = FunctionEngine(lambda request: answer("7"))
    two = run_eval("rewardbench2-ratings", tmp_path, None, tmp_path / "two", engine=rated, template="pointwise")
    found = compare_runs([one.run, two.run]).results.benchmarks["rewardbench2-ratings"]
    for name, result in (("one", one), ("two", two)):
        metrics = result.results.benchmarks["rewardbench2-ratings"].protocols["official"].metrics
        assert {figure: value.value for figure, value in found.runs[name].metrics.items()} == pytest.approx(
            {figure: value.value for figure, value in metrics.items()}
        )
    assert figures(two, "rewardbench2-ratings", "official")["Math"] == 0.25  # all four tie


def test_rewardbench2_by_scores_gives_the_worst_place_to_what_cannot_be_read(tmp_path):
    write_json(tmp_path / "test.json", four_rows(3))
    said = {
        "c": ("[[9]]", "none", "none"),
        "x": ("none", "[[2]]", "none"),
        "y": ("[[3]]",) * 2 + ("none",),
        "z": ("none",) * 3,
    }

    def reply(request):
        comparison = request.comparison
        return f"<answer>{said[comparison.shown_a[0].content][int(comparison.prompt[0].content[1])]}</answer>"

    result = run_eval("rewardbench2-ratings", tmp_path, reply, tmp_path / "run", template="pointwise")
    assert figures(result, "rewardbench2-ratings", "official")["Math"] == pytest.approx((1 + 0 + 0.25) / 3)


def test_each_kind_of_judge_is_sent_to_the_form_of_rewardbench2_that_it_can_do(tmp_path):
    write_json(tmp_path / "test.json", four_rows(2))
    with pytest.raises(ConfigError, match="a score of each response by itself"):
        run_eval("rewardbench2-ratings", tmp_path, None, tmp_path / "one", engine=FunctionEngine(None))
    with pytest.raises(ConfigError, match="take --bench rewardbench2-ratings"):
        run_eval("rewardbench2", tmp_path, None, tmp_path / "two", engine=Scorer(None))


@pytest.mark.parametrize(
    ("ref", "tied", "score"),
    [
        (([5], [1]), ([5, 5], [1]), 1.01),
        (([1], [5]), ([1, 1], [5]), -0.01),
        (([5], [1]), ([6, 4], [3]), 0.6 + 0.01 * math.tanh(-0.5)),
        (([5], [1]), ([6, 4], [1]), 1.0 + 0.01 * math.tanh(0.5)),
        (([2], [1]), ([6, 4], [1]), 0.8 + 0.01 * math.tanh(-0.5)),
        (([-math.inf], [1]), ([5, 5], [1]), 0.3 + 0.2 - 0.01),
        (([5], [1]), ([5, -math.inf], [1]), 0.3 - 0.01),
        (([-math.inf], [-math.inf]), ([-math.inf] * 2, [-math.inf]), -0.01),
    ],
)
def test_the_score_of_a_question_of_ties(ref, tied, score):
    entry = Entry("x", "Ties", "p", "A", 1, 1)
    items = (ScoredItem(entry, tuple(map(float, right)), tuple(map(float, wrong))) for right, wrong in (ref, tied))
    assert ties_score(*items) == pytest.approx(score)


def test_prior_sets_weigh_half_as_much_as_a_section(tmp_path):
    core = [*rewardbench_rows("alpacaeval-easy", 2), *rewardbench_rows("mt-bench-hard", 2),
            *rewardbench_rows("donotanswer", 2), *rewardbench_rows("hep-cpp", 2)]  # fmt: skip
    write_json(tmp_path / "reward-bench" / "filtered.json", core)
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    for name, rows in (
        ("anthropic_helpful", 3),
        ("anthropic_hhh", 2),
        ("shp", 1),
        ("summarize", 4),
        ("mtbench_human", 5),
    ):
        write_json(tmp_path / "preference-test-sets" / f"{name}.json", [
            {"prompt": [*talk, {"role": "user", "content": f"{name} {n}"}], "chosen": "yes", "rejected": "no",
             "subset": "base", "id": n}
            for n in range(rows)
        ])  # fmt: skip
    benchmark = find_benchmark("rewardbench-prior")
    loaded = load(benchmark, tmp_path)
    assert {name: loaded.items[name] for name in ("anthropic_helpful", "anthropic_hhh", "shp", "summarize")} == {
        "anthropic_helpful": 3, "anthropic_hhh": 2, "shp": 1, "summarize": 4
    }  # fmt: skip
    judge = by_gold(lambda pair_id, order: "alpacaeval" in pair_id or "anthropic" in pair_id)
    result = run_eval("rewardbench-prior", tmp_path, judge, tmp_path / "run")
    found = figures(result, "rewardbench-prior", "official")
    assert (found["Chat"], found["prior sets"], found["score without prior sets"]) == (1.0, 0.5, 0.25)
    assert found["score"] == pytest.approx((1 + 0.5 * 0.5) / 4.5, abs=1e-12)
    with pytest.raises(
        DataError, match=r"not the whole of RewardBench with prior sets in it; looked for anthropic_helpful"
    ):
        load(benchmark, tmp_path / "reward-bench")


def test_rmb_counts_a_best_response_only_if_it_beats_every_other(tmp_path):
    talk = [{"role": "user", "content": "hello", "language": "English"}]
    folder = tmp_path / "RMB_dataset"
    pairs = [
        {"pair_uid": str(n), "conversation_input": talk, "chosen": {"llm_name": "m", "answer": "good"},
         "reject": {"llm_name": "n", "answer": "bad"}, "category_path": "Pairwise_set/Harmlessness/S1"}
        for n in range(4)
    ]  # fmt: skip
    best = [
        {"bon_uid": str(n), "conversation_input": talk, "bon_best": {"llm_name": "m", "answer": "good"},
         "loser_list": [{"llm_name": "n", "answer": "bad"}, {"llm_name": "o", "answer": "worse"}],
         "category_path": "BoN_set/Helpfulness/Code/Data Management"}
        for n in range(4)
    ]  # fmt: skip
    write_json(folder / "Pairwise_set/Harmlessness/S1.json", pairs)
    write_json(folder / "BoN_set/Helpfulness/Code/Data Management.json", best)

    def judge(pair_id, order):
        number = place(pair_id)[0] if "#" in pair_id else int(pair_id.rpartition("/")[2])
        return number < 3 if "Pairwise" in pair_id else number == 0 or pair_id.endswith("#0-1")

    result = run_eval("rmb", tmp_path, by_gold(judge), tmp_path / "run")
    found = figures(result, "rmb", "official")
    assert (found["pairwise harmlessness"], found["best-of-n helpfulness"], found["score"]) == (0.75, 0.25, 0.5)
    metrics = result.results.benchmarks["rmb"].protocols["official"].metrics
    assert metrics["score"].missing == ("BoN_set/Harmlessness", "Pairwise_set/Helpfulness")
    assert metrics["pairwise harmlessness"].clusters == 1


def test_judgebench_adds_up_both_orders(tmp_path):
    rows = [
        {
            "pair_id": name,
            "source": "mmlu-pro-law",
            "question": name,
            "response_A": "a",
            "response_B": "b",
            "label": "B>A",
        }
        for name in ("both", "one", "half", "none")
    ]
    path = tmp_path / "data" / "dataset=judgebench,response_model=gpt-4o-2024-05-13.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = {"both": (True, True), "one": (True, False), "half": (None, True), "none": (False, None)}
    judge = by_gold(lambda pair_id, order: table[pair_id.rpartition("/")[2]][order == "ba"])
    result = run_eval("judgebench", tmp_path, judge, tmp_path / "run")
    assert figures(result, "judgebench", "official") == {"gpt": 0.5, "gpt/knowledge": 0.5}
    assert figures(result, "judgebench", "strict")["gpt"] == 0.25
    assert "claude: none of 270 items" in result.results.benchmarks["judgebench"].data.problems


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(st.tuples(*[st.sampled_from(["A>B", "B>A", None])] * 2, st.booleans()), min_size=1, max_size=30))
def test_judgebench_counts_as_its_authors_do(tmp_path_factory, said):
    """The authors' rule, written down apart: a decision is +1, the opposite one -1, none is nothing; right above 0."""
    folder = tmp_path_factory.mktemp("judgebench")
    rows = [
        {"pair_id": str(n), "source": "livebench-math", "question": f"q{n}", "response_A": "a", "response_B": "b",
         "label": "A>B" if a_is_right else "B>A"}
        for n, (_, _, a_is_right) in enumerate(said)
    ]  # fmt: skip
    write_json(folder / "JudgeBench" / "gpt.json", rows)
    right = 0
    for given_order, exchanged, a_is_right in said:
        label = "A>B" if a_is_right else "B>A"
        count = sum((said == label) - (said is not None and said != label) for said in (given_order, exchanged))
        right += count > 0

    def reply(request):
        first, second, _ = said[int(request.comparison.pair_id.rpartition("/")[2])]
        decision = first if request.comparison.order == "ab" else second
        if decision is None:
            return "A=B"
        return answer(pair_side("A" if decision == "A>B" else "B", request.comparison.order))

    result = run_eval("judgebench", folder, reply, folder / "run")
    assert figures(result, "judgebench", "official")["gpt"] == pytest.approx(right / len(said), abs=1e-9)


def test_llmbar_is_the_mean_over_orders(tmp_path):
    rows = [{"input": f"q{n}", "output_1": "a", "output_2": "b", "label": n % 2 + 1} for n in range(4)]
    write_json(tmp_path / "Dataset/LLMBar/Natural/dataset.json", rows)
    write_json(tmp_path / "Dataset/LLMBar/Adversarial/GPTOut/dataset.json", rows[:2])
    write_json(tmp_path / "Dataset/CaseStudy/Base_9/dataset.json", rows)
    loaded = load(find_benchmark("llmbar"), tmp_path)
    assert (loaded.items, [pair.label for pair in load(find_benchmark("llmbar"), tmp_path).pairs].count("B")) == (
        {"GPTOut": 2, "Natural": 4},
        3,
    )
    judge = by_gold(lambda pair_id, order: order == "ab" or "GPTOut" in pair_id)
    result = run_eval("llmbar", tmp_path, judge, tmp_path / "run")
    found = figures(result, "llmbar", "official")
    assert (found["Natural"], found["GPTOut"], found["adversarial"]) == (0.5, 1.0, 1.0)
    assert (found["accuracy"], found["micro"]) == (0.75, pytest.approx(4 / 6))
    assert (found["agreement"], found["adversarial agreement"]) == (0.5, 1.0)
    assert figures(result, "llmbar", "strict")["Natural"] == 0.0


def test_llmbar_counts_none_and_none_as_agreement_in_its_authors_statistic_alone(tmp_path):
    rows = [{"input": f"q{n}", "output_1": "a", "output_2": "b", "label": 1} for n in range(4)]
    write_json(tmp_path / "Natural/dataset.json", rows)
    said = {0: (True, True), 1: (None, None), 2: (True, None), 3: (True, False)}
    judge = by_gold(lambda pair_id, order: said[int(pair_id[-1])][order == "ba"])
    result = run_eval("llmbar", tmp_path, judge, tmp_path / "run")
    assert figures(result, "llmbar", "official")["agreement"] == 0.5
    assert figures(result, "llmbar", "strict")["agreement"] == 0.25
    assert figures(result, "llmbar", "official")["accuracy"] == 0.5


def test_evalbiasbench_is_read_by_kind_of_bias(tmp_path):
    row = {"instruction": "q", "response1": "good", "response2": "bad", "label": 1}
    sizes = {"length bias": 2, "concreteness": 1, "nested_instruction": 1}
    document = {kind: [{"bias": kind, **row} for _ in range(size)] for kind, size in sizes.items()}
    write_json(tmp_path / "offsetbias/data/evalbiasbench/biasbench.json", document)
    write_json(tmp_path / "offsetbias/result/gpt-4o/biasbench.json", document)
    loaded = load(find_benchmark("evalbiasbench"), tmp_path)
    assert (loaded.items, {pair.label for pair in loaded.pairs}) == (sizes, {"A"})
    judge = by_gold(lambda pair_id, order: order == "ab" or "length" in pair_id)
    result = run_eval("evalbiasbench", tmp_path, judge, tmp_path / "run")
    found = figures(result, "evalbiasbench", "official")
    assert (found["accuracy"], found["length bias"], found["concreteness"], found["agreement"]) == (0.75, 1.0, 0.5, 0.5)
    assert figures(result, "evalbiasbench", "strict")["accuracy"] == 0.5


def test_ppe_takes_the_sampled_pairs_and_leaves_ties_out(tmp_path):
    votes = [
        {"question_id": str(n), "prompt": f"q{n}", "response_1": "a", "response_2": "b", "winner": winner}
        for n, winner in enumerate(("model_a", "model_b", "tie", "tie (bothbad)"))
    ]
    answers = {
        "question_id": "g", "prompt": "q", "scores": [True, False, True, False],
        "sampled_conflict_pairs": [[3, 0], [2, 1]], **{f"response_{n}": f"r{n}" for n in range(1, 5)},
    }  # fmt: skip
    write_json(tmp_path / "PPE-Human-Preference-V1" / "test.json", votes)
    other = {**answers, "model_name": "n", "sampled_conflict_pairs": [[0, 1]]}
    write_json(tmp_path / "PPE-GPQA-Best-of-K" / "train.json", [{**answers, "model_name": "m"}, other])
    loaded = load(find_benchmark("ppe"), tmp_path)
    assert loaded.items == {"GPQA": 2, "preference": 2}
    read = {pair.id.partition("/")[2]: pair for pair in loaded.pairs}
    assert {name: pair.label for name, pair in read.items()} == {
        "preference/0": "A",
        "preference/1": "B",
        "g/m#0-3": "A",
        "g/m#1-2": "B",
        "g/n#0-1": "A",
    }
    assert [turn.content for turn in read["g/m#0-3"].response_b] == ["r4"]
    assert conflict_pairs(answers)["kept_pairs"] == "0-3 1-2"
    result = run_eval("ppe", tmp_path, by_gold(lambda pair_id, order: "GPQA" in pair_id), tmp_path / "run")
    found = figures(result, "ppe", "official")
    assert (found["preference"], found["correctness"]) == (0.0, 1.0)


def test_own_pairs_have_their_categories(tmp_path):
    file = tmp_path / "mine.jsonl"
    rows = [
        {"id": f"p{n}", "prompt": f"q{n}", "chosen": "a", "rejected": "b", "category": "xy"[n % 3 > 0]}
        for n in range(6)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run_eval("custom", file, by_gold(lambda pair_id, order: pair_id[-1] in "0123"), tmp_path / "run")
    found = figures(result, "custom", "official")
    assert found == {"accuracy": pytest.approx(4 / 6), "mean of categories": pytest.approx((1 + 2 / 4) / 2)}
    assert result.results.benchmarks["custom"].protocols["official"].metrics["accuracy"].missing == ()


def test_one_order_allows_no_strict_protocol(tmp_path):
    write_rm_bench(tmp_path, ("chat",), 2)
    result = run_eval("rm-bench", tmp_path, by_gold(nine_cells), tmp_path / "run", orders="random")
    found = result.results.benchmarks["rm-bench"]
    assert (list(found.protocols), found.not_computed) == (["official", "rm-r1"], {"strict": "needs both orders"})


def test_votes_decide_each_order(tmp_path):
    write_rm_bench(tmp_path, ("chat",), 1)

    def reply(request):
        return answer(
            request.comparison.gold if request.comparison.vote != 1 else {"A": "B", "B": "A"}[request.comparison.gold]
        )

    result = run_eval("rm-bench", tmp_path, reply, tmp_path / "run", votes=3)
    assert figures(result, "rm-bench", "strict")["chat"] == 1.0
    even = run_eval("rm-bench", tmp_path, reply, tmp_path / "even", votes=2)
    assert figures(even, "rm-bench", "official")["chat"] == 0.0


def test_faults_are_not_scored_and_are_tried_again(tmp_path):
    write_rm_bench(tmp_path, ("chat",), 3)
    good = by_gold(lambda pair_id, order: True)

    def faulty(request):
        return Generation(request.id, "", "error", error="boom") if "#1-1" in request.id else good(request)

    result = run_eval("rm-bench", tmp_path, faulty, tmp_path / "run")
    judged = result.results.benchmarks["rm-bench"].judged
    assert (result.engine_errors, judged.unjudged_pairs, judged.pairs) == (6, 3, 24)
    assert figures(result, "rm-bench", "official")["chat"] == 1.0
    again = run_eval("rm-bench", tmp_path, good, tmp_path / "run")
    assert again.results.benchmarks["rm-bench"].judged.unjudged_pairs == 0


def test_best_of_n_without_one_of_its_completions_is_not_scored(tmp_path):
    write_json(
        tmp_path / "test.json",
        [
            {"id": str(number), "subset": "Math", "prompt": f"q{number}", "chosen": ["c"], "rejected": ["x", "y", "z"]}
            for number in range(2)
        ],
    )
    judge = by_gold(lambda pair_id, order: "0#0-2" not in pair_id)

    def faulty(request):
        return Generation(request.id, "", "error", error="boom") if "0#0-2" in request.id else judge(request)

    result = run_eval("rewardbench2-pairs", tmp_path, faulty, tmp_path / "run")
    math = result.results.benchmarks["rewardbench2-pairs"].protocols["pairs"].metrics["Math"]
    assert (math.value, math.n) == (1.0, 1)
    run_eval("rewardbench2-pairs", tmp_path, judge, tmp_path / "other")
    compared = compare_runs([tmp_path / "run", tmp_path / "other"], protocol="pairs").results
    found = compared.benchmarks["rewardbench2-pairs"]
    assert (found.pairs, found.differing) == (3, 0)


def test_one_drawn_order_is_the_same_whether_or_not_the_other_was_asked(tmp_path):
    write_rm_bench(tmp_path, ("chat", "code"), 6)
    judge = by_gold(lambda pair_id, order: order == "ab" or place(pair_id)[0] % 2)
    both = run_eval("rm-bench", tmp_path, judge, tmp_path / "both")
    one = run_eval("rm-bench", tmp_path, judge, tmp_path / "one", orders="random")
    for protocol in ("official", "rm-r1"):
        assert figures(both, "rm-bench", protocol) == figures(one, "rm-bench", protocol)
    assert 0.5 < figures(one, "rm-bench", "official")["chat"] < 1


def test_a_report_is_the_result_again_without_data_or_engine(nine):
    again = score_run(nine.run)
    assert again == nine.results
    assert EvalResults.from_json(json.loads((nine.run / "results.json").read_text())) == again


def test_a_run_under_way_can_be_reported(tmp_path):
    write_rm_bench(tmp_path, ("chat",), 3)
    run_eval("rm-bench", tmp_path, by_gold(nine_cells), tmp_path / "run")
    journal = tmp_path / "run" / "rm-bench" / "completions.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[: len(whole) // 2])
    (journal.parent / "results.json").unlink()
    judged = score_run(tmp_path / "run").benchmarks["rm-bench"].judged
    assert 0 < judged.pairs < 27
    assert judged.pairs + judged.unjudged_pairs == 27
    assert journal.read_bytes() == whole[: len(whole) // 2]


def test_two_runs_differ_where_their_completions_do(tmp_path):
    write_rm_bench(tmp_path, DOMAINS, 16)
    run_eval("rm-bench", tmp_path, by_gold(lambda pair, order: place(pair)[0] < 4), tmp_path / "one")
    run_eval("rm-bench", tmp_path, by_gold(lambda pair, order: place(pair)[0] < 6), tmp_path / "other", limit=48)
    found = compare_runs([tmp_path / "one", tmp_path / "other"]).results.benchmarks["rm-bench"]
    assert (found.pairs, found.runs["one"].left_out, found.runs["other"].left_out) == (48 * 9, 16 * 9, 0)
    total = found.runs["other"].from_first["total"]
    assert total.low <= total.value <= total.high
    assert total.value > 0
    assert {place(item.id)[0] for item in found.items} <= {4, 5}
    assert {(one.outcomes["one"].value, one.outcomes["other"].value) for one in found.items} == {(0.0, 1.0)}
    assert set(found.runs["one"].cells) == {
        f"{domain}/{i}{j}" for domain in ("chat", "math", "code", "safety") for i, j in NINE
    }


def test_a_difference_from_two_prompts_a_cell_has_a_wide_interval_and_says_so(tmp_path):
    write_rm_bench(tmp_path, DOMAINS, 2)
    for name, right in (("one", 1), ("other", 2)):
        run_eval(
            "rm-bench", tmp_path, by_gold(lambda pair, order, right=right: place(pair)[0] < right), tmp_path / name
        )
    comparison = compare_runs([tmp_path / "one", tmp_path / "other"]).results
    total = comparison.benchmarks["rm-bench"].runs["other"].from_first["total"]
    assert total.value == pytest.approx(0.5)
    assert total.low < 0 and total.high == 1.0
    assert total.caveat == "from 2 prompts in a cell"
    rows = [row for table in comparison_tables(comparison) for row in table.rows]
    ends = "-12.8 to +100.0 (from 2 prompts in a cell)"
    assert ("one", "other", "+50.0", ends, "0.125", "0.125", "0") in [row[:7] for row in rows]
    assert "other,one,rm-bench,cell difference,chat/10,0.5," in comparison_csv(comparison)


def test_what_cannot_be_read_is_named(tmp_path, nine):
    with pytest.raises(
        ConfigError, match=r'--bench rmbench: no benchmark "rmbench"; there is rewardbench,.* did you mean "rm-bench"'
    ):
        find_benchmarks("rmbench")
    with pytest.raises(DataError, match=r"nothing of LLMBar in it; looked for Natural/dataset.json .*; fetch https://"):
        load(find_benchmark("llmbar"), tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        load(find_benchmark("llmbar"), tmp_path / "absent")
    with pytest.raises(ConfigError, match=r"not on the hub; fetch .* and pass --data FOLDER"):
        load(find_benchmark("rmb"), None)
    with pytest.raises(RunError, match="not a run directory"):
        score_run(tmp_path)
    with pytest.raises(RunMismatchError, match="seed was 0, now 1"):
        run_eval("rm-bench", nine.run.parent / "RM-Bench", by_gold(nine_cells), nine.run, seed=1)


def test_a_changed_file_is_another_run(tmp_path):
    write_rm_bench(tmp_path, ("chat",), 2)
    run_eval("rm-bench", tmp_path, by_gold(nine_cells), tmp_path / "run")
    write_rm_bench(tmp_path, ("chat",), 3)
    with pytest.raises(RunMismatchError, match="data_sha256 was"):
        run_eval("rm-bench", tmp_path, by_gold(nine_cells), tmp_path / "run")


def test_a_file_of_all_domains_names_them_in_a_column_or_in_the_id(tmp_path):
    row = {"prompt": "q", "chosen": ["a", "b", "c"], "rejected": ["d", "e", "f"]}
    rows = [
        {**row, "id": "2", "domain": "safety-refuse"},
        {**row, "id": "chat/1"},
    ]
    write_json(tmp_path / "total_dataset.json", rows)
    assert load(find_benchmark("rm-bench"), tmp_path).items == {"chat": 1, "safety": 1}
    write_json(tmp_path / "total_dataset.json", [*rows, {**row, "id": "3", "domain": "poems"}])
    with pytest.raises(DataError, match=r"not subsets of RM-Bench: poems \(9 pairs\).*--bench custom --data .*total_d"):
        load(find_benchmark("rm-bench"), tmp_path)


def test_progress_begins_anew_with_each_benchmark(monkeypatch):
    monkeypatch.setattr("rmr1.report.progress._LINE_EVERY_S", 0.0)
    stream = io.StringIO()
    with EvalProgress(stream) as progress:
        for number, name in enumerate(("RM-Bench", "RMB"), 1):
            progress.benchmark(name, number, 2)
            progress.started(2, 0)
            progress.answered(Usage(1, 1))
    lines = stream.getvalue().splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "RM-Bench (1 of 2)",
        "1 of 2 comparisons",
        "RMB (2 of 2)",
        "1 of 2 comparisons",
    ]


def test_released_files_are_checked(tmp_path):
    assert not is_released(tmp_path)
    scores = tmp_path / "reward_bench" / "score_result" / "each_small_section_score.json"
    write_json(
        scores, dict.fromkeys(SIZES, 0.5) | {"mt-bench-hard": 1.0, "llmbar-adver-GPTOut": 1.0, "alpacaeval-length": 1.0}
    )
    assert is_released(tmp_path)
    with pytest.raises(DataError, match=r"alpacaeval-hard is 0.5, which is no number of right ones among 95"):
        score_released(tmp_path)
    write_json(scores, {"alpacaeval-easy": 1.0})
    with pytest.raises(DataError, match=r"each_small_section_score.json: no 'alpacaeval-length'"):
        score_released(tmp_path)
    scores.write_text("{,}")
    with pytest.raises(DataError, match="not JSON"):
        score_released(tmp_path)


def test_every_benchmark_has_a_score_and_a_strict_protocol():
    suite = {name: find_benchmark(name) for name in BENCHMARKS.builtin}
    for name, benchmark in suite.items():
        assert benchmark.name == name
        assert {"official", "strict"} <= {*benchmark.policies, *benchmark.not_computed}
        assert set(benchmark.policies) <= set(PROTOCOLS)
        assert all(benchmark.metrics(protocol) and benchmark.policies[protocol].note for protocol in benchmark.policies)
    sizes = {name: sum(benchmark.sizes.values()) for name, benchmark in suite.items()}
    assert (sizes["rewardbench"], sizes["rewardbench2"], sizes["rm-bench"]) == (2985, 1865 - 102, 1327)
    assert sizes["rewardbench-prior"] == 2985 + 6192 + 221 + 1741 + 9000
    assert (sizes["judgebench"], sizes["llmbar"], sizes["evalbiasbench"]) == (620, 419, 80)
