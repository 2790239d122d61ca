"""Tasks of reasoning-gym, one at a time."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

from rmr1.errors import MissingExtraError

_ITEMS = 1 << 30
"""An item is made when it is asked for, from the data set's seed and its own number: there may be any number of them."""


def draw(name: str, chance: random.Random, **settings: Any) -> Mapping[str, Any]:
    """Draw one item of a reasoning-gym data set: its question, answer and metadata.

    Raises:
        MissingExtraError: reasoning-gym is not installed.
    """
    item: Mapping[str, Any] = _data_set(name, **settings)[chance.randrange(_ITEMS)]
    return item


@cache
def _data_set(name: str, **settings: Any) -> Any:
    try:
        with warnings.catch_warnings():
            # A library that it imports has some; Python shows them when it compiles it.
            warnings.simplefilter("ignore", SyntaxWarning)
            from reasoning_gym.factory import create_dataset
    except ImportError as error:
        raise MissingExtraError("the curriculum's Reasoning families", "data") from error
    return create_dataset(name, size=_ITEMS, seed=0, **settings)
