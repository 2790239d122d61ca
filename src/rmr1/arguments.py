"""What callers from Python pass: refused in one line that names the argument, before anything is done with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, cast, get_args

from rmr1.errors import DataError, InputError, did_you_mean
from rmr1.records import Label, Message, PreferencePair

_LONGEST_NAME = 255
_LONGEST_SHOWN = 40
_TEXTS = ("id", "group", "category", "reference", "rubric")
_TURNS = ("prompt", "response_a", "response_b")
_IN_MEMORY = "pairs in memory are for Judge.compare_many, or for a file that write_pairs makes"


def expect(
    name: str, value: object, kinds: type | UnionType, wanted: str, *, error: type[InputError] = InputError
) -> None:
    """Refuse an argument of another type than these.

    Args:
        name: The argument.
        value: What was passed.
        kinds: The types that will do.
        wanted: The same in words.
        error: What to raise.
    """
    if not isinstance(value, kinds):
        raise error(f"{name}: expected {wanted}; got {described(value)}")


def expect_several(name: str, value: object, wanted: str) -> None:
    """Refuse what holds no several things: a single text or mapping would be taken apart."""
    if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
        raise InputError(f"{name}: expected {wanted}; got {described(value)}")


def described(value: object) -> str:
    """An argument in words: its type, or what it is where that is as short."""
    if value is None or isinstance(value, bool | int | float):
        return str(value) if len(str(value)) < _LONGEST_SHOWN else f"a number of {len(str(value))} digits"
    if isinstance(value, str):
        return repr(value if len(value) < _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}...")
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def path_of(name: str, value: object, wanted: str = "a path") -> Path:
    """A path that a caller passed.

    Raises:
        InputError: It is no path.
    """
    expect(name, value, str | os.PathLike, wanted)
    text = os.fspath(cast("str | os.PathLike[str]", value))
    problem = unusable_reason(text) if isinstance(text, str) else "it is bytes"
    if problem is not None:
        raise InputError(f"{name}: expected {wanted}; got {text[:40]!r}: {problem}")
    return Path(text)


def unusable_reason(text: str) -> str | None:
    """Why no file can have a name, whatever the disk holds; None if one can."""
    if not text:
        return "it is empty"
    if "\0" in text:
        return "no name of a file has a NUL in it"
    try:
        parts = os.fsencode(text).split(os.fsencode(os.sep))
    except UnicodeEncodeError:
        return "it holds half a character"
    return "it is longer than any name of a file" if max(map(len, parts)) > _LONGEST_NAME else None


def optional_path(name: str, value: object) -> Path | None:
    """A path that a caller may have passed.

    Raises:
        InputError: It is neither a path nor None.
    """
    return None if value is None else path_of(name, value, "a path or None")


def source_of(name: str, value: object, wanted: str = "a path or hf:OWNER/NAME") -> str:
    """The name of a source of pairs that a caller passed.

    Raises:
        DataError: It is no name: pairs or rows in memory, a table, something else.
    """
    try:
        path_of(name, value, wanted)
    except InputError as error:
        raise DataError(f"{error}; {_IN_MEMORY}") from None
    return str(value)


def expect_count(name: str, value: object) -> None:
    """Refuse what is neither None nor a number of things, from 1."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= sys.maxsize):
        raise InputError(f"{name}: expected a number from 1, or None for all; got {described(value)}")


def expect_word(name: str, value: object, known: Iterable[str]) -> None:
    """Refuse what is none of the words that are known."""
    words = tuple(known)
    if not isinstance(value, str) or value not in words:
        near = did_you_mean(value, words) if isinstance(value, str) else ""
        raise InputError(f"{name}: expected one of {', '.join(words)}; got {described(value)}{near}")


def expect_texts(name: str, value: object) -> None:
    """Refuse what is neither None nor a mapping of texts to texts."""
    good = isinstance(value, Mapping) and all(isinstance(one, str) for pair in value.items() for one in pair)
    if value is not None and not good:
        raise InputError(f'{name}: expected texts by texts, such as {{"label": "winner"}}; got {described(value)}')


def expect_events(callbacks: object, protocol: type) -> None:
    """Refuse callbacks that lack an event of a protocol; None is fine.

    Args:
        callbacks: What was passed.
        protocol: Whose methods are called.
    """
    events = [name for one in protocol.__mro__ for name in vars(one) if not name.startswith("_")]
    missing = sorted({name for name in events if not callable(getattr(callbacks, name, None))})
    if callbacks is not None and (missing or isinstance(callbacks, type)):
        raise InputError(
            f"callbacks: expected an object with {', '.join(sorted(set(events)))}; got {described(callbacks)}. "
            f"Derive yours from rmr1.NullCallbacks, and pass an instance"
        )


def expect_label(name: str, label: object) -> None:
    """Refuse what is no label of a pair."""
    if label is not None and (not isinstance(label, str) or label not in get_args(Label)):
        raise DataError(f'{name}: expected "A", "B", "tie" or None; got {described(label)}')


def expect_pair(pair: object, where: str) -> None:
    """Refuse what is no whole ``PreferencePair``: Python builds one of anything.

    Args:
        pair: What was passed.
        where: How the error calls it, such as ``pairs[3]``.
    """
    if not isinstance(pair, PreferencePair):
        raise DataError(f"{where}: expected a PreferencePair; got {described(pair)}. load_pairs reads a file of them")
    for name in _TEXTS:
        expect(f"{where}.{name}", getattr(pair, name), str, "a text", error=DataError)
    for name in _TURNS:
        turns = getattr(pair, name)
        if not isinstance(turns, tuple) or not turns or not all(map(_is_message, turns)):
            found = "an empty tuple" if turns == () else described(turns)
            raise DataError(
                f'{where}.{name}: expected a tuple of messages, such as (Message("user", "..."),); got {found}'
            )
    expect_label(f"{where}.label", pair.label)


def _is_message(turn: object) -> bool:
    return isinstance(turn, Message) and isinstance(turn.role, str) and isinstance(turn.content, str)


def checked_pairs(pairs: Any) -> Iterator[PreferencePair]:
    """The pairs of an iterable, each looked at.

    Raises:
        DataError: It is no iterable of whole pairs.
    """
    try:
        expect_several("pairs", pairs, "PreferencePairs")
    except InputError as error:
        raise DataError(f"{error}. load_pairs reads a file of them") from None
    for number, pair in enumerate(pairs):
        expect_pair(pair, f"pairs[{number}]")
        yield pair
