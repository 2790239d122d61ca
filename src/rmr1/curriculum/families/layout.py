"""A list in a given layout. Levels: 1 bullets or numbers, 2 commas or slashes, 3 a JSON array or Python tuple."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from rmr1.curriculum.material import THINGS
from rmr1.curriculum.task import Finding, Twin
from rmr1.records import TaskType

_PROMPT = re.compile(r"^List three ([a-z]+) (.+)\.$")
_LAYOUTS = {
    "with bullets": re.compile(r"(- \w+\n)+- \w+"),
    "with numbers": re.compile(r"(\d\. \w+\n)+\d\. \w+"),
    "with commas": re.compile(r"(\w+, )+\w+"),
    "with slashes": re.compile(r"(\w+ / )+\w+"),
    "as a JSON array": re.compile(r'\["\w+"(, "\w+")*\]'),
    "as a Python tuple": re.compile(r'\("\w+"(, "\w+")*\)'),
}
_LEVELS = {
    1: ("with bullets", "with numbers"),
    2: ("with commas", "with slashes"),
    3: ("as a JSON array", "as a Python tuple"),
}


@dataclass(frozen=True, slots=True)
class _Layout:
    layout: str

    @property
    def basis(self) -> str:
        return self.layout

    @property
    def wanted(self) -> str:
        return self.layout

    def examine(self, response: str) -> Finding:
        found = next((name for name, pattern in _LAYOUTS.items() if pattern.fullmatch(response)), "in another layout")
        return Finding(found == self.layout, response.partition("\n")[0], found)


class Layout:
    """Layouts of a list; the wrong response has the same items in another one."""

    name = "layout"
    task_type: TaskType = "Chat"
    levels = 3

    def twin(self, level: int, chance: random.Random) -> Twin:
        """The same items in two layouts."""
        things = chance.choice(sorted(THINGS))
        items = chance.sample(THINGS[things], 3)
        layouts = _LEVELS[level]
        prompts = (f"List three {things} {layout}." for layout in layouts)
        return Twin(*prompts, *(_lay_out(items, layout) for layout in layouts))

    def read(self, prompt: str) -> _Layout | None:
        """The required layout."""
        match = _PROMPT.match(prompt)
        return _Layout(match.group(2)) if match and match.group(2) in _LAYOUTS else None


def _lay_out(items: list[str], layout: str) -> str:
    quoted = ", ".join(f'"{item}"' for item in items)
    return {
        "with bullets": "\n".join(f"- {item}" for item in items),
        "with numbers": "\n".join(f"{number}. {item}" for number, item in enumerate(items, 1)),
        "with commas": ", ".join(items),
        "with slashes": " / ".join(items),
        "as a JSON array": f"[{quoted}]",
        "as a Python tuple": f"({quoted})",
    }[layout]
