"""Sides of the pair and shown sides: in which order a judge sees two responses, and how its verdict maps back.

A *pair's* sides are those of its data; a *shown* side is where the judge saw a response. Order "ab" shows the pair as it is,
order "ba" shows its B as A. No other module turns one frame into the other.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal, TypeAlias, overload

from rmr1.arguments import expect_pair, expect_word
from rmr1.records import Comparison, Judgment, Label, Order, PairOutcome, PreferencePair, Side

ShownOrders: TypeAlias = Literal["both", "given", "swapped", "random", "each"]
OTHER_SIDE: dict[Side, Side] = {"A": "B", "B": "A"}
"""The other side of two."""


@overload
def pair_side(shown: Side, order: Order) -> Side: ...
@overload
def pair_side(shown: None, order: Order) -> None: ...
@overload
def pair_side(shown: Side | None, order: Order) -> Side | None: ...
@overload
def pair_side(shown: Label | None, order: Order) -> Label | None: ...
def pair_side(shown: Label | None, order: Order) -> Label | None:
    """Turn a shown side into the pair's side.

    The function is its own inverse, so it also turns a pair's side into the shown side. A tie stays a tie, and no side no side.

    Args:
        shown: The side as the judge saw it.
        order: The order in which the pair was shown.
    """
    return shown if shown is None or shown == "tie" or order == "ab" else OTHER_SIDE[shown]


def decisive(label: Label | None) -> Side | None:
    """The better side that a label names; None for a tie and for no label. Training needs a side."""
    return None if label == "tie" else label


def pair_probability(p_shown_a: float | None, order: Order) -> float | None:
    """Turn the probability of the shown A against the shown B into that of the pair's A; None stays None."""
    return p_shown_a if p_shown_a is None or order == "ab" else 1.0 - p_shown_a


def turned(judgment: Judgment) -> Judgment:
    """A judgment, in the sides of the same pair written the other way round; what the judge saw and wrote stays."""
    votes = tuple(
        replace(
            vote,
            order="ba" if vote.order == "ab" else "ab",
            side=pair_side(vote.verdict.side, "ba" if vote.order == "ab" else "ab"),
            p_a=None if vote.p_a is None else 1.0 - vote.p_a,
        )
        for vote in judgment.votes
    )
    outcome: PairOutcome = judgment.outcome
    if outcome == "A" or outcome == "B":
        outcome = OTHER_SIDE[outcome]
    winner, label = pair_side(judgment.winner, "ba"), pair_side(judgment.label, "ba")
    return replace(
        judgment,
        outcome=outcome,
        winner=winner,
        label=label,
        votes=votes,
        scores=None if judgment.scores is None else (judgment.scores[1], judgment.scores[0]),
        p_a=None if judgment.p_a is None else 1.0 - judgment.p_a,
    )


def show(pair: PreferencePair, order: Order, vote: int = 0) -> Comparison:
    """Show a pair in an order.

    Args:
        pair: The pair.
        order: "ab" shows the pair's A as A; "ba" shows the pair's B as A.
        vote: Number of the completion among those of the same order.

    Returns:
        The comparison; ``gold`` is the pair's label in shown sides.
    """
    expect_pair(pair, "pair")
    expect_word("order", order, ("ab", "ba"))
    gold = pair_side(pair.label, order)
    first, second = (pair.response_a, pair.response_b) if order == "ab" else (pair.response_b, pair.response_a)
    return Comparison(pair.id, order, vote, pair.prompt, first, second, gold, pair.reference, pair.rubric)


def shown_orders(policy: ShownOrders, pair_id: str, seed: int) -> tuple[Order, ...]:
    """The orders in which a pair is shown: both, as given, swapped, or one drawn at random, see ``random_order``.

    With "each", a judge sees one response at a time: first the pair's A, which is shown first in "ab", then its B.
    """
    if policy in ("both", "each"):
        return ("ab", "ba")
    if policy == "random":
        return (random_order(pair_id, seed),)
    return ("ab",) if policy == "given" else ("ba",)


def random_order(pair_id: str, seed: int) -> Order:
    """Draw an order from a hash of the pair's id and the seed.

    The released code alternates by a global counter (training) or draws unseeded (evaluation), so that an order
    depends on what was read before. Here it depends on the pair alone.
    """
    digest = hashlib.blake2b(f"{seed}\n{pair_id}".encode(errors="surrogatepass"), digest_size=1).digest()
    return "ab" if digest[0] & 1 else "ba"
