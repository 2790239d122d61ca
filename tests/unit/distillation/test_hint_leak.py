"""What gives the hint away, and what only looks like it."""

import pytest

from rmr1.distillation.hint_leak import PATTERNS, leaked_hints

LEAKS = {
    "The correct verdict is A.": "known_verdict",
    "Since the given verdict is B, I conclude so.": "known_verdict",
    "The expected verdict is [[A]]": "known_verdict",
    "The right judgement must be B.": "known_verdict",
    "The preferred label is A.": "known_verdict",
    "The gold label says so.": "gold_label",
    "The ground truth label favours B.": "gold_label",
    "Human annotators preferred A.": "gold_label",
    "The label says A.": "gold_label",
    "According to the label, Chatbot B is better.": "by_the_verdict",
    "Given the verdict, A must be better.": "by_the_verdict",
    "To match the known verdict, I choose B.": "by_the_verdict",
    "This is consistent with the human preference.": "by_the_verdict",
    "The verdict was already provided.": "verdict_was_given",
    "The verdict given is B.": "verdict_was_given",
    "I was told that A is the better response.": "told",
    "I’ve been informed that the other side is right.": "told",
    "I'm instructed to choose B.": "told",
    "I have been asked to correct this.": "told",
    "We know that Chatbot A is the better response.": "known_side",
    "It is known that response B is the better one.": "known_side",
    "As given, B is better because it answers.": "known_side",
    "As stated by the label, A wins.": "known_side",
    "The failed judgement overlooked this.": "earlier_attempt",
    "The previous attempt got the arithmetic wrong.": "earlier_attempt",
    "My earlier evaluation favoured A.": "earlier_attempt",
    "Unlike the earlier analysis, this one is careful.": "earlier_attempt",
    "The provided judgment is wrong.": "earlier_attempt",
    "Here is the corrected judgement:": "correction",
    "I will fix the verdict.": "correction",
    "The hint says B.": "hint",
}
HONEST = """
The correct answer is 42, so Chatbot A is right.
The correct decision is a bold one, as A says.
As given in the question, the train leaves at noon.
As stated in the problem, x is positive.
As required, A ends with Yours.
A is better, as expected from its correct solution.
Based on the given information, A follows.
According to the question, ten apples are left.
Given the rubric, A wins.
I am given two responses to compare.
Chatbot B repeats what the user was told in the earlier turn.
The previous answer of the user is repeated by B.
Chatbot A corrects the earlier mistake in its own reasoning.
The first attempt of Chatbot B at the sum is wrong.
Chatbot A's initial analysis is right, but its conclusion is not.
A gives a hint, B the whole solution.
My verdict: A is better.
The final verdict is A.
Since the verdict of the court was appealed, A is right about the law.
Chatbot B labels the axes; the label is missing in A.
The label on the bottle is quoted by A.
The user prefers a short answer.
The corrected code of Chatbot B compiles.
The evaluation of the integral by A is wrong.
The actual winner of the election was someone else, so B is wrong.
The right judgement of the distance matters.
""".strip().splitlines()


@pytest.mark.parametrize(("text", "name"), LEAKS.items())
def test_a_leak_is_found_by_its_pattern(text, name):
    assert name in leaked_hints(f"<eval>Some words before. {text} And after.</eval>")
    assert name in leaked_hints(text.upper().replace("CHATBOT", "chatbot"))


def test_every_pattern_is_tested():
    assert set(LEAKS.values()) == set(PATTERNS)


@pytest.mark.parametrize("text", HONEST)
def test_what_good_judgements_say_is_no_leak(text):
    assert leaked_hints(f"<eval>{text}</eval>") == ()


def test_a_leak_over_a_line_break_is_found():
    assert leaked_hints("so the correct\n   verdict is B") == ("known_verdict",)


def test_words_of_a_response_are_not_the_writers():
    shown = ["Dear user,\nI was told that   B is better."]
    quote = "I was told that B is better."
    trace = f"<quote_A>{quote}</quote_A> is beside the point."
    assert leaked_hints(trace, [quote], shown) == ()
    assert leaked_hints(trace, [quote], ["something else"]) == ("told",)
    assert leaked_hints(trace + " The correct verdict is A.", [quote], shown) == ("known_verdict",)


def test_a_short_quote_hides_nothing():
    assert leaked_hints("I was told that A is better", ["was"], ["it was"]) == ("told",)
