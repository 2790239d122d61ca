"""A prefix tree as one row of tokens, and where in the row the predictions of each sequence are made.

Nodes stand depth first. What a node's tokens are seen by is then one stretch of the row: the rest of the node, and all its
descendants behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from rmr1.errors import InputError
from rmr1.prefix.tree import PrefixTree


class PackedSpan(NamedTuple):
    """A node's place in the row: its tokens are ``start`` to ``end``, those of its descendants ``end`` to ``reach``."""

    start: int
    end: int
    reach: int


@dataclass(frozen=True, slots=True)
class Packed:
    """A tree as one row.

    Args:
        tree: The tree.
        tokens: Token ids of the row.
        positions: Position of each in its sequences.
        spans: The place of each node.
    """

    tree: PrefixTree
    tokens: tuple[int, ...]
    positions: tuple[int, ...]
    spans: tuple[PackedSpan, ...]

    def places(self, sequence: int) -> list[int]:
        """Where in the row the tokens of a sequence stand."""
        spans = (self.spans[node] for node in self.tree.paths[sequence])
        return list(chain.from_iterable(range(span.start, span.end) for span in spans))

    def ends(self) -> list[int]:
        """For each token of the row, the place before which those that may see it stand: q sees k where k <= q < ends[k]."""
        return list(chain.from_iterable([span.reach] * (span.end - span.start) for span in self.spans))


@dataclass(frozen=True, slots=True)
class Predictions:
    """What is to be read off the output layer, each pair of place and target once.

    Args:
        places: Where in the row to predict from.
        targets: The token that follows there.
        rows: For each sequence and each of its predicted tokens, the index of its pair.
    """

    places: tuple[int, ...]
    targets: tuple[int, ...]
    rows: tuple[tuple[int, ...], ...]


def pack(tree: PrefixTree) -> Packed:
    """Lay a tree out as one row."""
    starts, start = [], 0
    for node in tree.nodes:
        starts.append(start)
        start += len(node.tokens)
    ends = [start + len(node.tokens) for start, node in zip(starts, tree.nodes, strict=True)]
    reaches = list(ends)
    for index in reversed(range(len(tree.nodes))):
        parent = tree.nodes[index].parent
        if parent is not None:
            reaches[parent] = max(reaches[parent], reaches[index])
    return Packed(
        tree,
        tuple(chain.from_iterable(node.tokens for node in tree.nodes)),
        tuple(chain.from_iterable(range(node.depth, node.depth + len(node.tokens)) for node in tree.nodes)),
        tuple(PackedSpan(*place) for place in zip(starts, ends, reaches, strict=True)),
    )


def predictions(packed: Packed, firsts: Sequence[int]) -> Predictions:
    """Where the tokens of each sequence from position ``firsts[sequence]`` on are predicted.

    Raises:
        InputError: The first token of a sequence is to be predicted; nothing stands before it.
    """
    pairs: dict[tuple[int, int], int] = {}
    rows = []
    for sequence, first in enumerate(firsts):
        places = packed.places(sequence)
        if first < 1 and places:
            raise InputError(f"sequence {sequence}: its first token cannot be predicted; give it a prompt")
        wanted = ((places[at - 1], packed.tokens[places[at]]) for at in range(first, len(places)))
        rows.append(tuple(pairs.setdefault(pair, len(pairs)) for pair in wanted))
    return Predictions(tuple(place for place, _ in pairs), tuple(target for _, target in pairs), tuple(rows))
