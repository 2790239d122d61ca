"""The tables of the docs are made of the configuration models, and up to date."""

import runpy
from pathlib import Path

import pytest

from rmr1.config import RlConfig, list_keys

DOCS = Path(__file__).parents[3] / "docs"
TABLES = runpy.run_path(str(DOCS / "tables.py"), run_name="tables")


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_tables_are_up_to_date(page):
    text = page.read_text(encoding="utf-8")
    assert TABLES["filled"](text) == text, "run: python docs/tables.py"


def test_every_model_has_its_table():
    text = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
    assert [name for name in TABLES["MODELS"] if f"<!-- table: {name} -->" not in text] == []


def test_a_table_lists_every_key_with_default_meaning_and_choices():
    table = TABLES["filled"]("before\n<!-- table: RlConfig -->\nold\n<!-- end -->\nafter\n")
    assert table.startswith("before\n<!-- table: RlConfig -->\n| key | default | meaning |\n")
    assert table.endswith("<!-- end -->\nafter\n")
    assert all(f"\n| `{key.name}` | " in table for key in list_keys(RlConfig))
    assert "| `rollouts` | `4` | Rollouts per comparison |" in table
    assert "(`batch`, `generate`, `vllm`) |" in table
