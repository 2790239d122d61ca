"""How often a judge was right about each pair, from the samples of its run.

A pair that is always judged right, or always wrong, has the same reward in every rollout: a group without variance, and without
advantage under GRPO. The paper does not filter such prompts; several works that follow it do.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from rmr1.curation.recipe import Difficulty
from rmr1.curation.screens import Reason
from rmr1.data.text_files import JsonLinesFile
from rmr1.errors import ConfigError, JournalError
from rmr1.judging.completions import Completion


class PassRates:
    """The share of right completions of each pair, over all orders and votes; an invalid verdict is not right.

    Args:
        filter: The run and the bounds.

    Raises:
        ConfigError: The directory is no run of ``rmr1 judge``, or its pairs have no labels.
        JournalError: Its samples cannot be read.
    """

    def __init__(self, filter: Difficulty) -> None:
        self._filter = filter
        rule = _rule(filter.run)
        right: defaultdict[str, int] = defaultdict(int)
        asked: defaultdict[str, int] = defaultdict(int)
        for sample in _samples(filter.run / "samples.jsonl"):
            if sample.label is not None:
                asked[sample.pair_id] += 1
                right[sample.pair_id] += sample.as_vote(rule).side == sample.label
        if not asked:
            raise ConfigError(f"--difficulty {filter.run}: no judged pair has a label; judge labelled pairs")
        self._rates = {name: right[name] / count for name, count in asked.items()}

    def rate(self, name: str) -> float | None:
        """The share of right completions, or None for a pair that was not judged."""
        return self._rates.get(name)

    def verdict(self, name: str) -> Reason | None:
        """Why a pair does not lie strictly between the bounds; None where it does."""
        rate = self.rate(name)
        if rate is None:
            return "not_judged"
        if rate >= self._filter.high:
            return "too_easy"
        return "too_hard" if rate <= self._filter.low else None


def _rule(run: Path) -> str:
    try:
        identity = json.loads((run / "run.json").read_text(encoding="utf-8"))["identity"]
        if identity["job"] == "judge":
            return str(identity["rule"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"--difficulty {run}: not the directory of a run ({error})") from error
    raise ConfigError(f'--difficulty {run}: a run of "rmr1 {identity["job"]}"; give one of "rmr1 judge --votes K"')


def _samples(path: Path) -> Iterator[Completion]:
    """Read a journal that may still be written to, without touching it: a torn last line is passed over."""
    torn = ""
    reader = JsonLinesFile(path, str(path))
    for row in reader.rows():
        if torn:
            raise JournalError(f"{torn}; judge again in another directory")
        if row.columns is None:
            torn = f"{reader.place(row.number)}: {row.problem}"
        else:
            yield Completion.from_record(row.columns)
