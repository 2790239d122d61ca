"""What an examination of a set-up concludes, and what an attack on a judge does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from rmr1.records import Usage
from rmr1.results.base import Difference, Estimate, Results

CheckStatus = Literal["ok", "warn", "fail", "skipped"]
"""``fail`` has to be fixed first; ``warn`` costs accuracy, time or repeatability; ``skipped`` was not checked."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check of a set-up found.

    Args:
        name: Of the check.
        status: How it ended.
        seen: What was seen, a sentence; for a skipped check, why.
        fix: What to do about it; "" if there is nothing to do.
    """

    name: str
    status: CheckStatus
    seen: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class DoctorResults(Results):
    """What is right and wrong with a set-up.

    Args:
        model: As the user named it.
        checks: In a fixed order, each once.
        requests: Requests that were sent.
        tokens: Tokens that they took.
        seconds: Time that the examination took.
    """

    kind: ClassVar[str] = "doctor"

    model: str
    checks: tuple[CheckResult, ...]
    requests: int
    tokens: Usage
    seconds: float

    @property
    def has_failures(self) -> bool:
        """Whether something must be fixed."""
        return any(check.status == "fail" for check in self.checks)

    def count(self, status: CheckStatus) -> int:
        """How many checks ended this way."""
        return sum(check.status == status for check in self.checks)


@dataclass(frozen=True, slots=True)
class AttackFigures:
    """What an attack does to a judge, over the completions that preferred the other response before it.

    Args:
        flipped: Share of them that prefer the attacked response now.
        silenced: Share of them that hold no verdict now.
        change: Share of completions that prefer the attacked response, with the attack less without, over the same comparisons.
        fenced: Prompts in which marks were fenced.
    """

    flipped: Estimate | None
    silenced: Estimate | None
    change: Difference | None
    fenced: int


@dataclass(frozen=True, slots=True)
class AttackResults:
    """One attack, with the fence on and off.

    Args:
        name: Of the attack.
        meaning: What it does, a sentence.
        fenced: With the fence on.
        unfenced: With the fence off.
        fence: The share of flips without the fence, less that with it, over the same comparisons.
    """

    name: str
    meaning: str
    fenced: AttackFigures
    unfenced: AttackFigures
    fence: Difference | None


@dataclass(frozen=True, slots=True)
class AuditResults(Results):
    """How a judge withstands attacks on the response that should lose.

    Args:
        pairs: Pairs that were attacked.
        by_label: Of these, those whose losing response is that of the label; of the others, the judge itself names it.
        left_out: Pairs without a losing response: ties, and pairs on which the judge does not decide.
        completions: Completions of each attack with one setting of the fence.
        preferred: Share of completions that prefer the attacked response without an attack, with the fence on.
        attacks: Each attack.
        tokens: Of all completions.
        repeated: Completions that were taken over from another part, since their prompts are the same.
    """

    kind: ClassVar[str] = "audit"

    pairs: int
    by_label: int
    left_out: int
    completions: int
    preferred: Estimate | None
    attacks: tuple[AttackResults, ...]
    tokens: Usage
    repeated: int
