"""Policies of the figures of judged pairs: neither an exchange of sides nor a failure nor the order of counting changes them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from rmr1.benchmarks.benchmark import Entry
from rmr1.benchmarks.judged import Completions, ScoringContext
from rmr1.benchmarks.scoring import pair_figures
from rmr1.judging import Completion, JudgmentTally, combine
from rmr1.records import FinishReason, Label, Order, PairOutcome, Side
from rmr1.results import PairFigures
from rmr1.sides import OTHER_SIDE
from tests.support.completions import completion
from tests.support.engines import answer

ORDERS: tuple[Order, ...] = ("ab", "ba")
TEXTS = {"A": answer("A"), "B": answer("B"), "?": "no idea", "!": ""}
OTHER_ORDER: dict[Order, Order] = {"ab": "ba", "ba": "ab"}
SWAPPED: dict[str, PairOutcome] = {"A": "B", "B": "A"}
Judged = list[list[Completion]]


def written(pair: int, order: Order, vote: int, shown: str, label: Label | None) -> Completion:
    end: FinishReason = "error" if shown == "!" else "stop"
    return completion(TEXTS[shown], pair_id=f"p{pair}", pair=pair, order=order, vote=vote, index=2 * vote + (order == "ba"),
                      group=f"g{pair % 3}", label=label, finish_reason=end)  # fmt: skip


@st.composite
def judged(draw: st.DrawFn, shown: str = "AB?!") -> Judged:
    """Some pairs with labels, in both orders or one, with one to three votes."""
    orders = draw(st.sampled_from((ORDERS, ORDERS, ORDERS[:1], ORDERS[1:])))
    votes = draw(st.integers(1, 3))
    labels = draw(st.lists(st.sampled_from(("A", "B", "tie", None)), min_size=1, max_size=8))
    return [
        [written(pair, order, vote, draw(st.sampled_from(shown)), label) for order in orders for vote in range(votes)]
        for pair, label in enumerate(labels)
    ]


def figures(pairs: Judged) -> PairFigures:
    tally = JudgmentTally()
    for number, completions in reversed(list(enumerate(pairs))):
        tally.add(number, combine(completions, "default"))
    return tally.figures([number % 3 for number in range(len(pairs))])


def exchanged(completions: list[Completion]) -> list[Completion]:
    """The same pair with its sides the other way round, judged by the same judge."""

    def flipped(label: Label | None) -> Label | None:
        return OTHER_SIDE[label] if label == "A" or label == "B" else label

    return [replace(one, order=OTHER_ORDER[one.order], label=flipped(one.label)) for one in completions]


@settings(max_examples=200, deadline=None)
@given(judged())
def test_exchanging_the_sides_of_every_pair_changes_no_figure(pairs: Judged) -> None:
    before, after = figures(pairs), figures([exchanged(completions) for completions in pairs])
    mirrored = {
        SWAPPED.get(label, label): {SWAPPED.get(outcome, outcome): count for outcome, count in row.items()}
        for label, row in after.confusion.items()
    }
    assert mirrored == before.confusion
    assert replace(after, confusion=before.confusion, kappa=before.kappa) == before
    assert (after.kappa is None) == (before.kappa is None)
    assert after.kappa is None or before.kappa is None or abs(after.kappa - before.kappa) < 1e-12


@settings(max_examples=200, deadline=None)
@given(judged(shown="AB?"), st.data())
def test_an_order_without_a_verdict_raises_neither_accuracy_nor_agreement(pairs: Judged, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(pairs) - 1))
    lost = data.draw(st.sampled_from([one.order for one in pairs[number]]))
    spoiled = [
        written(one.pair, one.order, one.vote, "?", one.label) if one.order == lost else one for one in pairs[number]
    ]
    before, after = figures(pairs), figures([*pairs[:number], spoiled, *pairs[number + 1 :]])
    assert after.right <= before.right
    for name in ("accuracy", "agreement", "vote_accuracy"):
        full, half = getattr(before, name), getattr(after, name)
        assert (full is None) == (half is None)
        assert full is None or (half.value <= full.value and half.n == full.n)
    assert after.pairs == before.pairs


@settings(max_examples=200, deadline=None)
@given(judged())
def test_every_pair_has_one_outcome_and_what_failed_is_in_no_figure(pairs: Judged) -> None:
    found = figures(pairs)
    failed = [completions for completions in pairs if any(one.finish_reason == "error" for one in completions)]
    assert (found.pairs, found.unjudged) == (len(pairs) - len(failed), len(failed))
    answered = figures([completions for completions in pairs if completions not in failed])
    assert (answered.confusion, answered.right, answered.invalid) == (found.confusion, found.right, found.invalid)
    counts = (found.right, found.wrong, found.ties, found.half_judged, found.no_winner)
    assert sum(counts) == (found.accuracy.n if found.accuracy else 0)
    assert found.labelled_pairs == sum(sum(row.values()) for row in found.confusion.values())
    if found.agreement and not found.has_ties:
        assert found.accuracy == found.agreement


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("A?!"), st.sampled_from("A?!"), st.sampled_from("AB")), min_size=1))
def test_a_judge_that_always_says_a_is_never_right_whatever_fails(said: list[tuple[str, str, Side]]) -> None:
    pairs = [
        [written(pair, order, 0, one, label) for order, one in zip(ORDERS, shown, strict=True)]
        for pair, (*shown, label) in enumerate(said)
    ]
    found = figures(pairs)
    assert found.right == 0
    assert found.accuracy is None or found.accuracy.value == 0.0


@settings(max_examples=150, deadline=None)
@given(judged())
def test_an_evaluation_has_the_figures_of_the_judge_run_on_the_same_completions(pairs: Judged) -> None:
    labelled = [completions for completions in pairs if completions[0].label]
    entries = [Entry(one[0].pair_id, "", one[0].group, one[0].label or "tie", 1, 1) for one in labelled]
    kept = [one for completions in labelled for one in completions if one.finish_reason != "error"]
    completions = Completions(entries, kept, len(pairs[0]))
    tally = JudgmentTally()
    for number, one in enumerate(labelled):
        tally.add(number, combine(one, "default"))
    expected = tally.figures([one[0].pair % 3 for one in labelled])
    assert pair_figures(completions, ScoringContext(0, "default")) == expected, (
        "to the last bit, however clusters are named"
    )
