"""README and docs/ say what is so: links resolve, commands exist, every configuration key is listed with its default."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml
from pydantic import BaseModel

from rmr1.cli.main import app
from rmr1.config import DistillConfig, EngineConfig, JudgeConfig, RlConfig, SftConfig, load_config
from rmr1.models.resolve import ENGINES
from rmr1.prompts import template_names
from rmr1.verdict import RULES, problems

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
VERBS = typer.main.get_command(app).commands
SHELL_BLOCK = re.compile(r"^ *```(?:sh|bash|console)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SEPARATORS = {"|", "||", "&&", ";", ">", ">>", "<", "2>"}


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
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            yield link


def commands(text: str) -> list[list[str]]:
    """The words after ``rmr1`` of each command in the shell blocks of a page, up to a pipe or a redirection."""
    found = []
    for block in SHELL_BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            for place, word in enumerate(words):
                if word == "rmr1" or word.endswith("/rmr1"):
                    rest = words[place + 1 :]
                    end = next((number for number, other in enumerate(rest) if other in SEPARATORS), len(rest))
                    found.append(rest[:end])
    return found


def mistakes(words: list[str]) -> Iterator[str]:
    if not words or words[0].startswith("-"):
        known = {name for option in typer.main.get_command(app).params for name in option.opts}
        yield from (word for word in words if word not in known | {"--help"})
        return
    verb, *arguments = words
    if verb not in VERBS:
        yield f"no verb {verb}"
        return
    known = {"--help"} | {name for option in VERBS[verb].params for name in (*option.opts, *option.secondary_opts)}
    for argument in arguments:
        name = argument.partition("=")[0]
        if re.match(r"--?[a-z]", name) and name not in known:
            yield f"rmr1 {verb} has no {name}"


def rows(section: str) -> dict[str, str]:
    """First and second cell of each row of the tables in a section."""
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]*?) \|", section, re.MULTILINE))


def section(name: str, heading: str) -> str:
    return page(name).split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(path: Path) -> None:
    assert list(broken_links(path)) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist(path: Path) -> None:
    found = commands(path.read_text(encoding="utf-8"))
    assert [mistake for words in found for mistake in mistakes(words)] == []


def test_commands_are_found_and_mistakes_in_them_too() -> None:
    block = "```sh\nzcat x | RMR1_SEED=1 rmr1 judge - \\\n  --jsn --votes=2 > out --no-such\nrmr1 juge\nrmr1 --version\n```\n"
    found = commands(block)
    assert found == [["judge", "-", "--jsn", "--votes=2"], ["juge"], ["--version"]]
    assert [mistake for words in found for mistake in mistakes(words)] == ["rmr1 judge has no --jsn", "no verb juge"]
    assert len(commands((ROOT / "README.md").read_text(encoding="utf-8"))) > 3


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_settings_in_commands_are_accepted(path: Path) -> None:
    for words in commands(path.read_text(encoding="utf-8")):
        if words[:1] == ["judge"]:
            settings = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
            load_config(JudgeConfig, settings=settings, environment={})


@pytest.mark.parametrize(
    ("heading", "kind", "prefix"), [("Judging", JudgeConfig, ""), ("Engines", EngineConfig, "engine.")]
)
def test_every_configuration_key_is_listed_with_its_default(heading: str, kind: type[BaseModel], prefix: str) -> None:
    listed = rows(section("configuration.md", heading))
    assert set(listed) == {f"{prefix}{name}" for name in kind.model_fields}
    for name, field in kind.model_fields.items():
        cell = listed[f"{prefix}{name}"]
        if isinstance(field.default, BaseModel):
            assert cell == "as below"
        else:
            value = yaml.safe_load(cell.strip("`"))
            assert (tuple(value) if isinstance(value, list) else value) == field.default, name


@pytest.mark.parametrize(("name", "kind"), [("sft.md", SftConfig), ("rl.md", RlConfig), ("distill.md", DistillConfig)])
def test_every_key_of_a_job_is_listed_with_its_default(name: str, kind: type[BaseModel]) -> None:
    listed = rows(section(name, "Settings"))
    defaults = dict(flattened(kind))
    assert set(listed) == set(defaults)
    for key, default in defaults.items():
        if isinstance(default, EngineConfig):
            assert "configuration.md#engines" in listed[key]
            continue
        value = yaml.safe_load(listed[key].strip("`"))
        value = tuple(value) if isinstance(default, tuple) else float(value) if isinstance(default, float) else value
        assert value == default, key


def flattened(kind: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, field in kind.model_fields.items():
        if isinstance(field.default, BaseModel) and not isinstance(field.default, EngineConfig):
            yield from flattened(type(field.default), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.default


def test_every_flag_of_judge_is_listed() -> None:
    flags = set(re.findall(r"`(--[a-z-]+)`", section("configuration.md", "Flags of `rmr1 judge`")))
    known = {name for option in VERBS["judge"].params for name in (*option.opts, *option.secondary_opts)}
    assert flags == {name for name in known if name.startswith("--")}


def test_the_sample_configuration_loads(tmp_path: Path) -> None:
    samples = re.findall(r"^```yaml judge\n(.*?)^```", page("configuration.md"), re.DOTALL | re.MULTILINE)
    assert samples
    for sample in samples:
        file = tmp_path / "judge.yaml"
        file.write_text(sample, encoding="utf-8")
        load_config(JudgeConfig, file=file, environment={})


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


def test_every_engine_has_its_section() -> None:
    text = page("engines.md")
    assert [engine for engine in ENGINES.builtin if f"\n## {engine}\n" not in text] == []


def test_every_extra_is_listed() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(rows(text.split("\n## Install\n", 1)[1].split("\n## ", 1)[0])) == set(extras)


def test_python_examples_compile() -> None:
    for path in PAGES:
        for number, code in enumerate(
            re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        ):
            compile(code, f"{path.name}:{number}", "exec")
