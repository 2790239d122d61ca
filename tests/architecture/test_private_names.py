"""Private names of other libraries are used in one file for each library; see docs/decisions/0014."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "rmr1"
INTERNALS = {
    "trl": PACKAGE / "training" / "trl_internals.py",
    "transformers": PACKAGE / "prefix" / "transformers_internals.py",
    "torch": PACKAGE / "prefix" / "torch_internals.py",
}
MODULES = sorted(set(PACKAGE.rglob("*.py")) - set(INTERNALS.values()))


def is_private(name):
    return name.startswith("_") and not name.endswith("__") and name.strip("_") != ""


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def defined(tree):
    """Private names that a file defines: functions, classes, fields, attributes of ``self``, and names of its own."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
            found.add(node.attr)
    return set(filter(is_private, found))


def is_self(node):
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def methods_of_derived_classes(tree):
    """Methods of classes that have a base; others can override nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.bases:
            yield from (method.name for method in node.body if isinstance(method, ast.FunctionDef))


def named(tree):
    """What a file names as an attribute or a keyword."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg


def used(tree):
    """The same, and what it may name by a string."""
    yield from named(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value


def foreign(path):
    """The private names of a library that its file uses, overrides or sets."""
    tree = parsed(path)
    own = {name.id for name in ast.walk(tree) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
    return set(filter(is_private, {*used(tree), *methods_of_derived_classes(tree)})) - own


OURS = set().union(*(defined(parsed(path)) for path in MODULES))


def violations(tree, known):
    own = defined(tree)
    overridden = known & set(methods_of_derived_classes(tree))
    unknown = {name for name in named(tree) if is_private(name) and name not in OURS | own}
    stored = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in known
    }
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return overridden | unknown | ({name for name in used(tree) if name in known} - functions) | stored


KNOWN = set().union(*map(foreign, INTERNALS.values()))


@pytest.mark.parametrize("library", INTERNALS)
def test_the_file_of_each_library_holds_something(library):
    assert foreign(INTERNALS[library])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_private_name_of_another_library_is_used_elsewhere(path):
    assert not violations(parsed(path), KNOWN), f"use it in the library's file, one of {sorted(INTERNALS)}, and say why"


@pytest.mark.parametrize(
    "code",
    [
        "model._supports_attention_backend",
        "getattr(model, '_is_stateful', False)",
        "trainer._something_new()",
        "create(mask, _compile=True)",
        "class Ours(Trainer):\n    def _save_checkpoint(self): ...",
        "class Ours(Trainer):\n    def keep(self):\n        self._created_lr_scheduler = True",
        "class Ours(GRPOTrainer):\n    def parse(self):\n        return self._is_vlm",
    ],
)
def test_breaking_the_rule_is_noticed(code):
    assert violations(ast.parse(code), KNOWN)
