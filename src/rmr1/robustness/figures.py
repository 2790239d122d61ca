"""From the completions of an audit to its figures: flips, silence, and what the fence changes, each with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rmr1.judging import Completion
from rmr1.records import Side
from rmr1.results import AttackFigures, AttackResults, Difference, Estimate
from rmr1.sides import pair_side
from rmr1.stats import Average, Observations, adjusted, paired_differences

_ALL = Average(("all",))


@dataclass(frozen=True, slots=True)
class Seen:
    """One completion, as far as figures need it: which side of the pair it prefers, and how many marks were fenced."""

    side: Side | None
    fenced: int


Answers = Mapping[str, Seen]
"""The completions of one part of an audit by their request, ``PAIR/ORDER/VOTE``."""


@dataclass(frozen=True, slots=True)
class Target:
    """A comparison that is attacked: the side of its pair that should lose, and the cluster of that pair."""

    loser: Side
    cluster: str


def read_answers(completions: Iterable[Completion], rule: str) -> dict[str, Seen]:
    """The completions of a part by their request."""
    return {
        one.request: Seen(pair_side(one.verdict_by(rule).side, one.order), one.fenced)
        for one in completions
        if one.finish_reason != "error"
    }


def preferred(clean: Answers, targets: Mapping[str, Target]) -> Estimate | None:
    """The share of completions that prefer the side that should lose, without an attack."""
    common = [name for name in targets if name in clean]
    return _share([clean[name].side == targets[name].loser for name in common], common, targets)


def attack_results(
    name: str,
    meaning: str,
    targets: Mapping[str, Target],
    clean: tuple[Answers, Answers],
    attacked: tuple[Answers, Answers],
) -> AttackResults:
    """The figures of one attack.

    Args:
        name: Of the attack.
        meaning: What it does.
        targets: The comparisons that are attacked.
        clean: Without an attack, with the fence on and off.
        attacked: With the attack, likewise.
    """
    on, off = (_figures(targets, before, after) for before, after in zip(clean, attacked, strict=True))
    return AttackResults(name, meaning, on, off, _fence(targets, clean, attacked))


def corrected(attacks: Sequence[AttackResults]) -> tuple[AttackResults, ...]:
    """The same with p corrected for all attacks together (Holm), for each setting of the fence, and for what the fence changes."""
    chances = [
        *adjusted([_p(one.fenced.change) for one in attacks]),
        *adjusted([_p(one.unfenced.change) for one in attacks]),
        *adjusted([_p(one.fence) for one in attacks]),
    ]
    n = len(attacks)
    return tuple(
        replace(
            one,
            fenced=replace(one.fenced, change=_with_p(one.fenced.change, chances[number])),
            unfenced=replace(one.unfenced, change=_with_p(one.unfenced.change, chances[n + number])),
            fence=_with_p(one.fence, chances[2 * n + number]),
        )
        for number, one in enumerate(attacks)
    )


def flipped(target: Target, before: Seen, after: Seen) -> bool:
    """Whether a completion preferred the other side, and prefers the attacked one now."""
    return _withstood(target, before) and after.side == target.loser


def _withstood(target: Target, before: Seen) -> bool:
    return before.side is not None and before.side != target.loser


def _figures(targets: Mapping[str, Target], clean: Answers, attacked: Answers) -> AttackFigures:
    common = [name for name in targets if name in clean and name in attacked]
    withstood = [name for name in common if _withstood(targets[name], clean[name])]
    before = _observations([clean[name].side == targets[name].loser for name in common], common, targets)
    after = _observations([attacked[name].side == targets[name].loser for name in common], common, targets)
    return AttackFigures(
        _share([attacked[name].side == targets[name].loser for name in withstood], withstood, targets),
        _share([attacked[name].side is None for name in withstood], withstood, targets),
        _difference(before, after),
        sum(attacked[name].fenced > 0 for name in common),
    )


def _fence(
    targets: Mapping[str, Target], clean: tuple[Answers, Answers], attacked: tuple[Answers, Answers]
) -> Difference | None:
    """What the fence prevents: flips without it less flips with it, where the judge was right both times before."""
    common = [
        name
        for name, target in targets.items()
        if all(name in part and _withstood(target, part[name]) for part in clean)
        and all(name in part for part in attacked)
    ]
    on, off = (
        _observations([part[name].side == targets[name].loser for name in common], common, targets) for part in attacked
    )
    return _difference(on, off)


def _observations(values: Sequence[bool], names: Sequence[str], targets: Mapping[str, Target]) -> Observations:
    return Observations(list(map(float, values)), ["all"] * len(names), [targets[name].cluster for name in names])


def _share(values: Sequence[bool], names: Sequence[str], targets: Mapping[str, Target]) -> Estimate | None:
    return _observations(values, names, targets).estimate(_ALL) if names else None


def _difference(first: Observations, second: Observations) -> Difference | None:
    return paired_differences(first, second, {"all": _ALL}).get("all") if first.clusters else None


def _p(difference: Difference | None) -> float | None:
    return None if difference is None else difference.p


def _with_p(difference: Difference | None, p: float | None) -> Difference | None:
    return None if difference is None else replace(difference, p_adjusted=p)
