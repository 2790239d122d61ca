"""README and docs/ say what is so: links resolve, examples compile, every configuration key is listed with its default."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import typer
import yaml

from rmr1.cli.main import app
from rmr1.config import JudgeConfig, load_config
from rmr1.models.providers import PROVIDERS
from rmr1.models.resolve import ENGINES
from rmr1.pipeline import TrainRecipe
from rmr1.prompts import template_names
from rmr1.results import BenchmarkResults, DistillResults, JudgeResults, RlStepMetrics, SftStepMetrics
from rmr1.verdict import RULES, problems

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
ROOT_PAGES = {
    DOCS / "index.md": "README.md",
    DOCS / "contributing.md": "CONTRIBUTING.md",
    DOCS / "changelog.md": "CHANGELOG.md",
}
"""Pages of the site that live at the root, see docs/site_pages.py."""
PAGES = [*(ROOT / name for name in ROOT_PAGES.values()), *sorted(DOCS.rglob("*.md"))]
VERBS = typer.main.get_command(app).commands
LINK = re.compile(r"\]\(([^)\s]+)\)")


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def outside_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path) -> Iterator[str]:
    for link in LINK.findall(outside_code(path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        target = ROOT / ROOT_PAGES.get(target, target)
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            yield link


def rows(section: str) -> dict[str, str]:
    """First and second cell of each row of the tables in a section."""
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]*?) \|", section, re.MULTILINE))


def section(name: str, heading: str) -> str:
    return page(name).split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(path: Path) -> None:
    assert list(broken_links(path)) == []


def test_the_sample_configuration_loads(tmp_path: Path) -> None:
    samples = re.findall(r"^```yaml judge\n(.*?)^```", page("configuration.md"), re.DOTALL | re.MULTILINE)
    assert samples
    for sample in samples:
        file = tmp_path / "judge.yaml"
        file.write_text(sample, encoding="utf-8")
        load_config(JudgeConfig, file=file, environment={})


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_fit_a_screen(path: Path) -> None:
    """Tables and code are as wide as they are."""
    prose = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert [line for line in prose.splitlines() if len(line) > 132 and not line.startswith("|")] == []


def test_templates_rules_and_problems_are_listed() -> None:
    assert set(rows(section("prompts.md", "Templates that ship"))) == set(template_names())
    assert list(rows(section("verdicts.md", "Rules")))[: len(RULES)] == list(RULES)
    named = set(re.findall(r"``([\w<>]+)``", problems.__doc__.split("Names:")[1]))
    listed = {
        name
        for line in section("verdicts.md", "Problems").splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([\w<>]+)`", line.split("|")[1])
    }
    assert listed == named


def names(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


def test_figures_of_judge_and_keys_of_a_training_are_listed() -> None:
    summary = {
        name
        for cell in re.findall(r"^\| (`.+?) \|", section("judging.md", "Summary"), re.MULTILINE)
        for name in cell.split("`")
    }
    assert summary - {"", ", "} == names(JudgeResults)
    keys = page("training.md").split("| key | what it takes |", 1)[1]
    listed = {
        name for cell in re.findall(r"^\| (`.+?) \|", keys, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }
    assert listed | {"model", "template"} == set(TrainRecipe.model_fields)


def test_what_results_and_metrics_are_said_to_have_is_in_their_types() -> None:
    beside = section("evaluation.md", "Figures").split("| in `results.json` | what it says |", 1)[1]
    assert {name.partition(".")[0] for name in re.findall(r"^\| `([\w.]+)` \|", beside, re.MULTILINE)} <= names(
        BenchmarkResults
    )
    steps = re.search(r"A step's line has (.*?)\. `position", page("rl.md"), re.DOTALL)
    assert steps is not None
    assert set(re.findall(r"`(\w+)`", steps[1])) <= names(RlStepMetrics)
    assert {"loss", "learning_rate", "grad_norm", "tokens", "seconds"} <= names(SftStepMetrics)
    assert {"kept", "repaired", "rejected", "faulted", "left", "comparisons", "rejected_by_reason", "passes"} <= names(
        DistillResults
    )


def test_every_engine_has_its_section() -> None:
    text = page("engines.md")
    hosted = re.findall(r"^\| `(\w+)` \|", section("engines.md", "Hosted APIs"), re.MULTILINE)
    assert [one for one in ENGINES.builtin if f"\n## {one}\n" not in text and one not in hosted] == []
    assert set(PROVIDERS) <= set(hosted)


def test_every_extra_is_listed() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(rows(text.split("\n## Install\n", 1)[1].split("\n## ", 1)[0])) == set(extras)


PYTHON = re.compile(r"^ *```python\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_examples_compile_and_find_what_they_import(path: Path) -> None:
    for number, code in enumerate(PYTHON.findall(path.read_text(encoding="utf-8"))):
        tree = ast.parse(code, f"{path.name}:{number}")
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("rmr1."):
                module = importlib.import_module(node.module or "")
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []


def test_the_workflow_runs_on_every_supported_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    supported = [name.rpartition(" ")[2] for name in project["classifiers"] if re.search(r"Python :: 3\.\d+$", name)]
    assert workflow["jobs"]["run"]["strategy"]["matrix"]["python"] == supported
    assert {"run": ".ci/run"} in workflow["jobs"]["run"]["steps"]


@pytest.mark.parametrize("path", sorted((DOCS / "api").glob("*.md")), ids=lambda path: path.name)
def test_pages_of_names_name_what_there_is(path: Path) -> None:
    for name in re.findall(r"^::: (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        assert pkgutil.resolve_name(name) is not None
