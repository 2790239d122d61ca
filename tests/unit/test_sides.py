"""Orders, and what the judge sees in them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from rmr1.records import Comparison, Judgment, Message, Order, PreferencePair, Usage, Verdict, Vote
from rmr1.sides import OTHER_SIDE, decisive, pair_side, random_order, show, shown_orders, turned

PAIR = PreferencePair("p", (Message("user", "Hi"),), (Message("assistant", "a"),), (Message("assistant", "b"),), "A")


def test_ab_shows_the_pair_as_it_is() -> None:
    assert show(PAIR, "ab") == Comparison("p", "ab", 0, PAIR.prompt, PAIR.response_a, PAIR.response_b, "A")


def test_ba_swaps_responses_and_gold() -> None:
    assert show(PAIR, "ba", 2) == Comparison("p", "ba", 2, PAIR.prompt, PAIR.response_b, PAIR.response_a, "B")


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_no_label_no_gold(order: str) -> None:
    pair = PreferencePair("p", PAIR.prompt, PAIR.response_a, PAIR.response_b)
    assert show(pair, "ab" if order == "ab" else "ba").gold is None


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_pair_side_is_its_own_inverse(order: Order) -> None:
    for side in OTHER_SIDE:
        assert pair_side(pair_side(side, order), order) == side
    assert pair_side(None, order) is None
    assert pair_side("tie", order) == "tie"
    assert pair_side("A", "ba") == OTHER_SIDE["A"] == "B"


def test_a_tie_is_shown_as_a_tie_and_names_no_side() -> None:
    tied = replace(PAIR, label="tie")
    assert [show(tied, order).gold for order in shown_orders("both", "p", 0)] == ["tie", "tie"]
    assert [decisive(label) for label in ("A", "B", "tie", None)] == ["A", "B", None, None]


def test_orders_of_each_policy() -> None:
    assert [shown_orders(policy, "p", 0) for policy in ("both", "given", "swapped")] == [("ab", "ba"), ("ab",), ("ba",)]
    assert shown_orders("random", "p", 0) == (random_order("p", 0),)


def test_orders_are_balanced_and_depend_on_id_and_seed_alone() -> None:
    ids = [f"row-{number}" for number in range(4000)]
    first = [random_order(name, 1) for name in ids]
    assert first == [random_order(name, 1) for name in ids]
    assert 1850 < first.count("ab") < 2150
    assert 1850 < sum(a == b for a, b in zip(first, (random_order(name, 2) for name in ids), strict=True)) < 2150


def test_orders_do_not_change_between_versions() -> None:
    assert "".join(random_order(f"row-{number}", 0)[0] for number in range(24)) == "abbbabbbabaababaaaabbaab"


def test_importing_data_imports_no_optional_library() -> None:
    check = "import sys, rmr1.data; print([m for m in ('pyarrow', 'datasets', 'huggingface_hub') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_judgment_turned_is_that_of_the_pair_written_the_other_way_round() -> None:
    vote = Vote("ab", 0, "A", Verdict("A", None), "A it is", p_a=0.75)
    swapped = Vote("ba", 0, "A", Verdict("B", None), "B it is", p_a=0.5)
    judgment = Judgment("p", "A", "A", 1.0, True, True, (vote, swapped), Usage(), label="A")
    found = turned(judgment)
    assert (found.outcome, found.winner, found.label, found.correct) == ("B", "B", "B", True)
    assert [(one.order, one.side, one.p_a, one.text) for one in found.votes] == [
        ("ba", "B", 0.25, "A it is"),
        ("ab", "B", 0.5, "B it is"),
    ]
    assert turned(found) == judgment
    tie = replace(judgment, outcome="inconsistent", winner="tie", label="tie")
    assert (turned(tie).outcome, turned(tie).winner, turned(tie).label) == ("inconsistent", "tie", "tie")
