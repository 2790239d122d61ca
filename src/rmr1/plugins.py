"""Plug-ins: things found by name, ours and those that installed packages offer as entry points.

A package adds an engine, a benchmark or a curriculum family without a change here: its ``pyproject.toml`` names an object in
a group,

    [project.entry-points."rmr1.engines"]
    longest = "rmr1_longest:load"

and from then on the name works wherever a built-in one does. Nothing is imported before it is used.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rmr1.errors import ConfigError, RMR1Error


class PluginGroup:
    """What one group of entry points offers.

    Args:
        group: The entry points' group, such as "rmr1.engines".
        kind: What messages call one of its members, such as "engine".
        builtin: Our own members: their names with ``MODULE:ATTRIBUTE``. They stand in code, so that a source tree that was never
            installed has them too.
    """

    def __init__(self, group: str, kind: str, builtin: Mapping[str, str]) -> None:
        self.group = group
        self.kind = kind
        self.builtin = tuple(builtin)
        self._builtin = {name: EntryPoint(name, value, group) for name, value in builtin.items()}

    def names(self) -> tuple[str, ...]:
        """All names: ours in their order, then those of installed packages by the alphabet."""
        return tuple(dict.fromkeys((*self.builtin, *sorted(entry_points(group=self.group).names))))

    def __contains__(self, name: str) -> bool:
        return name in self._builtin or name in entry_points(group=self.group).names

    def load(self, name: str) -> Any:
        """Import the object with this name.

        Raises:
            ConfigError: Nothing or more than one thing has this name, or its package cannot be imported.
            MissingExtraError: It needs an optional dependency.
        """
        found = list(entry_points(group=self.group, name=name))
        if name in self._builtin:
            found.insert(0, self._builtin[name])
        if not found:
            raise ConfigError(self._unknown(name))
        if len(found) > 1:
            owners = ", ".join(_owner(point) for point in found)
            raise ConfigError(f'several packages offer the {self.kind} "{name}": {owners}; uninstall all but one')
        point = found[0]
        try:
            return point.load()
        except RMR1Error:
            raise
        except Exception as error:  # whatever the import of a foreign package raises
            raise ConfigError(
                f'the {self.kind} "{name}" of {_owner(point)} cannot be loaded from {point.value}: '
                f"{type(error).__name__}: {error}"
            ) from error

    def _unknown(self, name: str) -> str:
        names = self.names()
        close = difflib.get_close_matches(name, names, 1)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        return f'no {self.kind} "{name}"; there is {", ".join(names)}{hint}'


def _owner(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "rmr1"
