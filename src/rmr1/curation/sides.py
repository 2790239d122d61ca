"""On which side the better response stands.

The released code alternates sides by a global counter; here a pair's side is a draw from a hash of its id and the seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rmr1.curation.recipe import Orders
from rmr1.data import random_order, show
from rmr1.records import Order, PreferencePair


def rows_of(pair: PreferencePair, orders: Orders, seed: int) -> Iterator[PreferencePair]:
    """The rows that a pair becomes: one, or for ``both`` two that follow each other and share the group."""
    if orders == "given":
        yield pair
    elif orders == "random":
        yield _shown(pair, random_order(pair.id, seed))
    else:
        both: tuple[Order, Order] = ("ab", "ba")
        for order in both:
            yield replace(_shown(pair, order), id=f"{pair.id}/{order}")


def _shown(pair: PreferencePair, order: Order) -> PreferencePair:
    seen = show(pair, order)
    return replace(pair, response_a=seen.shown_a, response_b=seen.shown_b, label=seen.gold)
