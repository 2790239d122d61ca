"""Families by name: ours, and those of installed packages, each imported when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import get_args

from rmr1.curriculum.task import Demand, Family, Finding, Twin
from rmr1.errors import ConfigError, RMR1Error
from rmr1.plugins import PluginGroup, plugin_call, plugin_function
from rmr1.records import TaskType

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
        PluginError: Its package fails while it makes one.
        MissingExtraError: It needs an optional dependency.
    """
    found = FAMILIES.load(name)
    called = FAMILIES.called(name)
    if called is None:
        ours: Family = found()
        return ours
    with plugin_call(called, "its call without arguments"):
        family: Family = found() if isinstance(found, type) else found
    missing = [member for member in ("name", "task_type", "levels", "twin", "read") if not hasattr(family, member)]
    if missing:
        raise ConfigError(f"{called} lacks {', '.join(missing)}; see rmr1.curriculum.Family")
    if family.name != name:
        raise ConfigError(f'{called} calls itself "{family.name}"; its entry point must have that name')
    if not isinstance(family.levels, int) or family.levels < 1:
        raise ConfigError(f"{called} has {family.levels!r} levels; a family has 1 or more")
    if family.task_type not in get_args(TaskType):
        raise ConfigError(
            f"{called} has the task_type {family.task_type!r}; it is one of {', '.join(get_args(TaskType))}"
        )
    return PluginFamily(family, called)


class PluginFamily:
    """A family of an installed package: what it raises, or returns that no family may, is one line that names the package.

    Args:
        family: The family.
        called: How messages call it.
    """

    def __init__(self, family: Family, called: str) -> None:
        self.name = family.name
        self.task_type = family.task_type
        self.levels = family.levels
        self.twin = plugin_function(family.twin, called, "twin", _is_twin, "a Twin of four texts")
        self._read = plugin_function(family.read, called, "read", _is_demand, "None or a demand")
        self._called = called

    def read(self, prompt: str) -> Demand | None:
        """What a prompt of this family demands; None for a prompt of another kind."""
        demand = self._read(prompt)
        if demand is None:
            return None
        examine = plugin_function(demand.examine, self._called, "examine", _is_finding, "a Finding")
        return _PluginDemand(str(demand.basis), str(demand.wanted), examine)


@dataclass(frozen=True, slots=True)
class _PluginDemand:
    basis: str
    wanted: str
    examine: Callable[[str], Finding]


def _is_twin(found: object) -> bool:
    return isinstance(found, Twin) and all(isinstance(getattr(found, one.name), str) for one in fields(found))


def _is_demand(found: object) -> bool:
    return found is None or all(hasattr(found, member) for member in ("basis", "wanted", "examine"))


def _is_finding(found: object) -> bool:
    return isinstance(found, Finding)


def read_demand(prompt: str) -> tuple[Family, Demand] | None:
    """Which family a prompt belongs to and what it demands; None for a prompt of no family.

    Raises:
        RMR1Error: No family reads it, and one of an installed package cannot be loaded.
    """
    broken: RMR1Error | None = None
    for name in FAMILIES.names():
        try:
            family = load_family(name)
        except RMR1Error as error:  # the prompts of other families do not need it
            broken = broken or error
            continue
        demand = family.read(prompt)
        if demand is not None:
            return family, demand
    if broken is not None:
        raise broken
    return None
