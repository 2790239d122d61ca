"""The rules of the house that no linter knows."""

import ast
import dataclasses
import functools
import json
import re
import subprocess
import sys
import types
import typing
from collections import Counter, defaultdict
from collections.abc import Mapping
from importlib.metadata import requires
from pathlib import Path

import pytest

from rmr1 import errors, records, results
from rmr1.errors import ResultsError

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


@functools.cache
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
    for path in MODULES:
        name, nodes = named(path), list(ast.walk(parsed(path)))
        documented = [
            node
            for node in nodes
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        docstrings = {ast.get_docstring(node, clean=False) for node in documented}
        strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        for mark, allowed in owners.items():
            found = [text for text in strings - docstrings if mark in text] + [text for text in names if text == mark]
            assert not found or name.startswith(allowed), f"{name}: {found}"


def test_json_from_outside_has_one_reader():
    """It bounds depth and numbers, and refuses keys that are there twice; what a run wrote has a check of its own."""
    for path in MODULES:
        if not named(path).startswith(("files.py", "runs/")):
            calls = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute)]
            found = [one.lineno for one in calls if one.attr in ("loads", "load") and ast.unparse(one.value) == "json"]
            assert not found, f"{named(path)}:{found}: json.loads; read it with rmr1.files.parse_json"


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


SMALL = 60
REGISTRY_ENTRIES = ("curriculum/families/", "benchmarks/suite/", "cli/", "engines/")
"""A family, a benchmark, a verb or an engine is one file, however small: it is an entry of a registry."""

ENTRY_POINTS = frozenset({"__init__.py", "cli/main.py"})

DICT_SIGNATURES = 60
EDGES = (
    # files of other formats and versions
    "files.py",
    "results/",
    "runs/",
    "benchmarks/benchmark.py",
    "benchmarks/eval_runs.py",
    "benchmarks/released.py",
    "benchmarks/suite/",
    "export/",
    "judging/completions.py",
    # options, and fields of configuration models
    "cli/options.py",
    # HTTP
    "engines/anthropic.py",
    "engines/llamacpp.py",
    # other libraries: Reasoning Gym, transformers, TRL
    "curriculum/material.py",
    "prefix/attention.py",
    "training/",
)
"""Where dicts of others come in or go out."""

OLD_NAMES = re.compile(
    r"[Jj]udgement|[Ll]istener|why_not|cannot_write|look_at_machine|^(Asked|Asking|Shown|Held|Course|Chooser|keeping)$"
)
"""Names of an earlier dialect; docs/terms.md has the words that took their place."""


def named(path):
    return path.relative_to(PACKAGE).as_posix()


@functools.cache
def importers():
    """Modules by the modules that import them; what a package's ``__init__`` imports is imported by that package."""
    dotted = {
        "rmr1." + named(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): named(path)
        for path in MODULES
    }
    found = defaultdict(set)
    for path in MODULES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                targets = [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
            else:
                continue
            for target in targets:
                if target in dotted and dotted[target] != named(path):
                    found[dotted[target]].add(named(path))
    return found


def test_modules_hold_an_idea_each():
    """The package grows with what it can do; a module that is cut off from its idea makes it longer to read."""
    modules = [path for path in MODULES if path.name != "__init__.py"]
    lines = sum(path.read_text(encoding="utf-8").count("\n") for path in modules)
    assert lines / len(modules) > 120, f"{len(modules)} modules, {lines / len(modules):.0f} lines each"


def test_what_only_one_module_uses_stands_in_that_module():
    small = [
        named(path)
        for path in MODULES
        if path.name not in ENTRY_POINTS
        and named(path) not in ENTRY_POINTS
        and not named(path).startswith(REGISTRY_ENTRIES)
        and path.read_text(encoding="utf-8").count("\n") < SMALL
        and len(importers()[named(path)]) < 2
    ]
    assert small == [], "merge each with the module that imports it"


def functions(path):
    return [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_a_class_name_is_used_once():
    where = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef):
                where[node.name].append(named(path))
    assert {name: places for name, places in where.items() if len(places) > 1} == {}


def test_no_function_bears_the_name_of_its_module():
    """``from package import name`` would give one or the other, depending on what was imported before."""
    for path in MODULES:
        top = {node.name for node in parsed(path).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert path.stem not in top or named(path) == "cli/main.py", named(path)
        if path.name == "__init__.py":
            children = {child.stem if child.is_file() else child.name for child in path.parent.iterdir()}
            imported = {
                alias.asname or alias.name
                for node in parsed(path).body
                if isinstance(node, ast.ImportFrom) and node.module not in (None, "rmr1")
                for alias in node.names
            }
            assert not (children & (imported | top)), f"{named(path)}: {sorted(children & (imported | top))}"


def takes_or_gives_a_dict(function):
    arguments = function.args
    annotations = [
        argument.annotation
        for argument in (
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        )
        if argument is not None
    ]
    texts = [ast.unparse(one) for one in (*annotations, function.returns) if one is not None]
    return any("Mapping[str, Any]" in text or "dict[str, Any]" in text for text in texts)


def test_dicts_are_passed_at_the_edges_only():
    """Inside, values have types: a misspelt key is found by mypy and not by a user."""
    counts = Counter({named(path): sum(map(takes_or_gives_a_dict, functions(path))) for path in MODULES})
    found = {name: count for name, count in counts.items() if count}
    assert sum(found.values()) < DICT_SIGNATURES
    assert [name for name in found if not name.startswith(EDGES)] == []
    assert [edge for edge in EDGES if not any(name.startswith(edge) for name in found)] == [], "no edge any more"


def test_reports_are_made_of_typed_results():
    for path in MODULES:
        if named(path).startswith("report/"):
            assert [one.name for one in functions(path) if takes_or_gives_a_dict(one)] == [], named(path)


RESULTS = [kind for kind in vars(results).values() if isinstance(kind, type)]
VERBS = [kind for kind in RESULTS if issubclass(kind, results.Results) and kind is not results.Results]


def example_of(kind):
    """A value of a type, made from its annotations alone."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is type(None):
        return None
    if origin in (typing.Union, types.UnionType):
        return example_of(next(one for one in inner if one is not type(None)))
    if origin is typing.Literal:
        return inner[-1]
    if origin is tuple:
        return (example_of(inner[0]),) if inner[-1] is Ellipsis else tuple(map(example_of, inner))
    if origin is not None and issubclass(origin, Mapping):
        return {example_of(inner[0]): example_of(inner[1])}
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{field.name: example_of(hints[field.name]) for field in dataclasses.fields(kind)})
    return {bool: True, int: 3, float: 0.5, str: "text"}.get(kind, "anything")


@pytest.mark.parametrize("kind", RESULTS, ids=lambda kind: kind.__name__)
def test_results_are_frozen_and_slotted(kind):
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)


@pytest.mark.parametrize("kind", VERBS, ids=lambda kind: kind.__name__)
def test_results_come_back_from_their_file(kind):
    value = example_of(kind)
    content = json.loads(json.dumps(value.to_json()))
    assert kind.from_json(content) == value
    assert (content["kind"], content["schema"]) == (kind.kind, results.SCHEMA)
    for wrong in ({**content, "schema": results.SCHEMA - 1}, {**content, "kind": "other"}):
        with pytest.raises(ResultsError, match=r"some/results\.json"):
            kind.from_json(wrong, "some/results.json")


def test_each_verb_has_a_kind_of_its_own():
    assert "" not in {kind.kind for kind in VERBS}
    assert len({kind.kind for kind in VERBS}) == len(VERBS)


def identifiers(path):
    """Every name that a module gives or uses."""
    for node in ast.walk(parsed(path)):
        for field in ("id", "attr", "arg", "name", "asname"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield name


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_one_thing_has_one_name(path):
    assert sorted({name for name in identifiers(path) if OLD_NAMES.search(name)}) == []
    assert not re.search(r"\bso many\b", path.read_text(encoding="utf-8"), re.IGNORECASE), "this many, or the number"


def test_what_says_why_not_is_called_unsupported_reason():
    """A name such as ``supports`` would read as its opposite in ``if supports(model)``."""
    for path in MODULES:
        for one in functions(path):
            reason = one.returns is not None and ast.unparse(one.returns) == "str | None"
            if reason and (ast.get_docstring(one) or "").startswith("Why "):
                assert "reason" in one.name, f"{named(path)}: {one.name}"
            if one.name.startswith(("supports", "can_", "is_", "has_")):
                assert one.returns is not None
                given = ast.unparse(one.returns)
                assert given == "bool" or given.startswith("TypeGuard"), f"{named(path)}: {one.name}"
