"""When votes are not needed, and which are asked for next."""

import pytest

from rmr1.judging import StoppingRule, VoteLedger
from rmr1.judging.stopping import change_probability


def test_never_asks_for_all_votes_at_once():
    rule = StoppingRule(9)
    assert [rule.to_ask(asked, 0, asked) for asked in (0, 5, 8, 9)] == [9, 4, 1, 0]


@pytest.mark.parametrize(
    ("for_a", "for_b", "asked", "more"),
    [
        (0, 0, 0, 5),  # nothing is settled before five of nine agree
        (5, 0, 5, 0),
        (4, 1, 5, 1),
        (5, 1, 6, 0),
        (2, 2, 4, 3),
        (4, 4, 8, 1),  # the last one decides, or makes a tie if it is invalid
        (4, 3, 8, 1),  # so it does here: 4 to 4 is a tie
        (4, 2, 8, 0),
        (0, 0, 8, 1),
        (4, 4, 9, 0),
        (0, 0, 9, 0),
    ],
)
def test_early_asks_for_what_is_needed_in_any_case(for_a, for_b, asked, more):
    rule = StoppingRule(9, "early")
    assert rule.to_ask(for_a, for_b, asked) == rule.to_ask(for_b, for_a, asked) == more


def test_the_probability_of_a_change_is_the_beta_binomial_one():
    # one vote for A: the share of A has the density 2p, the other of two votes is against it with probability 1/3: a tie
    assert change_probability(1, 0, 1) == pytest.approx(1 / 3)
    # three of three, six to come, of which five or six have to be against: C(6, k) B(k + 1, 10 - k) / B(1, 4)
    assert change_probability(3, 0, 6) == pytest.approx(5 / 210)
    assert change_probability(5, 0, 4) == 0


def test_sequential_stops_sooner_and_by_its_error():
    assert [StoppingRule(9, "sequential", error).to_ask(0, 0, 0) for error in (0.3, 0.1, 0.05, 0.01, 1e-9)] == [
        1,
        2,
        3,
        4,
        5,
    ]
    rule = StoppingRule(9, "sequential", 0.05)
    assert rule.to_ask(3, 0, 3) == 0
    assert rule.to_ask(2, 0, 3) == 1, "an invalid vote is no evidence"
    assert rule.to_ask(2, 2, 4) > 0, "an even split is never settled"
    assert rule.to_ask(4, 4, 9) == 0


def fill(rule, orders=2, **votes):
    ledger = VoteLedger(rule, orders)
    for order, said in enumerate(votes.values()):
        for vote, side in enumerate(said):
            if side != "_":
                ledger.add(3, order * rule.votes + vote, None if side == "?" else side)
    return ledger


def test_wanted_votes_are_those_of_the_wave_that_are_not_there():
    rule = StoppingRule(5, "early")
    assert fill(rule).wanted(3) == [0, 1, 2, 5, 6, 7]
    assert fill(rule, ab="A_A", ba="").wanted(3) == [1, 5, 6, 7]
    assert fill(rule, ab="AAA", ba="ABA").wanted(3) == [8]
    assert fill(rule, ab="AAA", ba="ABAA").wanted(3) == []
    assert fill(rule, ab="A?A", ba="BBB").wanted(3) == [3]
    assert fill(rule, ab="A?AA", ba="BBB").wanted(3) == []


def test_other_pairs_do_not_count():
    ledger = fill(StoppingRule(3, "early"), ab="AA", ba="AA")
    assert ledger.wanted(3) == []
    assert ledger.wanted(2) == ledger.wanted(400) == [0, 1, 3, 4]
    assert ledger.has(3, 0) and not ledger.has(3, 2) and not ledger.has(2, 0)


def test_a_vote_that_nobody_needed_is_surplus():
    rule = StoppingRule(5, "early")
    assert fill(rule, ab="AAA", ba="BB").surplus(3) is None
    assert fill(rule, ab="AAAA", ba="BB").surplus(3) == 3
    assert fill(rule, ab="AAA", ba="BBB_A").surplus(3) == 9
    assert fill(rule, ab="A_A", ba="").surplus(3) is None, "the missing one may be against"
    assert fill(StoppingRule(5), ab="AAAAA", ba="BB").surplus(3) is None
