"""In which order the judge sees the two responses of a pair."""

from __future__ import annotations

import hashlib
from typing import Literal

from rmr1.records import Comparison, Order, PreferencePair, Side

OTHER_SIDE: dict[Side, Side] = {"A": "B", "B": "A"}


def show(pair: PreferencePair, order: Order, vote: int = 0) -> Comparison:
    """Show a pair in an order.

    Args:
        pair: The pair.
        order: "ab" shows the pair's A as A; "ba" shows the pair's B as A.
        vote: Number of the judgment among those of the same order.

    Returns:
        The comparison; ``gold`` is the pair's label in shown sides.
    """
    if order == "ab":
        return Comparison(pair.id, order, vote, pair.prompt, pair.response_a, pair.response_b, pair.label)
    gold = None if pair.label is None else OTHER_SIDE[pair.label]
    return Comparison(pair.id, order, vote, pair.prompt, pair.response_b, pair.response_a, gold)


def shown_orders(policy: Literal["both", "given", "swapped", "random"], pair_id: str, seed: int) -> tuple[Order, ...]:
    """In which orders a pair is shown: both, as it is given, swapped, or one that is drawn, see ``random_order``."""
    if policy == "both":
        return ("ab", "ba")
    if policy == "random":
        return (random_order(pair_id, seed),)
    return ("ab",) if policy == "given" else ("ba",)


def random_order(pair_id: str, seed: int) -> Order:
    """Draw an order from a hash of the pair's id and the seed.

    The released code alternates by a global counter (training) or draws unseeded (evaluation), so that an order
    depends on what was read before; here it depends on the pair alone.
    """
    digest = hashlib.blake2b(f"{seed}\n{pair_id}".encode(errors="surrogatepass"), digest_size=1).digest()
    return "ab" if digest[0] & 1 else "ba"
