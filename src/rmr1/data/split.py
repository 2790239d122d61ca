"""Which split a prompt belongs to: decided by the prompt alone, so that no prompt crosses.

The released code has no held-out pairs at all; here every share is drawn from a hash of the normalised prompt. Neither the order
of rows, nor other rows, nor a pair's responses can move it, and all pairs of one prompt stay together.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Mapping, Sequence

from rmr1.errors import ConfigError
from rmr1.records import Message, PreferencePair

_HASH_BITS = 64


def prompt_key(prompt: Sequence[Message]) -> str:
    """What two writings of one prompt have in common: its turns, without case, width of characters and white space.

    System messages count only where there is nothing else, so that one question under two system messages is one prompt.
    """
    turns = [message for message in prompt if message.role != "system"] or list(prompt)
    return "\n".join(f"{turn.role}: {' '.join(_folded(turn.content).split())}" for turn in turns)


def cluster_of(pair: PreferencePair) -> str:
    """What pairs that are not independent of each other have in common: the group that their data name, else the prompt itself.

    Where the data name no group, a pair's group is its own row, which says nothing about other rows.
    """
    if pair.group and pair.group != pair.id.rpartition("#")[0] and pair.group != pair.id:
        return pair.group
    return "\0".join(f"{turn.role}\0{turn.content}" for turn in pair.prompt)


def split_of(prompt: Sequence[Message], shares: Mapping[str, float], seed: int = 0) -> str:
    """Name the split of a prompt.

    Args:
        prompt: The conversation up to the responses.
        shares: The splits with their shares, in any unit; a split of share 0 gets nothing.
        seed: Another seed gives another, independent division.

    Raises:
        ConfigError: The shares are negative, not finite, or all 0.
    """
    check_shares(shares)
    digest = hashlib.blake2b(f"split\0{seed}\0{prompt_key(prompt)}".encode(errors="surrogatepass"), digest_size=8)
    point = int.from_bytes(digest.digest(), "big") / 2**_HASH_BITS * sum(shares.values())
    reached = 0.0
    for name, share in shares.items():
        reached += share
        if point < reached:
            return name
    return [name for name, share in shares.items() if share > 0][-1]  # the sum was rounded down


def check_shares(shares: Mapping[str, float]) -> None:
    """Refuse shares that divide nothing.

    Raises:
        ConfigError: As ``split_of``.
    """
    values = list(shares.values())
    if any(not math.isfinite(value) or value < 0 for value in values) or sum(values) <= 0:
        shown = ", ".join(f"{name} {share}" for name, share in shares.items()) or "none"
        raise ConfigError(f"splits: {shown}; give shares of 0 or more that are not all 0, such as train 0.9, dev 0.1")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
