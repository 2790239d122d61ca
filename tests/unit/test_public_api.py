"""What ``from rmr1 import ...`` gives: names, their types for a strict checker, and that each can be used as it stands."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import rmr1
from rmr1 import (
    Judge,
    Message,
    NullCallbacks,
    PreferencePair,
    compare_runs,
    curate,
    distill,
    evaluate,
    load_pairs,
    train_rl,
    train_sft,
)
from rmr1.config import DistillConfig, JudgeConfig, SftConfig
from rmr1.errors import ConfigError, DataError, InputError
from tests.support.engines import FunctionEngine, prefers

ROOT = Path(__file__).parents[2]
TYPED = """
from pathlib import Path

from rmr1 import (
    DistillConfig,
    Judge,
    JudgeConfig,
    Judgment,
    NullCallbacks,
    RlConfig,
    SftConfig,
    curate,
    distill,
    evaluate,
    load_pairs,
    train_rl,
    train_sft,
)


class Sentences(NullCallbacks):
    def say(self, message: str) -> None:
        print(message)


def agreement(path: str) -> float:
    right = 0
    with Judge("llamacpp/smollm2-135m-instruct", votes=3, engine={"slots": 2}) as judge:
        judgments: list[Judgment] = list(judge.compare_many(load_pairs(path)))
    right += sum(judgment.correct is True for judgment in judgments)
    return right / len(judgments)


data = curate("pairs.jsonl", out=Path("data"), size=100, callbacks=Sentences())
kept: int = data.results.pairs.kept
traces = distill(data.run / "train.jsonl", DistillConfig(teacher="openai/x"), limit=10, callbacks=Sentences())
spent: int = traces.results.tokens.completion_tokens
stage1 = train_sft(traces.traces, SftConfig(model="tiny"), run="runs/sft", callbacks=Sentences())
stage2 = train_rl("pairs.jsonl", RlConfig(model=str(stage1.model)), run="runs/rl", callbacks=Sentences())
again = train_rl("pairs.jsonl", model=str(stage1.model), rollouts=8)
print(stage2.model, again.run, agreement("held_out.jsonl"))
found = evaluate(f"hf/{stage2.model}", "rm-bench", data="benchmarks", config=JudgeConfig(votes=3), callbacks=Sentences())
for name, benchmark in found.results.benchmarks.items():
    print(name, benchmark.judged.invalid.share if benchmark.judged else None)
"""


def fresh(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_public_names_are_pinned():
    assert sorted(rmr1.__all__) == [
        "Callbacks",
        "Comparison",
        "DataRecipe",
        "DistillConfig",
        "Generation",
        "GenerationRequest",
        "Judge",
        "JudgeConfig",
        "Judgment",
        "Message",
        "NullCallbacks",
        "PreferencePair",
        "ResponseSet",
        "RlConfig",
        "Sampling",
        "SftConfig",
        "Verdict",
        "compare_runs",
        "curate",
        "distill",
        "evaluate",
        "load_pairs",
        "load_template",
        "parse_verdict",
        "render_prompt",
        "show",
        "train_rl",
        "train_sft",
        "verdict_reward",
    ]
    assert all(getattr(rmr1, name) is not None for name in rmr1.__all__)
    assert set(rmr1.__all__) <= set(dir(rmr1))
    with pytest.raises(AttributeError, match="module 'rmr1' has no attribute 'judge_it'"):
        _ = rmr1.judge_it


def test_no_public_name_is_that_of_a_package():
    rooms = {path.stem for path in (ROOT / "src" / "rmr1").iterdir()}
    assert rooms.isdisjoint(rmr1.__all__)


def test_importing_the_package_loads_nothing_else():
    loaded = fresh("import sys; before = set(sys.modules); import rmr1; print(sorted(set(sys.modules) - before))")
    assert not {"numpy", "pydantic", "scipy", "rich", "yaml"} & set(json.loads(loaded.replace("'", '"')))
    assert fresh("import rmr1.distillation.run; from rmr1 import distill; print(callable(distill))") == "True"


@pytest.mark.slow
def test_a_users_script_passes_a_strict_type_check(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(TYPED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--strict", str(script)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"prompt": f"Question {number}?", "chosen": f"a good answer {number}", "rejected": f"a bad reply {number}"}
        for number in range(6)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "pairs.jsonl"


class Told(NullCallbacks):
    def __init__(self):
        self.said, self.answers = [], 0

    def say(self, message):
        self.said.append(message)

    def answered(self, usage):
        self.answers += 1


def good_judge():
    return FunctionEngine(prefers("good"))


def test_judge_and_load_pairs(pairs):
    loaded = list(load_pairs(pairs))
    assert all(isinstance(pair, PreferencePair) for pair in loaded)
    with Judge(good_judge()) as judge:
        assert [judgment.correct for judgment in judge.compare_many(loaded)] == [True] * 6


def test_distill_with_and_without_callbacks(pairs):
    told = Told()
    done = distill(pairs, teacher=good_judge(), run="traces", limit=4, callbacks=told)
    assert (done.results.kept, done.traces.is_file(), told.answers) == (4, True, 4)
    assert distill("pairs.jsonl", DistillConfig(teacher="x"), teacher=good_judge(), run="again").results.kept == 6


def test_curate(pairs):
    done = curate(pairs, out=Path("data"), splits={"train": 1.0}, screens={"near_duplicates": None})
    assert (done.results.pairs.kept, (done.run / "train.jsonl").is_file()) == (6, True)


def test_evaluate(pairs):
    done = evaluate(good_judge(), "custom", data=pairs, run="eval", votes=1)
    assert (done.run / "report.html").is_file()
    assert done.results.benchmarks["custom"].judged.invalid.share == 0
    assert (
        evaluate(good_judge(), "custom", data=pairs, run="other", config=JudgeConfig(orders="given")).engine_errors == 0
    )


@pytest.mark.parametrize("verb", [train_sft, train_rl])
def test_training_takes_a_ready_configuration_or_settings(verb, pairs):
    with pytest.raises(ConfigError, match="config and epochs: give either"):
        verb(pairs, SftConfig(), epochs=2)


def test_evaluate_and_distill_take_a_ready_configuration_or_settings(pairs):
    with pytest.raises(ConfigError, match="config and votes: give either"):
        evaluate(good_judge(), "custom", data=pairs, config=JudgeConfig(), votes=1)
    with pytest.raises(ConfigError, match="config and keep: give either"):
        distill(pairs, DistillConfig(teacher="x"), keep=2)


def test_pairs_in_memory_are_refused_where_a_file_is_wanted():
    kept = [PreferencePair("p", (Message("user", "q"),), (Message("assistant", "a"),), (Message("assistant", "b"),))]
    for verb in (train_sft, train_rl, partial(distill, teacher=good_judge()), load_pairs, curate):
        for wrong in (kept, iter(kept), {"prompt": "q"}):
            with pytest.raises(
                DataError, match=r"expected .*path.*pairs in memory are for Judge.compare_many, or for a file"
            ):
                verb(wrong)
    with pytest.raises(ConfigError, match="benchmarks: expected names of benchmarks, or Benchmark objects; got 7"):
        evaluate(good_judge(), 7)
    with pytest.raises(InputError, match="runs: expected a list of run directories; got 'runs/a'"):
        compare_runs("runs/a")
    with pytest.raises(
        InputError, match=r"callbacks: expected an object with say.*Derive yours from rmr1.NullCallbacks"
    ):
        curate("pairs.jsonl", callbacks=print)
