"""Settings as reports show them: in words, never as Python writes them."""

import csv
import io

import pytest

from rmr1.report.tables import Table, csv_text, fact_rows, fact_text, markdown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        ({"prompt": "question", "chosen": "good"}, "prompt=question,chosen=good"),
        ({"engine": "hf/judge", "think_open": False}, "engine=hf/judge,think_open=no"),
        (["temperature", "seed"], "temperature, seed"),
    ],
)
def test_a_setting_is_shown_in_words(value, text):
    assert fact_text(value) == text


def test_settings_without_a_value_are_left_out():
    assert fact_rows({"base_url": None, "columns": {}, "max_tokens": 12, "fence": False}) == (
        ("max tokens", "12"),
        ("fence", "no"),
    )


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|'/C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "  =1", "\n=1", "＝1", "=HYPERLINK(1)"]
)
def test_no_cell_is_a_formula(text):
    (row,) = list(csv.reader(io.StringIO(csv_text(("name",), [(text,)]))))[1:]
    assert row == [f"'{text}"]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        (-0.5, "-0.5"),
        ("-0.5", "-0.5"),
        ("+3 %", "+3 %"),
        ("-1e-3", "-1e-3"),
        (None, ""),
        ("a-b", "a-b"),
        ("x\x1b", "x\\x1b"),
    ],
)
def test_numbers_and_names_stay_as_they_are(cell, written):
    assert csv_text(("name", "more"), [(cell, 1)]) == f"name,more\n{written},1\n"


def test_a_text_makes_no_markup_in_markdown():
    (title, *_, row) = markdown(iter([Table("a\n# b", ("x",), (("<b>|[y](z)\u2028# w",),))])).split("\n")[:-1]
    assert title == "### a # b"
    assert row == "| &lt;b>\\|\\[y](z) # w |"
