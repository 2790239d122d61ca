"""Early stopping: the outcome of the votes that were asked for is that of all, whatever they say and wherever a run is cut."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmr1.benchmarks.benchmark import STRICT, Entry, Policy
from rmr1.benchmarks.judged import Completions
from rmr1.config import JudgeConfig, StopPolicy
from rmr1.errors import EngineError, JournalError
from rmr1.judging import Completion, JudgeRun, StoppingRule, combine, needed, plan_judging
from rmr1.records import Generation, GenerationRequest
from rmr1.runs import RunDirectory
from rmr1.sides import pair_side
from tests.support.completions import completion
from tests.support.engines import FunctionEngine, answer, pairs

TEXTS = {"A": answer("A"), "B": answer("B"), "?": "no idea"}
ORDERS = ("ab", "ba")


def votes_of(pair: str, sides: Sequence[str], votes: int) -> list[Completion]:
    """Completions of a pair by the shown sides that they name, order by order."""
    return [
        completion(TEXTS[side], pair_id=pair, index=index, order=ORDERS[index // votes], vote=index % votes)  # type: ignore[arg-type]
        for index, side in enumerate(sides)
    ]


@st.composite
def sequences(draw: st.DrawFn) -> tuple[int, list[str]]:
    votes = draw(st.integers(1, 9))
    weights = draw(st.sampled_from(("AB?", "AAAAB", "ABBBBBB?", "A", "??????A", "AAAAAAAAAB")))
    return votes, draw(st.lists(st.sampled_from(weights), min_size=2 * votes, max_size=2 * votes))


@settings(max_examples=400, deadline=None)
@given(sequences())
def test_the_votes_that_early_stopping_asks_for_say_what_all_say(drawn: tuple[int, list[str]]) -> None:
    votes, sides = drawn
    every = votes_of("p", sides, votes)
    kept = needed(every, StoppingRule(votes, "early"), 2)
    assert kept is not None
    before, after = combine(every, "default"), combine(kept, "default", len(every))
    assert (after.outcome, after.winner, after.position_consistent) == (
        before.outcome,
        before.winner,
        before.position_consistent,
    )
    assert after.spared == len(every) - len(kept)
    entry = Entry("p", "", "p", "A", 1, 1)
    policies = (
        Policy("mean"),
        Policy("drawn"),
        Policy("agree"),
        Policy("sum"),
        STRICT,
        Policy("mean", tie=0.5, invalid=0.25),
    )
    whole = Completions([entry], every, 2 * votes).read("default")[0]
    (stopped,) = Completions([entry], kept, 2 * votes, StoppingRule(votes, "early")).read("default")
    for policy in policies:
        assert stopped.value(policy, 0) == whole.value(policy, 0), policy
        assert stopped.agreement(policy) == whole.agreement(policy)


@settings(max_examples=200, deadline=None)
@given(sequences(), st.integers(1, 9))
def test_fewer_votes_can_be_counted_after_early_stopping(drawn: tuple[int, list[str]], count: int) -> None:
    votes, sides = drawn
    fewer = min(count, votes)
    every = votes_of("p", sides, votes)
    kept = needed(every, StoppingRule(votes, "early"), 2) or []
    first = needed(kept, StoppingRule(fewer, "early"), 2)
    assert first is not None
    assert combine(first, "default").outcome == combine([one for one in every if one.vote < fewer], "default").outcome


@pytest.mark.parametrize("error", [0.2, 0.05, 0.01])
def test_sequential_stopping_changes_no_more_majorities_than_it_says(error: float) -> None:
    """Shares uniformly distributed, as its error is defined; the number of changes is binomial, so a bound by chance of 1e-4."""
    draw, trials, changed, asked = random.Random(5), 6000, 0, 0
    rule = StoppingRule(9, "sequential", error)
    for _ in range(trials):
        share = draw.random()
        said = ["A" if draw.random() < share else "B" for _ in range(9)]
        for_a = count = 0
        while rule.to_ask(for_a, count - for_a, count):
            for_a += said[count] == "A"
            count += 1
        asked += count
        changed += (2 * for_a > count) != (2 * said.count("A") > 9)
    assert changed / trials <= error + 3.7 * (error / trials) ** 0.5
    assert asked < 9 * trials


def reply(request: GenerationRequest) -> str:
    """A judge whose votes lean by the pair, and differ; some of them cannot be read."""
    pair, order, vote = request.id.split("/")
    draw = random.Random(f"{pair}/{order}/{vote}")
    lean = random.Random(pair).random()
    if draw.random() < 0.1:
        return TEXTS["?"]
    side = "A" if draw.random() < lean else "B"
    return answer(str(pair_side(side, "ab" if order == "ab" else "ba")))  # type: ignore[call-overload]


def judge(run: Path, stop: StopPolicy, limit: int | None = None, batch: int = 3) -> FunctionEngine:
    """Judge or resume; after ``limit`` answers the process is gone."""
    engine = FunctionEngine(reply, batch)
    inner, answered = engine.generate, 0

    async def generate(requests):  # type: ignore[no-untyped-def]
        nonlocal answered
        async for generation in inner(requests):
            if limit is not None and answered >= limit:
                raise EngineError("gone")
            answered += 1
            yield generation

    engine.generate = generate  # type: ignore[method-assign]
    plan = plan_judging(JudgeConfig(votes=5, stop=stop), engine)
    with RunDirectory(run, {"job": "judge", **plan.identity()}) as directory:
        asyncio.run(JudgeRun(engine, plan, directory, total_pairs=8).conclude(pairs(8)))
    return engine


@pytest.mark.parametrize("stop", ["early", "sequential"])
def test_a_run_that_is_cut_anywhere_ends_with_the_same_results(tmp_path: Path, stop: StopPolicy) -> None:
    whole = judge(tmp_path / "whole", stop)
    expected = (tmp_path / "whole/results.json").read_bytes()
    assert json.loads(expected)["spared"] > 0
    lines = journal(tmp_path / "whole")
    for limit in range(0, len(whole.asked), 3):
        with TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            with pytest.raises(EngineError, match="gone"):
                judge(run, stop, limit)
            rest = judge(run, stop, batch=1)
            assert content(run / "results.json") == content(tmp_path / "whole/results.json")
            assert sorted(journal(run)) == sorted(lines)
            assert len(rest.asked) == len(whole.asked) - limit


def content(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_bytes())
    del found["check"]
    return found


def journal(run: Path) -> list[str]:
    return [json.loads(line)["request"] for line in (run / "completions.jsonl").read_text().splitlines()]


def test_early_stopping_asks_for_a_part_of_the_votes_and_decides_the_same(tmp_path: Path) -> None:
    results = {}
    for stop in ("never", "early"):
        judge(tmp_path / stop, stop)  # type: ignore[arg-type]
        results[stop] = content(tmp_path / stop / "results.json")
    same = (
        "pairs",
        "right",
        "wrong",
        "ties",
        "half_judged",
        "no_winner",
        "accuracy",
        "confusion",
        "position_consistency",
    )
    assert {name: results["early"][name] for name in same} == {name: results["never"][name] for name in same}
    assert results["never"]["completions"] == 80
    assert results["early"]["completions"] + results["early"]["spared"] == 80  # type: ignore[operator]
    assert results["early"]["spared"] > 10  # type: ignore[operator]


def test_deleted_votes_are_asked_again_and_needless_ones_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge(run, "early")
    before, path = content(run / "results.json"), run / "completions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[::2]))
    assert len(judge(run, "early").asked) == len(lines) // 2
    assert content(run / "results.json") == before

    counts = Counter(json.loads(line)["pair_id"] + "/" + json.loads(line)["order"] for line in lines)
    settled = next(name for name, count in counts.items() if count < 5)
    record = next(one for line in lines if (one := json.loads(line))["request"].startswith(settled))
    more = counts[settled]
    record |= {"vote": more, "index": more + 5 * (record["order"] == "ba"), "request": f"{settled}/{more}"}
    del record["check"]
    plan = plan_judging(JudgeConfig(votes=5, stop="early"), FunctionEngine(reply))
    with (
        RunDirectory(run, {"job": "judge", **plan.identity()}) as directory,
        directory.journal("completions.jsonl") as kept,
    ):
        kept.append(record)
    with pytest.raises(
        JournalError, match=rf"completions\.jsonl:\d+: .*vote {more} of the order {record['order']} settle it"
    ):
        judge(run, "early")


def test_a_failed_vote_leaves_its_pair_for_the_next_process(tmp_path: Path) -> None:
    def failing(request: GenerationRequest) -> str | Generation:
        return Generation(request.id, "", "error", error="boom") if request.id == "p2/ab/1" else reply(request)

    plan = plan_judging(JudgeConfig(votes=5, stop="early"), FunctionEngine(reply))
    with RunDirectory(tmp_path / "run", {"job": "judge", **plan.identity()}) as directory:
        asyncio.run(JudgeRun(FunctionEngine(failing, 3), plan, directory, total_pairs=8).conclude(pairs(8)))
    first = content(tmp_path / "run/results.json")
    assert (first["unjudged"], first["pairs"], first["unanswered"]) == (1, 7, 1)
    judge(tmp_path / "run", "early")
    judge(tmp_path / "whole", "early")
    assert content(tmp_path / "run/results.json") == content(tmp_path / "whole/results.json")
