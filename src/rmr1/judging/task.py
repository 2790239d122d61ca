"""What a run works on: which pairs, where the run is kept, and whether its source is still what it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rmr1.arguments import expect_count, optional_path, source_of
from rmr1.data import DROP_OR_SKIP, PairSource, load_pairs
from rmr1.errors import DataError
from rmr1.runs import default_run_name


@dataclass(frozen=True, slots=True)
class PairTask:
    """Which pairs to work on, and where to keep the run.

    Args:
        path: A file, a directory or an ``hf:`` name, see ``rmr1.data.load_pairs``.
        name: What messages call the source; the path by default.
        columns: Our field names with the columns that hold them.
        skip_invalid: Leave out rows that cannot be read. A distillation also leaves out pairs without a label.
        limit: Take the first N pairs.
        run: Directory of the run. By default it is named after the task, so that the same task always finds its own.
        source: The pairs, if they are open already.
        advice: What messages tell the user to do about a row that cannot be read.
    """

    path: str
    name: str | None = None
    columns: Mapping[str, str] | None = None
    skip_invalid: bool = False
    limit: int | None = None
    run: Path | None = None
    source: PairSource | None = None
    advice: str = DROP_OR_SKIP

    @classmethod
    def of(
        cls, pairs: PairTask | PairSource | str | Path, *, limit: int | None = None, run: str | Path | None = None
    ) -> PairTask:
        """A task from what a Python caller has: a path, an open source, or a task already.

        Args:
            pairs: The pairs.
            limit: Take the first N of them.
            run: Directory of the run.
        """
        if isinstance(pairs, PairSource):
            task = cls(pairs.path, skip_invalid=pairs.skip_invalid, source=pairs)
        elif isinstance(pairs, PairTask):
            task = pairs
        else:
            task = cls(source_of("pairs", pairs, "a path, hf:OWNER/NAME or what load_pairs gave"))
        expect_count("limit", limit)
        limit = task.limit if limit is None else limit
        return replace(task, limit=limit, run=optional_path("run", run) or task.run)

    def open(self) -> PairSource:
        """Open the source.

        Raises:
            DataError: It cannot be read, or its shape is not known.
        """
        if self.source is not None:
            return self.source
        return load_pairs(
            self.path, columns=self.columns, skip_invalid=self.skip_invalid, name=self.name, advice=self.advice
        )

    @property
    def called(self) -> str:
        """What messages call the source."""
        return self.name or self.path

    @property
    def title(self) -> str:
        """The last part of that, for headings."""
        return Path(self.called).name

    @property
    def read_once(self) -> bool:
        """Whether reading the source twice would fetch everything twice."""
        return self.path.startswith("hf:")

    def run_path(self, verb: str, identity: Mapping[str, object]) -> Path:
        """Directory of the run. The same job always gets the same one, and no other job does."""
        return self.run or Path("runs") / default_run_name(verb, self.title.partition(".")[0], identity)


@dataclass(frozen=True, slots=True)
class SourceGuard:
    """What a source was when a run began. A file that changes meanwhile would give results about two files.

    Args:
        source: The pairs.
        fingerprint: Its ``fingerprint``.
        pairs: How many pairs it had, if they were counted.
    """

    source: PairSource
    fingerprint: str
    pairs: int | None = None

    def check(self, read: int) -> None:
        """Compare it with what it is now.

        Args:
            read: How many pairs were read now.

        Raises:
            DataError: It has changed.
        """
        changes = []
        if self.pairs is not None and read != self.pairs:
            changes.append(f"{self.pairs} pairs at the beginning, {read} at the end")
        if self.source.fingerprint() != self.fingerprint:
            changes.append("its content is another one")
        if changes:
            raise DataError(
                f"{self.source.path}: changed during the run: {', '.join(changes)}. Restore it and run the same command again, "
                f"or start a new --run with the new file"
            )
