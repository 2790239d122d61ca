import random
import re

import pytest

from rmr1.errors import ConfigError
from rmr1.prompts.automaton import DEAD, EndingPart, compile_grammar


def accepts(automaton, text):
    state = automaton.walk(0, text.encode())
    return state != DEAD and bool(automaton.accepting[state])


@pytest.mark.parametrize(
    ("grammar", "pattern"),
    [
        ('root ::= "a"* "b"+ "c"?', "a*b+c?"),
        ('root ::= ("a" | "bc"){2,3}', "(a|bc){2,3}"),
        ('root ::= "a"{2} "b"{1,} "c"{0,2}', "aab+c{0,2}"),
        ("root ::= [^a-c]* [ab] # what comes last\n", "[^a-c]*[ab]"),
        ('root ::= x "c" |\n  "b" x\nx ::= ("a"\n | "b")+', "[ab]+c|b[ab]+"),
        ('root ::= [a-] "\\x62" [\\u0063\\]]', r"[a-]b[c\]]"),
        ('root ::= . "\\n"? "\\"\\\\"', r'[^\ud800](\n)?"\\'),
        ('root ::= [à-ÿ] "€" [^a]', "[à-ÿ]€[^a]"),
    ],
)
def test_a_grammar_accepts_what_the_same_regular_expression_does(grammar, pattern):
    automaton = compile_grammar(grammar)
    chance = random.Random(0)
    letters = 'abcc]-\n"\\é€😀 '
    texts = {"".join(chance.choices(letters, k=chance.randint(0, 6))) for _ in range(6000)}
    texts |= {"".join(chance.choices(["à", "€", "é", "b", "😀", "a", "bc", '"\\', "\n"], k=3)) for _ in range(2000)}
    found = {text for text in texts if accepts(automaton, text)}
    assert found == {text for text in texts if re.fullmatch(pattern, text, re.DOTALL)}
    assert found


def test_what_can_go_on_is_told_from_what_cannot():
    automaton = compile_grammar('root ::= "<a>" [^<]* "</a>"')
    for text in ("", "<", "<a", "<a>x</", "<a>é</a>"):
        assert automaton.walk(0, text.encode()) != DEAD
    for text in ("a", "<a>x<a", "<a></a>x"):
        assert automaton.walk(0, text.encode()) == DEAD


def test_the_nearest_end_leaves_open_what_may_be_any_letter():
    automaton = compile_grammar('root ::= [^<]* "<b>" [AB] "</b>"')
    assert automaton.missing[0] == 8
    assert automaton.ending(0) == (EndingPart("<b>"), EndingPart("A", "AB"), EndingPart("</b>"))
    assert automaton.ending(automaton.walk(0, b"x <b>B")) == (EndingPart("</b>"),)
    assert automaton.ending(automaton.walk(0, b"x <b>B</b>")) == ()
    rating = compile_grammar('root ::= "[[" ([1-9] | "10") "]]"')
    assert rating.ending(0) == (EndingPart("[["), EndingPart("1", "123456789"), EndingPart("]]"))
    assert compile_grammar('root ::= "€" [XY]').ending(0) == (EndingPart("€"), EndingPart("X", "XY"))


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        ("", r"line 1, column 1: a grammar begins with a rule"),
        ('hello root ::= "a"', r"a grammar begins with a rule"),
        ('a ::= "b"', r'there is no rule "root"'),
        ('root ::= "a" x', r'line 1, column 14: there is no rule "x"'),
        ('root ::= "a"\nroot ::= "b"', r'line 2, column 1: the rule "root" occurs twice'),
        ('root ::= "a" x\nx ::= "(" x ")" | "b"', r'line 2, column 11: the rule "x" refers to itself'),
        ('root ::= "a', r'line 1, column 10: " is missing'),
        ('root ::= "a"\nx ::= ("b"', r"line 2, column 7: this parenthesis is not closed"),
        ('root ::= "a")', r"line 1, column 13: '\)' is not expected here"),
        ("root ::= [b-a]", "a range of letters ends below its beginning"),
        ("root ::= [^\\x00-\\U0010FFFF]", "no letter is in these brackets"),
        ('root ::= "\\q"', r"line 1, column 11: \\q is no escape"),
        ('root ::= "a"{3,1}', r"ends below its beginning"),
        ('root ::= "a"{x}', r"a repetition is"),
        ('root ::= ("a"{1000}){1000}', "too large"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(grammar, message):
    with pytest.raises(ConfigError, match=message):
        compile_grammar(grammar)
