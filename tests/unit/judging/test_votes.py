"""Completions of a pair, combined."""

import pytest

from rmr1.judging import JudgmentTally, combine
from rmr1.records import Usage
from tests.support.completions import completion
from tests.support.engines import answer


def written(order, vote, shown, *, label="A", text=None, p=None, finish="stop"):
    return completion(
        answer(shown) if text is None else text, index=(order == "ba") * 10 + vote, group="g", category="c",
        label=label, order=order, vote=vote, finish_reason=finish, usage=Usage(1, 1), p_shown_a=p,
    )  # fmt: skip


def outcome(*samples):
    judgment = combine(samples, "default")
    return judgment.outcome, judgment.winner, judgment.position_consistent, judgment.confidence, judgment.correct


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ((("ab", "A"), ("ba", "B")), ("A", "A", True, 1.0, True)),
        ((("ab", "B"), ("ba", "A")), ("B", "B", True, 1.0, False)),
        ((("ab", "A"), ("ba", "A")), ("inconsistent", "tie", False, 0.5, False)),
        ((("ab", "A"), ("ba", "?")), ("half_judged", None, None, 0.0, False)),
        ((("ab", "A"), ("ab", "?"), ("ba", "?"), ("ba", "B")), ("A", "A", True, 0.5, True)),
        ((("ab", "?"), ("ba", "?")), ("no_verdict", None, None, 0.0, False)),
        ((("ab", "A"),), ("A", "A", None, 1.0, True)),
        ((("ba", "A"),), ("B", "B", None, 1.0, False)),
        ((("ab", "A"), ("ab", "A"), ("ab", "B"), ("ba", "B"), ("ba", "B"), ("ba", "B")), ("A", "A", True, 5 / 6, True)),
        ((("ab", "A"), ("ab", "B"), ("ba", "B"), ("ba", "B")), ("inconsistent", "tie", False, 0.5, False)),
        ((("ab", "A"), ("ab", "B"), ("ba", "B"), ("ba", "A")), ("tie", "tie", True, 0.5, False)),
    ],
)
def test_orders_and_votes_are_combined(shown, expected):
    assert outcome(*(written(order, number, side) for number, (order, side) in enumerate(shown))) == expected


def test_probability_is_told_in_the_frame_of_the_pair():
    judgment = combine([written("ab", 0, "A", p=0.9), written("ba", 0, "B", p=0.2)], "default")
    assert [vote.p_a for vote in judgment.votes] == [0.9, pytest.approx(0.8)]


def test_without_label_nothing_is_correct_or_wrong():
    assert outcome(written("ab", 0, "A", label=None))[-1] is None


@pytest.mark.parametrize(
    ("first", "second", "correct"),
    [("AB", "AB", True), ("AA", "BB", False), ("AA", "AA", False), ("AB", "BB", False), ("??", "??", False), ("AB", "??", False)],
)  # fmt: skip
def test_a_tie_is_right_where_people_give_it_and_both_orders_say_it(first, second, correct):
    """Two votes an order: orders that disagree are no tie of the judge's, or a biased judge would be right on every tie."""
    votes = [written("ab", number, side, label="tie") for number, side in enumerate(first)]
    votes += [written("ba", number, side, label="tie") for number, side in enumerate(second)]
    assert outcome(*votes)[-1] is correct


@pytest.mark.parametrize("others", [(), ("A",), ("B",), ("?",), ("B", "B")])
def test_a_pair_that_the_engine_failed_on_is_unjudged_whatever_the_other_orders_say(others):
    failed = written("ab", 0, "?", text="", finish="error")
    judgment = combine([failed, *(written("ba", number, side) for number, side in enumerate(others))], "default")
    assert (judgment.outcome, judgment.winner, judgment.correct) == ("unjudged", None, None)
    assert (judgment.position_consistent, judgment.confidence) == (None, 0.0)


def test_explanation_comes_from_a_vote_for_the_winner():
    against = written("ab", 0, "B", text="<eval>no</eval>" + answer("B"))
    agreeing = [written("ab", vote, "A", text="<eval>yes</eval>" + answer("A")) for vote in (1, 2)]
    assert combine([against, *agreeing], "default").evaluation == "yes"


def test_accuracy_among_the_decided_is_about_pairs_of_which_every_order_names_one_side():
    """Right, wrong, orders that differ, half-judged, without a verdict, and a pair that people call a tie."""
    tally = JudgmentTally()
    shown = [("A", "B"), ("B", "A"), ("A", "A"), ("A", "?"), ("?", "?")]
    for number, (first, second) in enumerate([*shown, ("A", "B")]):
        label = "tie" if number == len(shown) else "A"
        orders = (written("ab", 0, first, label=label), written("ba", 0, second, label=label))
        tally.add(number, combine(orders, "default"))
    figures = tally.figures(range(6))
    assert (figures.accuracy.value, figures.accuracy.n) == (1 / 5, 5)
    assert (figures.accuracy_decided.value, figures.accuracy_decided.n) == (1 / 2, 2)
    undecided = JudgmentTally()
    undecided.add(0, combine([written("ab", 0, "A"), written("ba", 0, "A")], "default"))
    assert (undecided.figures([0]).accuracy.value, undecided.figures([0]).accuracy_decided) == (0.0, None)
