"""The first pass: every pair of every source is read once, normalised and screened; what passes becomes a candidate."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rmr1.curation.candidates import Candidate, PairStore, content_digests, rank_of
from rmr1.curation.raw_rows import rows_where
from rmr1.curation.recipe import CurriculumRequest, DataRecipe, SourceRecipe
from rmr1.curation.screens import PassRates, Reason, Screen
from rmr1.curation.selection import signature_of
from rmr1.curation.tally import SourceTally
from rmr1.curriculum import FAMILIES, generate_pairs
from rmr1.data import PairSource, load_pairs, split_of
from rmr1.records import Message, PreferencePair
from rmr1.runs import Callbacks

_SAY_EVERY_S = 10.0
_LINE_END = re.compile("\r\n?|\x85")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")
_BLANK_START = re.compile(r"\A(?:[^\S\n]*\n)+")


class OpenSource(Protocol):
    """Pairs with a name and an identity."""

    name: str

    def __iter__(self) -> Iterator[PreferencePair]:
        """Read all pairs."""
        ...

    def describe(self) -> str:
        """Say how the pairs are read or made."""
        ...

    def identity(self) -> Mapping[str, object]:
        """What the pairs come from."""
        ...

    def lost(self) -> tuple[int, int, list[str]]:
        """Rows that the latest pass left out by a condition, and as invalid, with what a user should know of that pass."""
        ...


class _File:
    def __init__(self, name: str, recipe: SourceRecipe, *, unique_ids: bool) -> None:
        self.name = name
        self._category = recipe.category
        self._pairs: PairSource = load_pairs(
            str(recipe.path),
            columns=recipe.columns,
            skip_invalid=recipe.skip_invalid,
            transform=rows_where(recipe.where),
            unique_ids=unique_ids,
            allow_empty=True,
            advice="drop the row or set skip_invalid: true for this source",
        )

    def __iter__(self) -> Iterator[PreferencePair]:
        for pair in self._pairs:
            yield pair if self._category is None else replace(pair, category=self._category)

    def describe(self) -> str:
        return self._pairs.shape.describe()

    def identity(self) -> Mapping[str, object]:
        return {"sha256": self._pairs.fingerprint()}

    def lost(self) -> tuple[int, int, list[str]]:
        return self._pairs.left_out, self._pairs.skipped.count, self._pairs.notices()


class _Curriculum:
    def __init__(self, name: str, request: CurriculumRequest, category: str | None) -> None:
        self.name = name
        self._request = request
        self._category = category

    def __iter__(self) -> Iterator[PreferencePair]:
        request = self._request
        for pair in generate_pairs(request.families, request.levels, request.count, request.seed):
            yield pair if self._category is None else replace(pair, category=self._category)

    def describe(self) -> str:
        return f"{self.name}: {self._request.count} generated pairs"

    def identity(self) -> Mapping[str, object]:
        packages = [name for name in map(FAMILIES.called, self._request.families or ()) if name is not None]
        return {"packages": packages} if packages else {}

    def lost(self) -> tuple[int, int, list[str]]:
        return 0, 0, []


def open_recipe_source(name: str, recipe: SourceRecipe, *, unique_ids: bool = False) -> OpenSource:
    """Open a source under the name that it has in the recipe.

    Args:
        name: Its name.
        recipe: Where its pairs come from.
        unique_ids: Name rows that repeat an id by their order, as a judge run does; else no row's place matters.

    Raises:
        DataError: It cannot be read, or its rows have no known shape.
        MissingExtraError: Its format needs a library that is not installed.
    """
    if recipe.curriculum is not None:
        return _Curriculum(name, recipe.curriculum, recipe.category)
    return _File(name, recipe, unique_ids=unique_ids)


@dataclass(frozen=True, slots=True)
class Intake:
    """What every pair is put through.

    Args:
        recipe: What to do.
        screens: Screens of single pairs, with the reason that each gives.
        rates: How often a judge was right, where the recipe asks for it.
        store: Where the texts of those that pass go.
        tally: Where every pair is counted.
        callbacks: Receive progress.
    """

    recipe: DataRecipe
    screens: Sequence[tuple[Reason, Screen]]
    rates: PassRates | None
    store: PairStore
    tally: SourceTally
    callbacks: Callbacks

    def take(self, sources: Sequence[OpenSource]) -> list[Candidate]:
        """Read all sources.

        Raises:
            DataError: A row cannot be read, and its source does not skip such rows.
        """
        candidates: list[Candidate] = []
        for number, source in enumerate(sources):
            prefix = f"{source.name}/" if len(sources) > 1 else ""
            for read in _counted(source, self.callbacks.say):
                self.tally.read(number)
                pair = replace(read, id=prefix + read.id, group=prefix + (read.group or read.id))
                pair = normalise_pair(pair) if self.recipe.normalise else pair
                reason = self._reason(pair)
                if reason is None:
                    candidates.append(self._candidate(number, source.name, pair))
                else:
                    self.tally.drop(number, reason)
            filtered, invalid, messages = source.lost()
            self.tally.lose(number, "filtered", filtered)
            self.tally.lose(number, "invalid", invalid)
            for message in messages:
                self.callbacks.say(f"{source.name}: {message}")
        return candidates

    def _reason(self, pair: PreferencePair) -> Reason | None:
        for reason, is_unfit in self.screens:
            if is_unfit(pair):
                return reason
        return self.rates.reason(pair.id) if self.rates else None

    def _candidate(self, number: int, name: str, pair: PreferencePair) -> Candidate:
        content, better = content_digests(pair)
        near = self.recipe.screens.near_duplicates
        return Candidate(
            source=number,
            id=pair.id,
            group=pair.group,
            content=content,
            better=better,
            rank=rank_of(pair, self.recipe.seed),
            split=split_of(pair.prompt, self.recipe.splits, self.recipe.seed),
            offset=self.store.add(replace(pair, extra={**pair.extra, "origin": name})),
            signature=None if near is None else signature_of(pair, near),
        )


def _counted(source: OpenSource, say: Callable[[str], None]) -> Iterator[PreferencePair]:
    last = time.monotonic()
    for count, pair in enumerate(source, 1):
        yield pair
        if time.monotonic() - last >= _SAY_EVERY_S:
            last = time.monotonic()
            say(f"{source.name}: {count} pairs read")


def normalise_text(text: str) -> str:
    r"""Write a text in one way, without a change of meaning; doing it twice changes nothing more.

    Line ends become ``\n``; characters take their composed form (NFC), so that equal texts are equal. Control characters other
    than tab and line end go, as do a byte order mark, blank lines at the beginning and white space at the end. Case, indentation,
    white space inside, compatibility characters (``ﬁ``, ``²``) and markdown stay.
    """
    text = _CONTROL.sub("", _LINE_END.sub("\n", text))
    return _BLANK_START.sub("", unicodedata.normalize("NFC", text)).rstrip()


def normalise_pair(pair: PreferencePair) -> PreferencePair:
    """Normalise every turn of a pair."""
    return replace(
        pair, prompt=_turns(pair.prompt), response_a=_turns(pair.response_a), response_b=_turns(pair.response_b)
    )


def _turns(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    return tuple(Message(message.role, normalise_text(message.content)) for message in messages)
