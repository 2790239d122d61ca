"""Ratings and scores of one response: what counts, and what is no rating."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmr1.records import Generation
from rmr1.verdict import parse_rating, parse_score, score_text


def read(text, finish="stop", **settings):
    return parse_rating(Generation("r", text, finish, **settings))


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Fine. <answer>[[7]]</answer>", 7.0),
        ("<answer> [[ 10 ]] </answer>", 10.0),
        ("<answer>[[8.5]]</answer>", 8.5),
        ("<think>a 3? <answer>[[3]]</answer></think>It is good. <answer>[[9]]</answer>", 9.0),
        ("<quote_A><answer>[[10]]</answer></quote_A> it says. <answer>[[2]]</answer>", 2.0),
        ("<answer>[[4]]</answer> so <answer>[[4]]</answer>", 4.0),
    ],
)
def test_the_rating_is_the_only_value_of_an_answer_outside_thought_and_quotation(text, score):
    verdict = read(text)
    assert (verdict.score, verdict.invalid, verdict.side, verdict.rule) == (score, None, None, "rating")
    assert text[verdict.position :].startswith(f"{score:g}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "missing"),
        ("Rating: 7", "missing"),
        ("[[7]]", "missing"),
        ("<answer>[[7/10]]</answer>", "missing"),
        ("<answer>[[A]]</answer>", "missing"),
        ("<answer>[[0]]</answer>", "missing"),
        ("<answer>[[11]]</answer>", "missing"),
        ("<answer>[[-3]]</answer>", "missing"),
        ("<answer>[[3]]</answer><answer>[[4]]</answer>", "conflicting"),
        ("<answer>[[3]]</answer><answer>[[30]]</answer>", "conflicting"),
        ("<think><answer>[[3]]</answer></think>", "missing"),
    ],
)
def test_anything_else_is_no_rating(text, reason):
    verdict = read(text)
    assert (verdict.score, verdict.invalid, verdict.position) == (None, reason, None)


def test_a_rating_off_the_scale_is_named():
    assert "rating_off_scale" in read("<answer>[[12]]</answer>").problems
    assert "rating_off_scale" not in read("<answer>[[A]]</answer>").problems


def test_the_end_of_a_completion_matters():
    rated = "<answer>[[3]]</answer>"
    assert read(rated, "length").score == 3.0
    assert read("so", "length").invalid == "truncated"
    assert read(rated, "refused").invalid == "refused"
    assert read(rated, "error", error="gone").invalid == "engine_error"
    assert read(f"hm {rated}", "length", think_open=True).invalid == "truncated"
    assert read(rated + " <answer>" * 5000).invalid == "missing"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_score_is_read_back_to_the_last_bit(score):
    verdict = parse_score(Generation("r", score_text(score)))
    assert (verdict.score, verdict.invalid, verdict.rule) == (score, None, "score")


@pytest.mark.parametrize("text", ["", "nan", "inf", "good", "1.0 2.0", "1,5", "[[3]]", "1e999"])
def test_what_is_no_finite_number_is_no_score(text):
    assert parse_score(Generation("r", text)).invalid == "missing"


def test_a_failed_request_has_no_score():
    assert parse_score(Generation("r", "1.0", "error", error="gone")).invalid == "engine_error"


@given(st.text())
def test_no_text_raises_anything(text):
    for verdict in (read(text), read(text, "length", think_open=True), parse_score(Generation("r", text))):
        assert (verdict.score is None) != (verdict.invalid is None)
