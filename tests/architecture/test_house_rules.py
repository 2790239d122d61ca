"""The rules of the house that no linter knows."""

import ast
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

from rmr1 import errors, records

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "rmr1"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = (
    "torch",
    "transformers",
    "vllm",
    "fastapi",
    "openai",
    "anthropic",
    "xllamacpp",
    "datasets",
    "pyarrow",
    "huggingface_hub",
    "trl",
    "peft",
    "accelerate",
    "tokenizers",
    "gguf",
    "reasoning_gym",
    "datasketch",
    "inspect_ai",
)


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, rmr1, rmr1.cli.main; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_base_install_has_nothing_heavy():
    base = [line for line in requires("rmr1") if "extra ==" not in line]
    assert base
    assert not [line for line in base if line.split(">")[0].strip() in HEAVY]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_small_documented_and_named_for_what_they_hold(path):
    assert path.stem not in ("utils", "helpers", "common", "misc")
    assert ast.get_docstring(parsed(path)), "a module says what it is for"
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 500, "a file of this length wants to be two"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_are_short(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 50, f"{node.name} has {length} lines"


def test_one_parser_one_renderer_one_journal():
    """Verdict marks, prompt blocks and journal lines are each known to one room only."""
    owners = {"[[": ("verdict", "prompts"), "Chatbot A": ("prompts", "data/judge_prompts.py"), "O_APPEND": ("runs",)}
    for mark, allowed in owners.items():
        for path in MODULES:
            name = path.relative_to(PACKAGE).as_posix()
            strings = [
                node.value
                for node in ast.walk(parsed(path))
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and mark in node.value
            ]
            names = [
                node.attr for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute) and node.attr == mark
            ]
            docstrings = {
                ast.get_docstring(node, clean=False)
                for node in ast.walk(parsed(path))
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            }
            found = [text for text in strings if text not in docstrings] + names
            assert not found or name.startswith(allowed), f"{name}: {found}"


def test_records_are_frozen_and_slotted():
    kinds = [kind for kind in vars(records).values() if isinstance(kind, type) and kind.__module__ == records.__name__]
    assert len(kinds) > 10
    for kind in kinds:
        assert kind.__dataclass_params__.frozen, kind
        assert "__slots__" in vars(kind), kind


def test_every_error_is_a_standard_one_too_and_stands_in_the_tree():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RMR1Error)]
    standard = (ValueError, ImportError, LookupError, OSError, RuntimeError)
    for kind in kinds:
        assert kind.__name__ in errors.__doc__
        assert kind is errors.RMR1Error or issubclass(kind, standard), kind
