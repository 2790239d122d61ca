"""The axes of a sweep: settings with several values each, and the judging runs that their product takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmr1.config import JudgeConfig
from rmr1.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Axes:
    """The values that a sweep takes; none for a setting that stays as it is.

    Args:
        votes: Completions of each order, rising. They do not take runs of their own: fewer votes are the first ones of more.
        max_tokens: Longest completion, rising.
        template: Prompt templates, as they were given.
    """

    votes: tuple[int, ...] = ()
    max_tokens: tuple[int, ...] = ()
    template: tuple[str, ...] = ()

    @classmethod
    def parse(cls, *, votes: str | None, max_tokens: str | None, template: str | None) -> Axes:
        """Axes of the texts of ``--votes``, ``--max-tokens`` and ``--template``; one with a single value is none.

        Raises:
            ConfigError: A value is empty, no number, or there twice.
        """
        return cls(
            tuple(sorted(_numbers("votes", votes))),
            tuple(sorted(_numbers("max-tokens", max_tokens))),
            # a file may have a comma in its name
            () if template and Path(template).is_file() else _values("template", template),
        )

    def __bool__(self) -> bool:
        return bool(self.votes or self.max_tokens or self.template)

    def flags(self) -> dict[str, Any]:
        """One value of each axis, for a configuration to be checked with: the largest number, the first template."""
        return {name: found[-1] for name in ("votes", "max_tokens") if (found := getattr(self, name))} | (
            {"template": self.template[0]} if self.template else {}
        )

    def configs(self, config: JudgeConfig) -> Iterator[JudgeConfig]:
        """The configuration of each judging run: every template with every limit, each with the most votes.

        Args:
            config: One that was made with ``flags``.
        """
        for template in self.template or (config.template,):
            for max_tokens in self.max_tokens or (config.max_tokens,):
                yield config.model_copy(update={"template": template, "max_tokens": max_tokens})

    def name(self, identity: Mapping[str, Any]) -> str:
        """The directory of the judging run that has this identity: its place on the axes."""
        stem = re.sub(r"[^\w.]+", "-", Path(identity["template"]).stem).strip("-.")
        parts = [stem or "template"] if self.template else []
        parts += [f"{identity['max_tokens']}-tokens"] if self.max_tokens else []
        parts += [f"{identity['votes']}-votes"] if self.votes else []
        return "-".join(parts)


def _numbers(flag: str, text: str | None) -> tuple[int, ...]:
    values = _values(flag, text)
    if not all(re.fullmatch("[0-9]+", value) and int(value) for value in values):
        raise ConfigError(f"--{flag} {text}: expected whole numbers from 1 on, such as --{flag} 1,4,16")
    numbers = tuple(map(int, values))
    _refuse_repeated(flag, text, numbers)
    return numbers


def _values(flag: str, text: str | None) -> tuple[str, ...]:
    if text is None or "," not in text:
        return ()
    values = tuple(value.strip() for value in text.split(","))
    if not all(values):
        raise ConfigError(f"--{flag} {text}: a value is empty; a sweep takes values with commas between them")
    _refuse_repeated(flag, text, values)
    return values


def _refuse_repeated(flag: str, text: str | None, values: tuple[Any, ...]) -> None:
    value, times = Counter(values).most_common(1)[0] if values else (None, 1)
    if times > 1:
        raise ConfigError(f"--{flag} {text}: {value} is there {times} times")
