"""All families by name."""

from __future__ import annotations

from rmr1.curriculum.families.case import Case
from rmr1.curriculum.families.contains import Contains
from rmr1.curriculum.families.ending import Ending
from rmr1.curriculum.families.items import Items
from rmr1.curriculum.families.layout import Layout
from rmr1.curriculum.families.sorting import Sorting
from rmr1.curriculum.families.spelling import Spelling
from rmr1.curriculum.families.sums import Sums
from rmr1.curriculum.task import Demand, Family

FAMILIES: dict[str, Family] = {
    family.name: family for family in (Sums(), Sorting(), Spelling(), Contains(), Ending(), Case(), Items(), Layout())
}


def read_demand(prompt: str) -> tuple[Family, Demand] | None:
    """Which family a prompt belongs to and what it demands; None for a prompt of no family."""
    for family in FAMILIES.values():
        demand = family.read(prompt)
        if demand is not None:
            return family, demand
    return None
