"""The prefix tree of any sequences: nothing lost, nothing twice, and each prediction read where it is made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmr1.errors import InputError
from rmr1.prefix import build_tree, pack, predictions

# Few different tokens and repeated beginnings, so that much is shared.
tokens = st.lists(st.integers(0, 2), max_size=8)
beginnings = st.lists(tokens, min_size=1, max_size=3)


@st.composite
def batches(draw):
    starts = draw(beginnings)
    rows = draw(st.lists(st.tuples(st.sampled_from(starts), st.sampled_from(starts), tokens), max_size=8))
    return [[*one, *two, *rest] for one, two, rest in rows]


@given(batches(), st.integers(1, 9))
def test_each_sequence_is_its_path(sequences, min_shared):
    tree = build_tree(sequences, min_shared=min_shared)
    assert [list(tree.sequence(number)) for number in range(len(sequences))] == sequences
    assert tree.size == sum(len(node.tokens) for node in tree.nodes) <= sum(map(len, sequences))
    for path in tree.paths:
        parents = [None, *path]
        depth = 0
        for node, parent in zip(path, parents, strict=False):
            assert (tree.nodes[node].parent, tree.nodes[node].depth) == (parent, depth)
            depth += len(tree.nodes[node].tokens)


@given(batches())
def test_no_two_children_begin_alike(sequences):
    tree = build_tree(sequences)
    beginnings = [(node.parent, node.tokens[0]) for node in tree.nodes]
    assert len(set(beginnings)) == len(beginnings)


@given(batches())
def test_the_tree_holds_each_beginning_once(sequences):
    distinct = {tuple(row[:end]) for row in sequences for end in range(1, len(row) + 1)}
    assert build_tree(sequences).size == len(distinct)


@given(batches(), st.integers(1, 9))
def test_short_beginnings_are_not_shared_and_equal_sequences_are(sequences, min_shared):
    tree = build_tree(sequences, min_shared=min_shared)
    for index, node in enumerate(tree.nodes):
        users = {tuple(row) for row, path in zip(sequences, tree.paths, strict=True) if index in path}
        assert users
        assert len(node.tokens) >= min_shared or len(users) == 1
    for row, path in zip(sequences, tree.paths, strict=True):
        assert path == tree.paths[sequences.index(row)]


@given(batches(), st.randoms())
def test_the_order_of_sequences_does_not_matter_to_the_nodes(sequences, chance):
    order = list(range(len(sequences)))
    chance.shuffle(order)
    tree, other = build_tree(sequences), build_tree([sequences[place] for place in order])
    assert other.nodes == tree.nodes
    assert other.paths == tuple(tree.paths[place] for place in order)


@given(batches(), st.integers(0, 5))
def test_padding_on_either_side_is_left_out(sequences, spare):
    width = max(map(len, sequences), default=0) + spare
    left = [[9] * (width - len(row)) + row for row in sequences]
    right = [row + [9] * (width - len(row)) for row in sequences]
    before = [[0] * (width - len(row)) + [1] * len(row) for row in sequences]
    behind = [[1] * len(row) + [0] * (width - len(row)) for row in sequences]
    assert build_tree(left, before) == build_tree(right, behind) == build_tree(sequences)


@given(batches(), st.integers(1, 4))
def test_a_token_is_seen_by_itself_and_by_what_follows_it_on_a_path(sequences, min_shared):
    packed = pack(build_tree(sequences, min_shared=min_shared))
    ends = packed.ends()
    assert len(ends) == len(packed.tokens) == len(packed.positions) == packed.tree.size
    seen = {(query, key) for key, end in enumerate(ends) for query in range(key, end)}
    paths = [packed.places(number) for number in range(len(sequences))]
    assert seen == {(path[later], path[at]) for path in paths for later in range(len(path)) for at in range(later + 1)}
    for row, path in zip(sequences, paths, strict=True):
        assert [packed.tokens[place] for place in path] == row
        assert [packed.positions[place] for place in path] == list(range(len(row)))


@given(batches(), st.data())
def test_a_token_is_predicted_from_the_one_before_it_and_each_pair_once(sequences, data):
    sequences = [[0, *row] for row in sequences]
    firsts = [data.draw(st.integers(1, len(row))) for row in sequences]
    packed = pack(build_tree(sequences))
    wanted = predictions(packed, firsts)
    pairs = list(zip(wanted.places, wanted.targets, strict=True))
    assert len(set(pairs)) == len(pairs)
    for number, (row, first) in enumerate(zip(sequences, firsts, strict=True)):
        places = packed.places(number)
        expected = [(places[at - 1], row[at]) for at in range(first, len(row))]
        assert [pairs[index] for index in wanted.rows[number]] == expected
    assert {index for row in wanted.rows for index in row} == set(range(len(pairs)))


def test_nothing_one_token_and_one_within_another():
    assert build_tree([]).nodes == build_tree([[]]).nodes == ()
    assert build_tree([[], [5], [5, 6], [5]]).paths == ((), (0,), (0, 1), (0,))
    assert pack(build_tree([[]])).tokens == ()


def test_a_deep_tree_needs_no_deep_stack():
    depth = 2000
    tree = build_tree([[1] * length for length in range(1, depth + 1)])
    assert (tree.size, len(tree.nodes)) == (depth, depth)
    assert pack(tree).spans[0] == (0, 1, depth)


def test_the_first_token_of_a_sequence_cannot_be_predicted():
    with pytest.raises(InputError, match="sequence 1"):
        predictions(pack(build_tree([[1, 2], [3, 4]])), [1, 0])
    assert predictions(pack(build_tree([[]])), [0]).rows == ((),)
