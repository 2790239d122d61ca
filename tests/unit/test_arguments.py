"""Arguments of Python callers: what will do, and the line about what will not."""

from pathlib import Path

import pytest

from rmr1.arguments import (
    checked_pairs,
    described,
    expect_count,
    expect_events,
    expect_pair,
    expect_texts,
    expect_word,
    optional_path,
    path_of,
    source_of,
    unusable_reason,
)
from rmr1.errors import DataError, InputError
from rmr1.judging.run import JudgeCallbacks
from rmr1.records import Message, PreferencePair
from rmr1.runs import NullCallbacks
from tests.support.engines import pairs


def test_what_will_do():
    assert (path_of("run", "a/b"), path_of("run", Path("a"))) == (Path("a/b"), Path("a"))
    assert (optional_path("run", None), source_of("pairs", "hf:a/b")) == (None, "hf:a/b")
    expect_count("limit", None)
    expect_count("limit", 1)
    expect_word("order", "ab", ("ab", "ba"))
    expect_texts("columns", {"label": "winner"})
    expect_events(NullCallbacks(), JudgeCallbacks)
    expect_events(None, JudgeCallbacks)
    assert list(checked_pairs(iter(pairs(2)))) == pairs(2)


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        (lambda: path_of("run", 3), "run: expected a path; got 3"),
        (lambda: path_of("run", b"x"), "run: expected a path; got bytes"),
        (lambda: path_of("run", ""), "run: expected a path; got '': it is empty"),
        (lambda: optional_path("run", ["a"]), "run: expected a path or None; got list"),
        (lambda: source_of("pairs", pairs(1)), "pairs: expected a path or hf:OWNER/NAME; got list; pairs in memory"),
        (lambda: expect_count("limit", True), "limit: expected a number from 1, or None for all; got True"),
        (lambda: expect_count("limit", 0), "limit: expected a number from 1, or None for all; got 0"),
        (lambda: expect_count("limit", 10**400), "got a number of 401 digits"),
        (lambda: expect_word("order", "aB", ("ab", "ba")), "order: expected one of ab, ba; got 'aB'; did you mean"),
        (lambda: expect_texts("columns", {"label": 1}), "columns: expected texts by texts"),
        (lambda: expect_events(NullCallbacks, JudgeCallbacks), "got the class NullCallbacks"),
        (lambda: expect_pair({"prompt": "q"}, "pairs[0]"), r"pairs\[0\]: expected a PreferencePair; got dict"),
        (lambda: expect_pair(PreferencePair("p", "q", "a", "b"), "pair"), "pair.prompt: expected a tuple of messages"),
        (
            lambda: expect_pair(PreferencePair("p", (Message("user", "q"),), (), ()), "pair"),
            "pair.response_a: expected a tuple of messages.*got an empty tuple",
        ),
        (lambda: expect_pair(pairs(1, "C")[0], "pair"), "pair.label: expected .*; got 'C'"),
        (lambda: list(checked_pairs("abc")), "pairs: expected PreferencePairs; got 'abc'. load_pairs reads"),
    ],
)
def test_what_will_not(refuse, said):
    with pytest.raises(InputError, match=said):
        refuse()


def test_names_that_no_file_can_have():
    assert [unusable_reason(name) is None for name in ("a", "é" * 127, "x" * 255, "x/" * 500)] == [True] * 4
    assert [unusable_reason(name) is None for name in ("", "a\0", "é" * 128, "x" * 256, "\ud800")] == [False] * 5


def test_a_description_is_short():
    assert [described(one) for one in (None, True, 3, "a", [], int)] == [
        "None",
        "True",
        "3",
        "'a'",
        "list",
        "the class int",
    ]
    assert len(described("x" * 10**6)) < 60


def test_an_error_about_pairs_is_one_about_data():
    with pytest.raises(DataError):
        source_of("pairs", {})
