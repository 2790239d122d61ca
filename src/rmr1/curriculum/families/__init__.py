"""Families by name: ours, and those of installed packages, each imported when it is first needed."""

from __future__ import annotations

from functools import cache

from rmr1.curriculum.task import Demand, Family
from rmr1.errors import ConfigError
from rmr1.plugins import PluginGroup

FAMILIES = PluginGroup(
    "rmr1.curriculum",
    "curriculum family",
    {
        "sums": "rmr1.curriculum.families.sums:Sums",
        "sorting": "rmr1.curriculum.families.sorting:Sorting",
        "spelling": "rmr1.curriculum.families.spelling:Spelling",
        "contains": "rmr1.curriculum.families.contains:Contains",
        "ending": "rmr1.curriculum.families.ending:Ending",
        "case": "rmr1.curriculum.families.case:Case",
        "items": "rmr1.curriculum.families.items:Items",
        "layout": "rmr1.curriculum.families.layout:Layout",
    },
)
"""All families. An entry point of the group ``rmr1.curriculum`` names a class without arguments, or an object."""


@cache
def load_family(name: str) -> Family:
    """The family with this name.

    Raises:
        ConfigError: There is no such family, or its package does not offer one.
        MissingExtraError: It needs an optional dependency.
    """
    found = FAMILIES.load(name)
    family: Family = found() if isinstance(found, type) else found
    missing = [member for member in ("name", "task_type", "levels", "twin", "read") if not hasattr(family, member)]
    if missing:
        raise ConfigError(f'the curriculum family "{name}" lacks {", ".join(missing)}; see rmr1.curriculum.Family')
    if family.name != name:
        raise ConfigError(
            f'the curriculum family "{name}" calls itself "{family.name}"; its entry point must have that name'
        )
    return family


def read_demand(prompt: str) -> tuple[Family, Demand] | None:
    """Which family a prompt belongs to and what it demands; None for a prompt of no family."""
    for family in _all_families():
        demand = family.read(prompt)
        if demand is not None:
            return family, demand
    return None


@cache
def _all_families() -> tuple[Family, ...]:
    return tuple(load_family(name) for name in FAMILIES.names())
