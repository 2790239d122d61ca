"""What the curriculum gives: pairs drawn by seed, and for each comparison the completion of a programmatic teacher."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from rmr1.curriculum.families import FAMILIES, load_family, read_demand
from rmr1.curriculum.task import Family, Finding, Twin
from rmr1.errors import ConfigError, DataError
from rmr1.prompts import fence
from rmr1.records import Comparison, Message, PreferencePair, Side
from rmr1.verdict import compose_chat, compose_reasoning, compose_reference

_TRIES = 50
"""How often a twin is drawn anew before a prompt is taken twice: small families run out of tasks."""
_JUSTIFICATION = "asked"
"""Every Chat task of the curriculum states its one criterion."""


def generate_pairs(
    families: Sequence[str] | None, levels: Sequence[int] | None, count: int, seed: int
) -> Iterator[PreferencePair]:
    """Draw pairs, family by family and level by level in turn; twins follow each other.

    No prompt comes twice in one call, as far as a family has enough of them. A larger count begins with the pairs of a smaller one.

    Args:
        families: Names of families; None for all of ours, so that the same seed gives the same pairs whatever else is installed.
        levels: Levels of difficulty; a level that a family lacks is left out; None for all.
        count: Number of pairs.
        seed: Decides everything; another seed gives other pairs.

    Raises:
        ConfigError: A family is unknown, or none of them has such a level.
        DataError: A family does not confirm a label of its own, see ``Family.read``.
        PluginError: A family of an installed package fails.
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
                    _confirm(pair, family)
                    yield pair
            made += 2
            if made >= count:
                return
        round_number += 1


def _kinds(families: Sequence[str] | None, levels: Sequence[int] | None) -> list[tuple[Family, int]]:
    kinds = [
        (family, level)
        for family in map(load_family, families or FAMILIES.builtin)
        for level in range(1, family.levels + 1)
        if levels is None or level in levels
    ]
    if not kinds:
        wanted = ", ".join(map(str, levels or ())) or "none"
        raise ConfigError(f"levels: none of the families has one of those that are wanted ({wanted})")
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


def _confirm(pair: PreferencePair, family: Family) -> None:
    """Let the family judge its own pair: a label that its program does not confirm would be trained on all the same."""
    demand = family.read(_text(pair.prompt))
    if demand is None:
        raise DataError(f'{pair.id}: the curriculum family "{family.name}" does not read its own prompt; mend its read')
    meets = [demand.examine(_text(response)).meets for response in (pair.response_a, pair.response_b)]
    if meets != [pair.label == "A", pair.label == "B"]:
        found = "both responses" if all(meets) else "neither response" if not any(meets) else "the other response"
        raise DataError(
            f'{pair.id}: the curriculum family "{family.name}" finds that {found} meets the demand, where its twin makes '
            f"{pair.label} the right one; mend its twin or its read"
        )


def write_trace(comparison: Comparison) -> str:
    """Judge a comparison of the curriculum by program, as a teacher that is always right; sides are those shown.

    The trace follows the Chain-of-Rubrics (paper section 3.1) with as few tokens as its grammar allows: a small model on a CPU
    learns from some hundred thousand tokens in all.

    Raises:
        DataError: The prompt is of no family, or not exactly one response meets its demand.
    """
    found = read_demand(_text(comparison.prompt))
    if found is None:
        raise DataError("no family of the curriculum reads this prompt, so the program cannot judge it")
    family, demand = found
    a, b = demand.examine(_text(comparison.shown_a)), demand.examine(_text(comparison.shown_b))
    if a.meets == b.meets:
        raise DataError(f"{'both responses meet' if a.meets else 'no response meets'} the demand")
    evaluation = f"{_cite('A', a, demand.wanted)} {_cite('B', b, demand.wanted)}"
    better: Side = "A" if a.meets else "B"
    if family.task_type == "Reasoning":
        return compose_reasoning(demand.basis, evaluation, better)
    return compose_chat(demand.basis, _JUSTIFICATION, evaluation, better)


def _cite(side: Side, finding: Finding, wanted: str) -> str:
    conclusion = f"yes, so {side}" if finding.meets else "no"
    # Responses may come from anywhere: a tag in one must not become a tag of the trace.
    evidence, found = fence(finding.evidence)[0], fence(finding.found)[0]
    return f"{compose_reference(side, evidence, quoted=finding.quoted)} {found} is {wanted}, {conclusion}."


def _text(messages: tuple[Message, ...]) -> str:
    return messages[-1].content
