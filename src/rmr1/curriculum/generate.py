"""Pairs of the curriculum, drawn by seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from rmr1.curriculum.catalogue import FAMILIES
from rmr1.curriculum.task import Family, Twin
from rmr1.errors import ConfigError
from rmr1.records import Message, PreferencePair, Side


def generate_pairs(
    families: Sequence[str] | None, levels: Sequence[int] | None, count: int, seed: int
) -> Iterator[PreferencePair]:
    """Draw pairs, family by family and level by level in turn; twins follow each other.

    No prompt comes twice in one call, as far as a family has enough of them; the larger call begins with the smaller one's pairs.

    Args:
        families: Names of families; None for all.
        levels: Levels of difficulty; a family without one of them leaves it out; None for all.
        count: Number of pairs.
        seed: Decides everything; another seed gives other pairs.

    Raises:
        ConfigError: A family is unknown, or none of them has such a level.
        MissingExtraError: A family needs reasoning-gym, which is not installed.
    """
    kinds = _kinds(families, levels)
    seen: set[tuple[str, str]] = set()
    made = 0
    round_number = 0
    while made < count:
        for family, level in kinds:
            twin = _fresh_twin(family, level, random.Random(f"{seed}/{family.name}/{level}/{round_number}"), seen)
            for number, pair in enumerate(_pairs(twin, family, level, seed, round_number)):
                if made + number < count:
                    yield pair
            made += 2
            if made >= count:
                return
        round_number += 1


def _kinds(families: Sequence[str] | None, levels: Sequence[int] | None) -> list[tuple[Family, int]]:
    unknown = [name for name in families or () if name not in FAMILIES]
    if unknown:
        raise ConfigError(f'no family "{unknown[0]}"; the families are {", ".join(FAMILIES)}')
    kinds = [
        (FAMILIES[name], level)
        for name in families or FAMILIES
        for level in range(1, FAMILIES[name].levels + 1)
        if levels is None or level in levels
    ]
    if not kinds:
        raise ConfigError(f"none of the families has one of the levels {', '.join(map(str, levels or ()))}")
    return kinds


def _fresh_twin(family: Family, level: int, chance: random.Random, seen: set[tuple[str, str]]) -> Twin:
    for _ in range(_TRIES):
        twin = family.twin(level, chance)
        shown = {(twin.first, twin.right_for_second), (twin.second, twin.right_for_first)}
        if not shown & seen:
            break
    seen |= shown
    return twin


def _pairs(twin: Twin, family: Family, level: int, seed: int, number: int) -> Iterator[PreferencePair]:
    sides = (
        (twin.first, twin.right_for_first, twin.right_for_second),
        (twin.second, twin.right_for_second, twin.right_for_first),
    )
    for which, (prompt, right, wrong) in enumerate(sides, 1):
        name = f"{family.name}-{level}-{seed}-{number}-{which}"
        label: Side = random.Random(f"side/{name}").choice(("A", "B"))
        shown = (right, wrong) if label == "A" else (wrong, right)
        yield PreferencePair(
            id=name,
            prompt=(Message("user", prompt),),
            response_a=(Message("assistant", shown[0]),),
            response_b=(Message("assistant", shown[1]),),
            label=label,
            group=prompt,
            category=family.name,
            extra={"level": level},
        )


_TRIES = 50
"""So often a twin is drawn anew before one is taken twice: small families run out of tasks."""
