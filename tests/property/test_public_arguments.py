"""Wrong arguments of the public functions: each is refused in one line that names it, or is taken for what it says."""

import asyncio
import itertools
import json
import math
from pathlib import Path

import pytest

import rmr1
from rmr1 import Generation, Message, PreferencePair, Verdict
from rmr1.data import write_pairs
from rmr1.errors import RMR1Error
from rmr1.judging import judge_pairs
from tests.support.engines import FunctionEngine, pairs, prefers

PAIRS = pairs(2)


class Table:
    """A table of pandas in what matters: it is iterable, has a length, and no truth value."""

    columns = ("prompt", "chosen", "rejected")

    def __iter__(self):
        return iter(self.columns)

    def __len__(self):
        return 3

    def __bool__(self):
        raise ValueError("the truth value of a table is ambiguous")


class Hollow:
    """An object that has nothing."""

    def __repr__(self):
        return "Hollow()"


WRONG = {
    "None": lambda: None,
    "True": lambda: True,
    "0": lambda: 0,
    "-1": lambda: -1,
    "huge": lambda: 10**30,
    "1.5": lambda: 1.5,
    "nan": lambda: math.nan,
    "empty text": lambda: "",
    "text": lambda: "no such thing",
    "home of nobody": lambda: "~no-such-user/x",
    "NUL": lambda: "a\0b",
    "surrogate": lambda: "\ud800",
    "long": lambda: "x" * 300,
    "bytes": lambda: b"pairs.jsonl",
    "empty list": lambda: [],
    "list of pairs": lambda: list(PAIRS),
    "list of rows": lambda: [{"prompt": "q", "chosen": "a", "rejected": "b"}],
    "list of None": lambda: [None],
    "list of lists": lambda: [["a"]],
    "tuple": lambda: ("a", "b"),
    "set": lambda: {1},
    "empty dict": lambda: {},
    "dict": lambda: {"prompt": "q"},
    "dict of numbers": lambda: {1: 2},
    "generator": lambda: (pair for pair in PAIRS),
    "table": Table,
    "object": Hollow,
    "class": lambda: Hollow,
    "function": lambda: print,
    "path": lambda: Path("no/such/file"),
    "pair": lambda: PAIRS[0],
    "hollow pair": lambda: PreferencePair(1, "q", "a", "b"),
    "pair of texts": lambda: [PreferencePair("p", "q", "a", "b")],
    "message": lambda: Message("user", "q"),
    "hollow message": lambda: [Message(None, 3)],
    "module": lambda: math,
}
ENGINE = FunctionEngine(prefers("good"))


def judging(name, value):
    with rmr1.Judge(ENGINE) as judge:
        if name == "pairs":
            return list(judge.compare_many(value))
        return judge.compare(**{"prompt": "q", "a": "good", "b": "bad", name: value})


async def awaited(name, value):
    with rmr1.Judge(ENGINE) as judge:
        return await judge.acompare(**{"prompt": "q", "a": "good", "b": "bad", name: value})


def opened(name, value):
    if (name, value) != ("model", None):  # the default model, which is heavy
        rmr1.Judge(**{"model": ENGINE, name: value}).close()


def verb(function, **rest):
    """A call with one argument of another value."""

    def call(name, value):
        return function(**{**rest, name: value})

    return call


COMPARISON = rmr1.show(PAIRS[0], "ab")
TEMPLATE = rmr1.load_template("cor")
RUN = {"limit": 1, "run": "run"}
CALLS = {
    "judge": (opened, ("model", "votes", "orders", "engine", "template", "rule", "colour")),
    "compare": (judging, ("prompt", "a", "b", "label", "reference", "rubric", "pairs")),
    "acompare": (lambda name, value: asyncio.run(awaited(name, value)), ("prompt", "a", "label", "reference")),
    "judge_pairs": (
        verb(judge_pairs, pairs="pairs.jsonl", engine=ENGINE, **RUN),
        ("pairs", "config", "engine", "limit", "run", "callbacks", "votes"),
    ),
    "evaluate": (
        verb(rmr1.evaluate, model=ENGINE, benchmarks="custom", data="pairs.jsonl", **RUN),
        ("model", "benchmarks", "data", "columns", "limit", "run", "protocol", "config", "callbacks", "votes"),
    ),
    "distill": (
        verb(rmr1.distill, pairs="pairs.jsonl", teacher=ENGINE, **RUN),
        ("pairs", "config", "teacher", "repairer", "limit", "run", "callbacks", "keep"),
    ),
    "train_sft": (
        verb(rmr1.train_sft, data="traces.jsonl", model="no/such/model", run="run"),
        ("data", "config", "held_out", "run", "callbacks", "epochs", "model"),
    ),
    "train_rl": (
        verb(rmr1.train_rl, data="pairs.jsonl", model="no/such/model", run="run"),
        ("data", "config", "held_out", "run", "callbacks", "rollouts", "model"),
    ),
    "curate": (
        verb(rmr1.curate, recipe="pairs.jsonl", out="out", splits={"train": 1.0}),
        ("recipe", "out", "callbacks", "splits", "size"),
    ),
    "compare_runs": (
        verb(rmr1.compare_runs, runs=["one", "two"]),
        ("runs", "protocol", "votes", "items", "benchmarks"),
    ),
    "load_pairs": (verb(rmr1.load_pairs, path="pairs.jsonl"), ("path", "columns", "skip_invalid", "name")),
    "write_pairs": (verb(write_pairs, path=Path("written.jsonl"), pairs=PAIRS), ("path", "pairs")),
    "load_template": (verb(rmr1.load_template), ("name_or_path",)),
    "render_prompt": (
        verb(rmr1.render_prompt, comparison=COMPARISON, template=TEMPLATE),
        ("comparison", "template", "system_role"),
    ),
    "show": (verb(rmr1.show, pair=PAIRS[0], order="ab"), ("pair", "order")),
    "parse_verdict": (verb(rmr1.parse_verdict, generation=Generation("r", "x")), ("generation", "rule")),
    "verdict_reward": (verb(rmr1.verdict_reward, verdict=Verdict("A", None), gold="A"), ("verdict", "gold")),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.jsonl").write_text(
        "".join(json.dumps({"prompt": f"q{n}", "chosen": "good", "rejected": "bad"}) + "\n" for n in range(2))
    )
    trace = [{"role": "user", "content": "q"}], [{"role": "assistant", "content": "<answer>[[A]]</answer>"}]
    (tmp_path / "traces.jsonl").write_text(
        json.dumps({"prompt": trace[0], "completion": trace[1], "label": "A"}) + "\n"
    )
    return tmp_path


@pytest.mark.parametrize("called", CALLS)
def test_a_wrong_argument_is_refused_in_one_line(called, folder):
    call, names = CALLS[called]
    refused = 0
    for name, kind in itertools.product(names, WRONG):
        value = WRONG[kind]()
        try:
            call(name, value)
        except RMR1Error as error:
            refused += 1
            said = str(error)
            assert said and "\n" not in said and len(said) < 2000, f"{name}={kind}: {said}"
            assert not said.startswith("[") and "object at 0x" not in said, f"{name}={kind}: {said}"
        except Exception as error:
            raise AssertionError(f"{called}({name}={kind}) raises {type(error).__name__}: {error}") from error
    assert refused > len(names) * len(WRONG) / 3
