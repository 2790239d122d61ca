"""Pairs to work on and where to keep the run: what judging and distilling are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmr1.data import PairSource, load_pairs
from rmr1.runs import default_run_name


@dataclass(frozen=True, slots=True)
class PairTask:
    """Which pairs, and which run.

    Args:
        path: A file, a directory or ``hf:`` name, see ``rmr1.data.load_pairs``.
        name: How messages and the run call it; the path where not given.
        columns: Our field names with the columns that hold them.
        skip_invalid: Leave out rows that cannot be read; for distilling, also pairs without a label.
        limit: Take the first so many pairs.
        run: The run's directory; one that belongs to exactly this task where not given.
    """

    path: str
    name: str | None = None
    columns: Mapping[str, str] | None = None
    skip_invalid: bool = False
    limit: int | None = None
    run: Path | None = None

    def open(self) -> PairSource:
        """Open the source.

        Raises:
            DataError: It cannot be read, or its shape is not known.
        """
        return load_pairs(self.path, columns=self.columns, skip_invalid=self.skip_invalid, name=self.name)

    @property
    def called(self) -> str:
        """How messages call the source."""
        return self.name or self.path

    @property
    def title(self) -> str:
        """The last part of that, for headings."""
        return Path(self.called).name

    @property
    def read_once(self) -> bool:
        """Whether a pass over the source is too dear for a look at it beforehand."""
        return self.path.startswith("hf:")

    def run_path(self, verb: str, identity: Mapping[str, Any]) -> Path:
        """The run's directory; the same job always takes the same one, and no other job does."""
        return self.run or Path("runs") / default_run_name(verb, self.title.partition(".")[0], identity)
