"""The prefix tree of token sequences, found from the ids themselves.

Sorted sequences that share a beginning stand next to each other, so the tree follows from the lengths that neighbours share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, pairwise

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """Tokens that the same sequences share.

    Args:
        parent: The node that these tokens follow, as an index; None at the beginning of a sequence.
        depth: Position of its first token in the sequences.
        tokens: At least one.
    """

    parent: int | None
    depth: int
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class PrefixTree:
    """Sequences as paths of nodes. There may be several roots.

    Args:
        nodes: Depth first: a parent stands before its children, and a node's descendants follow it without a gap.
        paths: For each sequence the nodes whose tokens, one after the other, it is.
    """

    nodes: tuple[Node, ...]
    paths: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """Tokens to compute."""
        return sum(len(node.tokens) for node in self.nodes)

    def sequence(self, number: int) -> Tokens:
        """The tokens of a sequence."""
        return tuple(token for index in self.paths[number] for token in self.nodes[index].tokens)


@dataclass(frozen=True, slots=True)
class _Branch:
    """Sorted sequences ``first`` to ``end`` agree up to ``depth``, where the node ``parent`` ends."""

    first: int
    end: int
    depth: int
    parent: int | None


def build_tree(
    sequences: Sequence[Sequence[int]], masks: Sequence[Sequence[int]] | None = None, *, min_shared: int = 1
) -> PrefixTree:
    """Find the tree.

    Args:
        sequences: Token ids, of any lengths.
        masks: For padded rows, 1 where a token counts and 0 where it is padding, on whichever side.
        min_shared: A shared beginning of fewer tokens is not made a node of its own, and is computed again for each branch. Equal
            sequences share everything, whatever their length.
    """
    rows: list[Tokens]
    if masks is None:
        rows = [tuple(row) for row in sequences]
    else:
        rows = [tuple(compress(row, mask)) for row, mask in zip(sequences, masks, strict=True)]
    distinct = sorted(set(rows))
    agree = [_shared(one, other) for one, other in pairwise(distinct)]
    nodes: list[Node] = []
    last: dict[Tokens, int | None] = {}
    todo = [_Branch(0, len(distinct), 0, None)] if distinct else []
    while todo:
        branch = todo.pop()
        todo.extend(reversed(_grow(branch, distinct, agree, nodes, last, min_shared)))
    return PrefixTree(tuple(nodes), tuple(_path(nodes, last[row]) for row in rows))


def _grow(
    branch: _Branch,
    distinct: list[Tokens],
    agree: list[int],
    nodes: list[Node],
    last: dict[Tokens, int | None],
    min_shared: int,
) -> list[_Branch]:
    """Add the node of a branch, where it is worth one, and return what branches off behind it."""
    first, end, depth, parent = branch.first, branch.end, branch.depth, branch.parent
    alone = end - first == 1
    shared = len(distinct[first]) if alone else min(agree[first : end - 1])
    if shared > depth and (alone or shared - depth >= min_shared):
        nodes.append(Node(parent, depth, distinct[first][depth:shared]))
        depth, parent = shared, len(nodes) - 1
    if alone:
        last[distinct[first]] = parent
        return []
    cuts = [first, *(place + 1 for place in range(first, end - 1) if agree[place] == shared), end]
    return [_Branch(start, stop, depth, parent) for start, stop in pairwise(cuts)]


def _shared(one: Tokens, other: Tokens) -> int:
    """How many tokens two sequences begin with; slices are compared at the speed of C, so it bisects."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _path(nodes: list[Node], last: int | None) -> tuple[int, ...]:
    path = []
    while last is not None:
        path.append(last)
        last = nodes[last].parent
    return tuple(reversed(path))
