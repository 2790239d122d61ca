"""What a reader can filter the samples of a page by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rmr1.report.judge_report import Status
from rmr1.report.training_report import StagedSample

_SOME_INVALID = "some-invalid"
_OUTCOMES = ("right", "wrong", "tie", "inconsistent", "invalid", "unlabelled")
_CHANGES = {"gained": "became right", "lost": "no longer right"}


class Filtered(Protocol):
    """What filters know of a sample."""

    @property
    def status(self) -> Status:
        """How its outcome compares with the label."""

    @property
    def position_consistent(self) -> bool | None:
        """Whether its orders agree."""

    @property
    def category(self) -> str:
        """Its subset or task."""

    @property
    def has_invalid(self) -> bool:
        """Whether a completion of it has no valid verdict."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter: its value in the page, its name for people, and how many samples it lets through."""

    value: str
    label: str
    count: int


def outcome_choices(samples: Sequence[Filtered]) -> tuple[Choice, ...]:
    """The filters by outcome; those of the rarer outcomes only where they tell samples apart."""
    counts = Counter(name for sample in samples for name in matching(sample))
    hidden = {"unlabelled"} - counts.keys()
    if counts[_SOME_INVALID] <= counts["invalid"]:
        hidden.add(_SOME_INVALID)
    names = {name: name for name in _OUTCOMES} | {_SOME_INVALID: "one order invalid"}
    return tuple(Choice(value, label, counts[value]) for value, label in names.items() if value not in hidden)


def change_choices(samples: Sequence[StagedSample]) -> tuple[Choice, ...]:
    """The filters by what training changed; none where no sample was judged twice."""
    if all(len(sample.stages) < 2 for sample in samples):
        return ()
    changes = [change(sample) for sample in samples]
    return tuple(Choice(value, label, changes.count(value)) for value, label in _CHANGES.items())


def categories(samples: Iterable[Filtered]) -> list[str]:
    """The categories of the samples, each once."""
    return sorted({sample.category for sample in samples})


def change(sample: StagedSample) -> str:
    """How the judge changed from the first stage to the last: "gained" (it became right), "lost", or "" for neither."""
    was_right, is_right = (outcome.status == "right" for outcome in (sample.first, sample.last))
    if was_right == is_right:
        return ""
    return "gained" if is_right else "lost"


def matching(sample: Filtered) -> list[str]:
    """The filters by outcome that let a sample through."""
    tests = {
        sample.status: True,
        "inconsistent": sample.position_consistent is False,
        _SOME_INVALID: sample.has_invalid,
    }
    return [name for name, passes in tests.items() if passes]
