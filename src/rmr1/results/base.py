"""What runs conclude: frozen values, one type for each verb, that go to ``results.json`` and come back.

``to_json`` gives what a results file holds, with its ``kind`` and ``schema``; ``from_json`` reads it back and refuses what is of
another kind or version. Reports, tables and pages are made of these types and of nothing else.

Shares and scores are parts of 1. ``n`` counts observations, ``clusters`` the prompts that they come from. Losses
and divergences are in nats, times in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, ClassVar, Self, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from rmr1.errors import ResultsError

SCHEMA = 2
"""Version of every results file. Files without a version are of 0.1.0 development versions, in other words and other shapes."""


FEWEST = 3
"""An interval from fewer prompts in a cell is given, and is said to be little worth."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its 95 % confidence interval, from ``n`` observations in ``clusters`` clusters.

    Args:
        value: The share.
        low: Lower end of the interval.
        high: Upper end.
        n: Observations.
        clusters: Clusters that they come from, such as prompts.
        fewest: Clusters in the cell of it that has the fewest; None where that is not known.
    """

    value: float
    low: float
    high: float
    n: int
    clusters: int
    fewest: int | None = None

    @property
    def caveat(self) -> str:
        """What qualifies the interval, or ""."""
        return caveat_of(self.fewest)


@dataclass(frozen=True, slots=True)
class Difference:
    """The second value less the first, with its 95 % interval, and how often chance alone would give as much.

    Args:
        value: The difference.
        low: Lower end of its interval; None where there is none.
        high: Upper end.
        p: Two-sided; None where it is not computed.
        p_adjusted: The same, corrected for all that were asked together (Holm 1979).
        first: The first value.
        second: The second one.
        fewest: Clusters in the cell of it that has the fewest; None where that is not known.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    first: float | None = None
    second: float | None = None
    fewest: int | None = None

    @property
    def caveat(self) -> str:
        """What qualifies the interval, or ""."""
        return caveat_of(self.fewest)


def caveat_of(fewest: int | None) -> str:
    """What qualifies an interval of which a cell has this many prompts, or ""."""
    if fewest is None or fewest >= FEWEST:
        return ""
    return f"from {fewest} prompt{'s' * (fewest != 1)} in a cell"


@dataclass(frozen=True, slots=True)
class InvalidVerdicts:
    """Completions without a verdict: their share among all, how many by reason, and how many completions there are in all."""

    share: float = 0.0
    by_reason: Mapping[str, int] = field(default_factory=dict)
    n: int = 0


@dataclass(frozen=True, slots=True)
class Results:
    """What a results file holds. Each subclass has a ``kind`` of its own."""

    kind: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """The content of a results file."""
        return {"kind": self.kind, "schema": SCHEMA, **plain(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str = "results") -> Self:
        """Read the content of a results file.

        Args:
            content: As ``to_json`` gives it.
            where: How an error calls it, such as its path.

        Raises:
            ResultsError: It is of another kind or of another version, or a value is not what it should be.
        """
        kind, schema = content.get("kind"), content.get("schema")
        if schema != SCHEMA:
            found = "without a schema version" if schema is None else f"with schema version {schema}"
            raise ResultsError(
                f"{where}: results {found}, made by another version of rmr1; this one reads version {SCHEMA}. "
                f"Run the command that made it again in a new --run"
            )
        if kind != cls.kind:
            raise ResultsError(f"{where}: results of rmr1 {kind}, expected those of rmr1 {cls.kind}")
        return read_plain(
            cls, {name: value for name, value in content.items() if name not in ("kind", "schema", "check")}, where
        )


Read = TypeVar("Read")


def plain(value: Any) -> Any:
    """A value as JSON has it: dataclasses and mappings as objects, tuples as lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def read_plain(kind: type[Read], content: object, where: str, hint: str = "the file is damaged") -> Read:
    """Read back what ``plain`` made of a dataclass.

    Args:
        kind: The dataclass.
        content: Its JSON.
        where: How an error calls it, such as its path.
        hint: What an error says at its end.

    Raises:
        ResultsError: A value is not what it should be.
    """
    try:
        read: Read = _adapter(cast(Any, kind)).validate_python(content)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise ResultsError(f"{where}: {place}: {problem['msg']}; {hint}") from error
    return read


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
