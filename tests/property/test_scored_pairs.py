"""Judges that score one response at a time: what the scores say, whatever the order, the sides and the interruptions."""

import asyncio
import json
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rmr1.config import JudgeConfig
from rmr1.errors import EngineError
from rmr1.judging import JudgeRun, combine, plan_judging
from rmr1.judging.completions import Completion
from rmr1.records import Message, PreferencePair, Verdict
from rmr1.runs import RunDirectory
from rmr1.sides import turned
from rmr1.verdict import score_text
from tests.support.completions import completion
from tests.support.engines import FunctionEngine, answer

numbers = st.floats(-1e6, 1e6)
ratings = st.one_of(st.none(), st.integers(1, 10).map(float))


def scored(of_a, of_b, rule="rating", label="A") -> list[Completion]:
    """Completions of a pair whose responses got these scores, None for an invalid one."""
    made = []
    for order, scores in (("ab", of_a), ("ba", of_b)):
        for vote, score in enumerate(scores):
            verdict = Verdict(None, "missing" if score is None else None, rule=rule, score=score)
            index = vote + (order == "ba") * len(of_a)
            made.append(replace(completion("", order=order, vote=vote, index=index, label=label), verdict=verdict))
    return made


@given(numbers, numbers)
def test_the_higher_score_wins_and_exchanged_sides_exchange_everything(a, b):
    judged, other = combine(scored([a], [b], "score"), "default"), combine(scored([b], [a], "score"), "default")
    assert judged.winner == ("tie" if a == b else "A" if a > b else "B")
    assert judged.scores == (a, b) and other.scores == (b, a)
    assert judged.p_a is not None and other.p_a is not None and abs(judged.p_a + other.p_a - 1) < 1e-12
    assert (judged.p_a > 0.5) <= (a > b) and (judged.p_a < 0.5) <= (a < b)
    assert judged.confidence >= 0.5 and judged.position_consistent is None
    back = turned(other)
    assert (back.winner, back.scores, back.outcome) == (judged.winner, judged.scores, judged.outcome)


@given(
    st.lists(ratings, min_size=1, max_size=5).flatmap(
        lambda of_a: st.tuples(st.just(of_a), st.lists(ratings, min_size=len(of_a), max_size=len(of_a)))
    )
)
def test_means_of_valid_ratings_decide_and_half_of_the_evidence_is_no_win(both):
    of_a, of_b = both
    judged = combine(scored(of_a, of_b), "default")
    valid_a, valid_b = ([one for one in of if one is not None] for of in both)
    if valid_a and valid_b:
        mean_a, mean_b = sum(valid_a) / len(valid_a), sum(valid_b) / len(valid_b)
        if abs(mean_a - mean_b) > 1e-9:
            assert judged.winner == ("A" if mean_a > mean_b else "B")
        assert judged.outcome in ("A", "B", "tie")
    else:
        assert judged.outcome == ("half_judged" if valid_a or valid_b else "no_verdict")
        assert judged.winner is None and judged.confidence == 0.0
    assert judged.p_a is None and 0.0 <= judged.confidence <= 1.0


@given(ratings, ratings)
def test_a_completion_with_a_score_is_read_back_from_its_line(a, b):
    for one in scored([a], [b]):
        record = json.loads(json.dumps(one.to_record()))
        again = Completion.from_record(record)
        assert again.to_record() == one.to_record()
        assert again.verdict_by("rm-r1-eval") == again.verdict


class Scorer(FunctionEngine):
    gives_scores = True


def shared_pairs(count):
    """Pairs of which every three share their better response."""
    return [
        PreferencePair(
            f"p{number}",
            (Message("user", f"question {number // 3}"),),
            (Message("assistant", f"good {number // 3}"),),
            (Message("assistant", f"bad {number}"),),
            "A",
        )
        for number in range(count)
    ]


def judge(path, engine, config, pairs):
    plan = plan_judging(config, engine)
    with RunDirectory(path, {"job": "test"}) as directory:
        return asyncio.run(JudgeRun(engine, plan, directory).conclude(pairs)).results


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 30), max_size=4),
    st.integers(1, 4),
    st.sampled_from([("scalar", 1), ("pointwise", 1), ("pointwise", 3)]),
)
def test_an_interrupted_run_ends_like_an_undisturbed_one_and_asks_for_no_response_twice(breaks, batch, kind):
    name, votes = kind
    config = JudgeConfig(votes=votes, **({"template": "pointwise"} if name == "pointwise" else {}))
    asked: list[tuple] = []
    left = [0]

    def reply(request):
        if left[0] == 0:
            raise EngineError("gone")
        left[0] -= 1
        asked.append((request.messages, request.sampling.seed))
        good = "good" in request.messages[-1].content
        return score_text(2.5 if good else -1.25) if name == "scalar" else answer("9" if good else "2")

    def make():
        return Scorer(reply, batch) if name == "scalar" else FunctionEngine(reply, batch)

    with tempfile.TemporaryDirectory() as folder:
        for answers in breaks:
            left[0] = answers
            with suppress(EngineError):
                judge(Path(folder) / "broken", make(), config, shared_pairs(9))
        left[0] = 1000
        resumed = judge(Path(folder) / "broken", make(), config, shared_pairs(9))
        lost = len(breaks) * batch  # what was answered when the engine broke, and not yet kept
        assert len(set(asked)) == votes * 12 and len(asked) <= votes * 12 + lost
        asked.clear()
        peaceful = judge(Path(folder) / "peace", make(), config, shared_pairs(9))
        assert len(asked) == votes * 12
    assert resumed.accuracy == peaceful.accuracy and resumed.pairs == 9 and resumed.right == 9
    assert resumed.completions == peaceful.completions == votes * 18
    assert peaceful.tokens.completion_tokens == 2 * votes * 12
    assert resumed.position_consistency is None and resumed.first_shown is None and resumed.vote_accuracy is None
