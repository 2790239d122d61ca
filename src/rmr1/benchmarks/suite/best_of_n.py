"""Comparisons that belong to one item, such as best of N."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rmr1.benchmarks.entries import Entry


def by_item(values: Iterable[tuple[Entry, float]]) -> Iterator[tuple[Entry, list[float]]]:
    """The values of each item, with its first entry, in the order in which items first appear."""
    items: dict[str, tuple[Entry, list[float]]] = {}
    for entry, value in values:
        items.setdefault(entry.item, (entry, []))[1].append(value)
    yield from items.values()
