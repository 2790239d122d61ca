"""Plug-ins: things found by name, ours and those that installed packages offer as entry points.

A package adds an engine, a benchmark or a curriculum family without a change here: its ``pyproject.toml`` names an object in
a group,

    [project.entry-points."rmr1.engines"]
    longest = "rmr1_longest:load"

and from then on the name works wherever a built-in one does. Nothing is imported before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ParamSpec, TypeVar

from rmr1.errors import ConfigError, PluginError, RMR1Error, did_you_mean

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


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

    def called(self, name: str) -> str | None:
        """How messages call a member of an installed package; None for ours."""
        if name in self._builtin:
            return None
        points = entry_points(group=self.group, name=name)
        return f'the {self.kind} "{name}"' + "".join(f" of {_owner(point)}" for point in list(points)[:1])

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
        except (Exception, SystemExit) as error:  # whatever the import of a foreign package raises
            raise ConfigError(
                f'the {self.kind} "{name}" of {_owner(point)} cannot be loaded from {point.value}: '
                f"{type(error).__name__}: {error}; repair or uninstall that package"
            ) from error

    def _unknown(self, name: str) -> str:
        names = self.names()
        return f'no {self.kind} "{name}"; there is {", ".join(names)}{did_you_mean(name, names)}'


def _owner(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "rmr1"


@contextmanager
def plugin_call(called: str, step: str) -> Iterator[None]:
    """Turn whatever a plug-in raises into one line that names it. Errors of this package pass as they are.

    Args:
        called: How the line calls the plug-in, see ``PluginGroup.called``.
        step: What it was doing, such as the method's name.

    Raises:
        PluginError: It raised something; the cause is kept.
    """
    try:
        yield
    except RMR1Error:
        raise
    except Exception as error:
        raise PluginError(
            f"{called} failed in {step}: {type(error).__name__}: {error}; repair or uninstall its package"
        ) from error


def plugin_function(
    function: Callable[Parameters, Returned], called: str, step: str, check: Callable[[Any], bool], wanted: str
) -> Callable[Parameters, Returned]:
    """A function of a plug-in that raises ``PluginError`` where the plug-in fails, or returns what it must not.

    Args:
        function: The function.
        called: How messages call the plug-in.
        step: How they call the function.
        check: Whether what it returned will do.
        wanted: What it is to return, in words.
    """

    @wraps(function)
    def guarded(*arguments: Parameters.args, **named: Parameters.kwargs) -> Returned:
        with plugin_call(called, step):
            returned = function(*arguments, **named)
        if not check(returned):
            raise PluginError(
                f"{called} returned {type(returned).__name__} from {step} instead of {wanted}; repair or uninstall its package"
            )
        return returned

    return guarded
