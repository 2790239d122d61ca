"""The regular expressions of the package, found in its source, and texts that cost a bad one the most."""

import ast
import importlib
import importlib.util
import re
import string
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import rmr1
from tests.support.fake_vllm import FakeVllm

PACKAGE = Path(rmr1.__file__).parent
METHODS = ("match", "fullmatch", "search", "findall", "finditer", "split", "sub", "subn")
parser = importlib.import_module("re._parser")


def name_of(path):
    return ".".join(("rmr1", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def methods_in(tree):
    """By the names of a module, how they are used as patterns."""
    used = defaultdict(set)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in METHODS:
            used[node.value.id].add(node.attr)
    used.pop("re", None)
    return used


@cache
def methods_of():
    """By the name of a global pattern, how it is used anywhere in the package."""
    used = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        for name, methods in methods_in(ast.parse(path.read_text(encoding="utf-8"))).items():
            used[name] |= methods
    return used


def calls_of_re(tree):
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr in ("compile", *METHODS)
        ):
            yield node


def held(value, name):
    """The compiled patterns that a global holds, also in mappings and sequences."""
    if isinstance(value, re.Pattern):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from held(inner, f"{name}[{key}]")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from held(inner, f"{name}[{number}]")


def module_of(path):
    """A module of the package; vLLM, which has an environment of its own, is made up for the one that needs it."""
    name = name_of(path)
    if name != "rmr1.engines.vllm":
        return importlib.import_module(name)
    made_up = {} if importlib.util.find_spec("vllm") else FakeVllm().modules()
    sys.modules.update(made_up)
    try:
        return importlib.import_module(name)
    finally:
        for one in (*made_up, *((name,) if made_up else ())):
            sys.modules.pop(one, None)


@cache
def package_patterns():
    """By ``module:name``, every pattern and the methods by which it is used."""
    found = {}
    unread = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = list(calls_of_re(tree))
        if not calls:
            continue
        module = module_of(path)
        globals_ = [pair for name, value in vars(module).items() for pair in held(value, name)]
        # What stands in a mapping or a sequence is used by the name of a variable of this module.
        by_variables = {
            method for name, methods in methods_in(tree).items() if not hasattr(module, name) for method in methods
        }
        for name, pattern in globals_:
            methods = methods_of().get(name) or by_variables or {"fullmatch", "finditer"}
            found[f"{module.__name__}:{name}"] = (pattern, frozenset(methods))
        known = {pattern.pattern for _, pattern in globals_}
        for call in calls:
            flags = [keyword.value for keyword in call.keywords if keyword.arg == "flags"]
            flags += call.args[1:2] if call.func.attr == "compile" else []
            try:
                text, *given = [
                    eval(compile(ast.Expression(node), str(path), "eval"), {**vars(module), "re": re})
                    for node in (call.args[0], *flags)
                ]
            except NameError:
                if not known:
                    unread.append(f"{module.__name__}:{call.lineno}")
                continue
            if text not in known:
                methods = {"match"} if call.func.attr == "compile" else {call.func.attr}
                found[f"{module.__name__}:{call.lineno}"] = (re.compile(text, *given), frozenset(methods))
    return found, unread


ALPHABET = " a1A_.:-<[\n\t,é" + string.punctuation


def sample(tree):
    """A short text that a parsed pattern matches, more or less."""
    return "".join(piece(op, arg) for op, arg in tree)


def piece(op, arg):
    name = str(op)
    if name == "LITERAL":
        return chr(arg)
    if name in ("ANY", "NOT_LITERAL"):
        return next(char for char in "xy" if name == "ANY" or ord(char) != arg)
    if name == "IN":
        return next(
            (char for char in ALPHABET if matches(arg, char)),
            chr(next((b for a, b in arg if str(a) == "LITERAL"), 120)),
        )
    if name == "BRANCH":
        return max((sample(tree) for tree in arg[1]), key=len)
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        low, high, tree = arg
        return sample(tree) * (low or min(1, high))
    if name == "SUBPATTERN":
        return sample(arg[3])
    if name == "ATOMIC_GROUP":
        return sample(arg)
    return ""


CATEGORIES = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w", "NOT_DIGIT": r"\D", "NOT_SPACE": r"\S", "NOT_WORD": r"\W"}


def matches(members, char):
    """Whether a set of a parsed pattern holds a character."""
    negated = any(str(op) == "NEGATE" for op, _ in members)
    return negated != any(is_member(str(op), arg, char) for op, arg in members)


def is_member(op, arg, char):
    if op == "LITERAL":
        return ord(char) == arg
    if op == "RANGE":
        return arg[0] <= ord(char) <= arg[1]
    return op == "CATEGORY" and bool(re.match(CATEGORIES[str(arg).removeprefix("CATEGORY_")], char))


def repeated(tree, before=""):
    """For each repetition in a parsed pattern: what has to stand before it, and what it repeats."""
    for op, arg in tree:
        name = str(op)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield before, sample(arg[2])
            yield from repeated(arg[2], before)
        elif name == "BRANCH":
            for one in arg[1]:
                yield from repeated(one, before)
        elif name == "SUBPATTERN":
            yield from repeated(arg[3], before)
        elif name in ("ATOMIC_GROUP",):
            yield from repeated(arg, before)
        before += piece(op, arg)


def attacks(pattern, length):
    """Texts of about ``length`` characters on which a pattern that backtracks takes quadratic time or worse."""
    tree = parser.parse(pattern.pattern, pattern.flags)
    pieces = dict.fromkeys((("", sample(tree)), *repeated(tree), *(("", unit) for _, unit in repeated(tree))))
    for before, unit in pieces:
        if unit:
            many = unit * (length // len(unit))
            yield before + many
            yield f"{before}{many}\0"
            yield (before + unit) * (length // len(before + unit))
