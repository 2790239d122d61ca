"""Completions that are watched while another program writes them."""

import pytest

from rmr1.engines.grammar_ending import GrammarEndings, WatchedCompletion, letter_grammar
from rmr1.errors import ConfigError
from rmr1.prompts.automaton import DEAD, EndingPart, compile_grammar

GRAMMAR = 'root ::= "<a>" [^<]* "</a>" [AB]'


def endings():
    return GrammarEndings(GRAMMAR, lambda text: -(-len(text) // 3))


def test_the_ending_is_counted_in_tokens_with_the_end_of_the_turn():
    made = endings()
    assert made.tokens(0) == 3 + 1 + 1  # seven characters, the letter, the end
    assert made.tokens(made.automaton.walk(0, b"<a>x</a>")) == 2
    assert made.tokens(made.automaton.walk(0, b"<a>x</a>B")) == 1


def test_a_completion_goes_on_while_its_ending_fits():
    watched = WatchedCompletion(endings(), 10)
    assert watched.goes_on("<a>", 2)
    assert watched.goes_on("xyz", 6)  # the ending has four tokens
    assert not watched.goes_on("x", 7)
    assert watched.ending == (EndingPart("</a>"), EndingPart("A", "AB"))
    assert watched.goes_on("</a>", 8)
    assert not watched.complete
    assert watched.goes_on("B", 9)
    assert watched.complete


def test_what_the_grammar_does_not_allow_does_not_count():
    watched = WatchedCompletion(endings(), 50)
    assert watched.goes_on("<a>x", 2)
    assert not watched.goes_on("<b>", 3)
    assert watched.goes_on("</a>A", 4)


def test_a_limit_below_the_shortest_text_is_refused():
    WatchedCompletion(endings(), 5)
    with pytest.raises(ConfigError, match="4 tokens are too few: the shortest text of the grammar has 5"):
        WatchedCompletion(endings(), 4)


def test_any_letter_may_be_asked_for():
    letters = "".join(map(chr, range(33, 127)))
    automaton = compile_grammar(letter_grammar(EndingPart("x", letters)))
    assert [letter for letter in map(chr, range(128)) if automaton.walk(0, letter.encode()) != DEAD] == list(letters)
