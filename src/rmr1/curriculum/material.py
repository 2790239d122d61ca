"""What the families draw from: short, common words and sentences, and the tasks of reasoning-gym."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

from rmr1.errors import MissingExtraError

NOUNS = (
    "apple", "basket", "bell", "boat", "bottle", "bread", "bridge", "brush", "button", "candle", "castle", "chair", "clock",
    "cloud", "coat", "corner", "cup", "desk", "door", "feather", "fence", "flower", "fork", "garden", "glass", "hammer", "hat",
    "horse", "island", "jacket", "kettle", "key", "ladder", "lamp", "lemon", "letter", "map", "mirror", "moon", "mountain",
    "needle", "orange", "paper", "pencil", "pillow", "plate", "pocket", "ribbon", "ring", "river", "road", "rope", "shoe",
    "spoon", "stone", "table", "tent", "ticket", "tower", "train", "tree", "wheel", "window", "wire",
)  # fmt: skip
ADJECTIVES = (
    "blue", "bright", "busy", "calm", "clean", "cold", "dark", "deep", "dry", "early", "empty", "fresh", "full", "gentle",
    "green", "happy", "heavy", "high", "late", "light", "long", "loud", "narrow", "old", "open", "quick", "quiet", "red",
    "rough", "round", "sharp", "short", "slow", "small", "smooth", "soft", "strong", "sweet", "tall", "thin", "warm", "wet",
    "white", "wide", "wild", "young",
)  # fmt: skip
ENDINGS = (
    "again", "alone", "apart", "away", "below", "early", "forever", "here", "inside", "late", "nearby", "now", "often",
    "outside", "quietly", "slowly", "soon", "there", "today", "together", "tomorrow", "tonight", "upstairs", "well",
)  # fmt: skip
THINGS = {
    "animals": (
        "bear",
        "cat",
        "deer",
        "dog",
        "duck",
        "fox",
        "goat",
        "hen",
        "lion",
        "mouse",
        "owl",
        "pig",
        "seal",
        "wolf",
    ),
    "colours": (
        "black",
        "blue",
        "brown",
        "gold",
        "green",
        "grey",
        "pink",
        "purple",
        "red",
        "silver",
        "white",
        "yellow",
    ),
    "fruits": (
        "apple",
        "banana",
        "cherry",
        "fig",
        "grape",
        "kiwi",
        "lemon",
        "lime",
        "mango",
        "melon",
        "peach",
        "pear",
        "plum",
    ),
    "tools": (
        "axe",
        "brush",
        "drill",
        "file",
        "hammer",
        "ladder",
        "level",
        "pliers",
        "ruler",
        "saw",
        "shovel",
        "wrench",
    ),
    "drinks": ("beer", "cider", "cocoa", "coffee", "juice", "lemonade", "milk", "soda", "tea", "water", "wine"),
    "sports": (
        "archery",
        "boxing",
        "cricket",
        "diving",
        "fencing",
        "golf",
        "hockey",
        "judo",
        "rowing",
        "rugby",
        "tennis",
    ),
}
FRAMES = (
    "We saw a {} near the water.",
    "She left the {} at home.",
    "He painted a {} on the wall.",
    "They found an old {} in town.",
    "My friend bought a {} last week.",
    "I dreamed of a {} all night.",
    "The child drew a {} for us.",
    "Nobody noticed the {} before noon.",
    "You can rent a {} at the shop.",
    "There was a {} behind the house.",
)
CLAUSES = (
    "The train will leave",
    "We like to sit",
    "They want to play",
    "My brother sings",
    "She walks home",
    "The shop is open",
    "You may come in",
    "The birds fly",
    "He works",
    "I want to read",
    "Our guests arrive",
    "The music plays",
)
PLACES = ("the park", "the city", "the beach", "the forest", "the market", "the school", "the station", "the old house")
_ITEMS = 1 << 30
"""Size of a reasoning-gym data set. An item is made only when it is drawn, from the data set's seed and its own number."""


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
