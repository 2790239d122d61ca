"""Rules for the tests: they use what is public, as a user of the code would."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PRIVATE_OF_OTHERS = {
    "contract/test_trl.py": "it holds the private names of TRL that training relies on",
    "contract/test_transformers.py": "likewise, of transformers",
    "unit/prefix/test_attention.py": "torch has no public way to ask a module for its hooks",
    "unit/training/test_run.py": "torch has no public question for the instructions of a processor",
}
"""Names of other libraries, where there is no public one. Of our own classes there are none."""
LIMITS = re.compile(r"rmr1\.[\w.]+\._[A-Z][A-Z_]*$")
"""Constants of modules that set a size or an interval may be made small by their dotted names."""
NAMEDTUPLE = ("_replace", "_asdict", "_make", "_fields")


class PrivateUses(ast.NodeVisitor):
    """Names with one underscore that are reached from outside: not through the ``self`` or ``cls`` of a class in the test."""

    def __init__(self):
        self.found, self.depth = [], 0

    def visit_ClassDef(self, node):
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    def visit_Attribute(self, node):
        own = self.depth and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        if re.match(r"_[a-z]", node.attr) and node.attr not in NAMEDTUPLE and not own:
            self.found.append((node.attr, node.lineno))
        self.generic_visit(node)

    def visit_ImportFrom(self, node):
        if (node.module or "").startswith("rmr1"):
            self.found += [(alias.name, node.lineno) for alias in node.names if re.match("_[a-z]", alias.name)]

    def visit_Call(self, node):
        if getattr(node.func, "attr", getattr(node.func, "id", "")) in ("setattr", "getattr", "delattr"):
            texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            self.found += [
                (text, node.lineno)
                for text in texts
                if re.match("_[a-zA-Z]", text.rpartition(".")[2]) and not LIMITS.match(text)
            ]
        self.generic_visit(node)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT / "tests").as_posix())
def test_tests_use_what_is_public(path):
    visitor = PrivateUses()
    visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
    assert not visitor.found or path.relative_to(ROOT / "tests").as_posix() in PRIVATE_OF_OTHERS, visitor.found


def test_every_exception_is_needed():
    for name in PRIVATE_OF_OTHERS:
        visitor = PrivateUses()
        visitor.visit(ast.parse((ROOT / "tests" / name).read_text(encoding="utf-8")))
        assert visitor.found, name
