"""Whether texts follow grammars."""

import time

import pytest

from rmr1.prompts import follows, load_grammar, load_template, template_names
from rmr1.prompts.gbnf import Grammar

COR = (
    "<type>Chat</type>\n<rubric>\n1. short (60%)\n<justify>why</justify>\n</rubric>\n<eval>\nSo: "
    "<quote_A>a</quote_A> and <summary_B>b</summary_B></eval>\n<answer>[[A]]</answer>"
)


@pytest.mark.parametrize(
    ("grammar", "yes", "no"),
    [
        ('root ::= "a"', ["a"], ["", "aa", "b"]),
        ('root ::= "a" | "b" "c"?', ["a", "b", "bc"], ["ac", "c"]),
        ('root ::= ("a" | "b")+ "." ', ["a.", "abba."], [".", "a"]),
        ("root ::= [a-c]{2,3} [^<\\n]*", ["ab", "abc", "abcd!"], ["a", "ab\n", "ab<"]),
        ('root ::= [[AB]{1} "\\n" "\\x41"', ["[\nA", "B\nA"], ["C\nA"]),
        ('root ::= x {2} # twice\nx ::= "ab"{0,1} "c"', ["cc", "abcabc"], ["c", "ccc"]),
        ('root ::= . "." y\ny ::= "(" y ")" | ""', ["x.", "..(())"], ["x.(", "x.())"]),
        ('root ::= ("a"*)* "b"', ["b", "aaab"], ["a"]),
    ],
)
def test_grammars(grammar, yes, no):
    assert [text for text in yes if not Grammar(grammar).accepts(text)] == []
    assert [text for text in no if Grammar(grammar).accepts(text)] == []


def test_what_is_no_grammar_accepts_anything():
    for text in ("root ::= (", "x ::= y", "root := x", 'root ::= "a', "root ::= root"):
        assert follows("whatever", text)


@pytest.mark.parametrize("template", list(template_names()))
def test_every_shipped_grammar_is_understood(template):
    grammar = load_grammar(load_template(template), max_tokens=2000)
    Grammar(grammar)
    assert not follows("I say [[A]]", grammar)


def test_a_completion_of_cor_and_what_is_none():
    grammar = load_grammar(load_template("cor"), max_tokens=2000)
    assert follows(COR, grammar)
    assert follows(f"\n{COR}\n", grammar), "servers strip, or do not"
    assert follows(f"<think>\nhm\n</think>\n\n{COR}", grammar), "the server has taken the thought out"
    assert not follows(COR.replace("(60%)", "(6%)"), grammar)
    assert not follows(f"Sure! {COR}", grammar)
    opened = load_grammar(load_template("cor"), max_tokens=2000, think_open=True)
    assert follows(f"hm</think>\n\n{COR}", opened)
    assert not follows(COR, opened)


def test_long_texts_take_no_long_time():
    grammar = load_grammar(load_template("cor"), max_tokens=100_000)
    began = time.process_time()
    assert not follows(
        COR.replace("So: ", "x" * 20_000), grammar.replace("note ::= [^<]{1,", "note ::= [^<]{1,1")
    )  # too long
    follows("<" * 50_000, grammar)
    assert time.process_time() - began < 10
