"""Several judges side by side: how they are named, what each of them gets, what one run leaves behind."""

import asyncio
import csv
import json

import pytest

from rmr1.benchmarks import EvalTask, evaluate_judges, find_benchmarks, fitting, parse_judges
from rmr1.benchmarks.judges import JUDGES, JUDGES_CSV, JUDGES_PAGE
from rmr1.config import JudgeConfig
from rmr1.errors import ConfigError
from rmr1.prompts import template_names
from rmr1.report.comparison import comparison_tables
from rmr1.report.progress import EvalProgress
from rmr1.results import JudgeSettings
from rmr1.results.evaluation import REASONING_TEMPLATES
from tests.support.engines import FunctionEngine, answer, prefers


class Scorer(FunctionEngine):
    gives_scores = True


def entries(text):
    return [(one.name, dict(one.settings)) for one in parse_judges(text)]


def test_a_judge_is_a_model_or_a_model_with_a_template():
    assert entries("scalar/models/my-rm, openai/gpt@pointwise,openai/gpt@verdict-only,openai/gpt") == [
        ("my-rm", {"model": "scalar/models/my-rm"}),
        ("gpt@pointwise", {"model": "openai/gpt", "template": "pointwise"}),
        ("gpt@verdict-only", {"model": "openai/gpt", "template": "verdict-only"}),
        ("gpt", {"model": "openai/gpt"}),
    ]


def test_names_have_as_much_of_the_model_as_tells_models_apart():
    assert [name for name, _ in entries("hf/runs/one/model,hf/runs/two/model@cor")] == ["one/model", "two/model@cor"]


def test_a_file_names_judges_with_settings_of_their_own(tmp_path):
    (tmp_path / "judges.yaml").write_text(
        "judges:\n"
        "- {model: scalar/rm, name: baseline}\n"
        "- {model: openai/gpt, template: cor, votes: 4, engine: {base_url: 'http://x/v1', extra_body: {tier: flex}}}\n"
    )
    assert entries(str(tmp_path / "judges.yaml")) == [
        ("baseline", {"model": "scalar/rm"}),
        (
            "gpt@cor",
            {
                "model": "openai/gpt",
                "template": "cor",
                "votes": 4,
                "engine.base_url": "http://x/v1",
                "engine.extra_body": {"tier": "flex"},
            },
        ),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("openai/gpt", "one judge; name several"),
        ("openai/gpt,openai/gpt", 'two judges are called "gpt"'),
        ("openai/gpt@pointwize,x", '"pointwize" is no template.*pointwise'),
        ("openai/gpt,", "names no model"),
        ("openai/gpt,@cor", "names no model"),
        ("nowhere.yaml", "nowhere.yaml"),
    ],
)
def test_what_is_not_understood_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_judges(text)


@pytest.mark.parametrize(
    "content", ["- model: x", "judges: {}", "judges: [x, y]", "judges: [{name: x}]", "other: 1", "a: [", ""]
)
def test_a_file_that_is_no_list_of_judges_is_refused(content, tmp_path):
    (tmp_path / "judges.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"judges\.yaml"):
        parse_judges(str(tmp_path / "judges.yaml"))


def test_settings_for_all_that_one_kind_has_not_are_left_out_and_told():
    said = []
    shared = {"votes": 4, "template": "cor", "stop": "early"}
    scalar = fitting(JudgeConfig(model="scalar/rm", **shared), said.append)
    assert (scalar.votes, scalar.template, scalar.stop) == (1, None, "never")
    rated = fitting(JudgeConfig(model="openai/gpt", **{**shared, "template": "pointwise"}), said.append)
    assert (rated.votes, rated.template, rated.stop) == (4, "pointwise", "never")
    config = JudgeConfig(model="openai/gpt", **shared)
    assert fitting(config, said.append) == config
    assert [one.partition(" left out")[0] for one in said] == ["scalar/rm: template, votes, stop", "openai/gpt: stop"]


def test_every_template_that_ships_makes_a_kind_of_judge():
    kinds = {name: JudgeSettings("x", template=name, orders="both").kind for name in template_names()}
    assert [name for name, kind in kinds.items() if kind == "generative"] == ["pointwise", "verdict-only"]
    assert set(REASONING_TEMPLATES) <= set(template_names())
    assert JudgeSettings("x", template="pointwise", orders="each").kind == "pointwise"
    assert JudgeSettings("x", template="none", orders="each").kind == "scalar"
    assert JudgeSettings("x", template="mine.txt", orders="both").kind == "generative"
    assert JudgeSettings("x").kind is None


def write_pairs(path, count=12):
    rows = [{"id": str(n), "prompt": f"q{n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rates(request):
    text = request.messages[-1].content
    number = int(text.partition("q")[2].partition("\n")[0])
    return answer("9" if ("good" in text) == (number % 4 != 0) else "3")


def four(folder, run):
    """A scalar judge that is right, a pointwise one that is wrong on every fourth pair, one for A, and one that reasons."""
    engines = {
        "scalar": Scorer(lambda request: "1.0" if "good" in request.messages[-1].content else "-1.0"),
        "points": FunctionEngine(rates),
        "verdicts": FunctionEngine(lambda request: answer("A")),
        "reasons": FunctionEngine(prefers("good")),
    }
    templates = {"scalar": None, "points": "pointwise", "verdicts": "verdict-only", "reasons": "cor"}
    judges = {name: JudgeConfig(template=template) for name, template in templates.items()}
    task = EvalTask(find_benchmarks("custom"), folder / "pairs.jsonl", run=run)
    return engines, asyncio.run(evaluate_judges(task, judges, EvalProgress(), engines=engines))


def test_one_run_leaves_one_table_with_kinds_intervals_and_costs(tmp_path):
    write_pairs(tmp_path / "pairs.jsonl")
    engines, result = four(tmp_path, tmp_path / "run")
    found = result.results.benchmarks["custom"]
    values = {name: one.metrics["accuracy"].value for name, one in found.runs.items()}
    assert values == {"scalar": 1.0, "points": 0.75, "verdicts": 0.0, "reasons": 1.0}
    assert all(one.metrics["accuracy"].low is not None for one in found.runs.values())
    kinds = {name: one.kind for name, one in result.results.runs.items()}
    assert kinds == {"scalar": "scalar", "points": "pointwise", "verdicts": "generative", "reasons": "reasoning"}
    assert {name: len(engine.asked) for name, engine in engines.items()} == dict.fromkeys(engines, 24)
    assert {name: (one.read_per_pair, one.written_per_pair, one.invalid) for name, one in found.runs.items()} == (
        dict.fromkeys(engines, (20.0, 4.0, 0.0))
    )
    against = found.between("scalar", "verdicts")
    assert against is not None and against.difference is not None and against.difference.p_adjusted < 0.05
    [ranks, *_] = comparison_tables(result.results)
    assert ranks.columns[2:5] == ("kind", "accuracy", "95 %")
    assert {row[0]: row[2] for row in ranks.rows} == kinds
    with (tmp_path / "run" / JUDGES_CSV).open() as lines:
        rows = list(csv.DictReader(lines))
    assert {row["run"]: row["name"] for row in rows if row["kind"] == "judge"} == kinds
    kept = json.loads((tmp_path / "run" / JUDGES).read_text())
    assert {name: value for name, value in kept.items() if name != "check"} == result.results.to_json()
    assert "reasoning" in (tmp_path / "run" / JUDGES_PAGE).read_text()


def test_the_same_call_asks_nothing_again_and_leaves_the_same_files(tmp_path):
    write_pairs(tmp_path / "pairs.jsonl")
    four(tmp_path, tmp_path / "run")
    before = {name: (tmp_path / "run" / name).read_bytes() for name in (JUDGES, JUDGES_CSV, JUDGES_PAGE)}
    engines, _ = four(tmp_path, tmp_path / "run")
    assert not any(engine.asked for engine in engines.values())
    assert before == {name: (tmp_path / "run" / name).read_bytes() for name in before}
