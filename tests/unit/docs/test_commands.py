"""Every command of the documentation is one that the program takes, or says what it needs that a test machine lacks.

A shell block is preceded by ``<!-- needs: WHAT -->`` if its commands need hardware, time, data or the network. Marked or not, a
command of ``rmr1`` has to parse: verb, flags, values of flags. Commands that are not of ``rmr1`` are checked as far as they can be
(targets of make, scripts and their flags), and an unmarked one that nothing here knows fails.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from rmr1.cli.main import app
from rmr1.cli.options import take_layers
from rmr1.config import DistillConfig, JudgeConfig, RlConfig, SftConfig
from rmr1.errors import ConfigError
from tests.support.documentation import PAGES, ROOT, Command, commands

NEEDS = {"gpu", "time", "network", "data"}
CONFIGS = {"judge": JudgeConfig, "eval": JudgeConfig, "distill": DistillConfig, "sft": SftConfig, "rl": RlConfig}
UNIX = {"zcat"}
VERBS = typer.main.get_command(app).commands


def rmr1_mistakes(words: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with a command line of ``rmr1``; its values are converted as the program itself does."""
    verb, *arguments = words or ("--help",)
    if verb.startswith("-"):
        known = {name for option in typer.main.get_command(app).params for name in option.opts} | {"--help"}
        yield from (word for word in words if word not in known)
        return
    if verb not in VERBS:
        yield f"no verb {verb}"
        return
    command = VERBS[verb]
    try:
        context = command.make_context(verb, list(arguments), resilient_parsing=False)
    except Exception as error:  # click's errors; which module they come from is typer's affair
        yield f"rmr1 {verb}: {getattr(error, 'message', error)}"
        return
    context.close()
    if verb in CONFIGS:
        yield from setting_mistakes(verb, dict(context.params))


def setting_mistakes(verb: str, given: dict[str, object]) -> Iterator[str]:
    """What is wrong with the values of a command, but for those of files, which the docs only name."""
    try:
        layers = take_layers(CONFIGS[verb], given, recipes=verb)
        needed = {"teacher": "any"} if verb == "distill" and not layers.flags["teacher"] else {}
        replace(layers, file=None).load(needed)
    except ConfigError as error:
        yield str(error)


def script_flags(script: Path) -> set[str]:
    """The flags that a script names: the texts that begin with two dashes, and those that it builds as ``f"--{name}"``."""
    nodes = list(ast.walk(ast.parse(script.read_text(encoding="utf-8"))))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    builds = any(
        isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant) and node.values[0].value == "--"
        for node in nodes
    )
    return {text for text in texts if text.startswith("--")} | {f"--{text}" for text in texts if builds}


def other_mistakes(command: Command) -> Iterator[str]:
    """What is wrong with a command of another program."""
    name, *arguments = command.words
    if name == "make":
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        yield from (f"no target {target}" for target in arguments if target not in targets)
    elif name == "python":
        script = ROOT / arguments[0]
        if not script.is_file():
            yield f"no script {arguments[0]}"
            return
        flags = script_flags(script)
        yield from (
            f"{arguments[0]} has no {word}" for word in arguments if word.startswith("--") and word not in flags
        )
    elif name.endswith("pytest"):
        yield from (f"no {word}" for word in arguments if word.startswith("tests/") and not (ROOT / word).exists())
    elif command.needs is None and name not in UNIX:
        yield f"nobody checks {name}: test it here, or mark its block with <!-- needs: ... -->"


def mistakes(command: Command) -> list[str]:
    if command.needs is not None and command.needs.split()[0].rstrip(",") not in NEEDS:
        return [f"unknown mark: needs {command.needs}"]
    words = command.rmr1
    return list(rmr1_mistakes(words) if words is not None else other_mistakes(command))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_are_taken(path: Path) -> None:
    found = commands(path.read_text(encoding="utf-8"))
    assert [(" ".join(command.words), wrong) for command in found for wrong in mistakes(command)] == []


BLOCK = """```sh
zcat x | RMR1_SEED=1 rmr1 judge - \\
  --jsn --votes=2 > out --no-such
rmr1 juge
rmr1 judge x --votes many
rmr1 judge x --set vote=2
frobnicate --now
make tea
python bench/rollout.py --no-such
rmr1 --version
```

<!-- needs: gpu (8 of them) -->
```sh
accelerate launch -m rmr1.cli.main sft --no-such x
nvidia-smi
```

<!-- needs: luck -->
```console
$ rmr1 pull --list
its output
```
"""


def test_mistakes_are_found() -> None:
    found = {" ".join(command.words): mistakes(command) for command in commands(BLOCK)}
    wrong = {words for words, problems in found.items() if problems}
    assert found["zcat x"] == found["rmr1 --version"] == found["nvidia-smi"] == []
    assert wrong == {
        "rmr1 judge - --jsn --votes=2",
        "rmr1 juge",
        "rmr1 judge x --votes many",
        "rmr1 judge x --set vote=2",
        "frobnicate --now",
        "make tea",
        "python bench/rollout.py --no-such",
        "accelerate launch -m rmr1.cli.main sft --no-such x",
        "rmr1 pull --list",
    }


def test_the_readme_has_commands() -> None:
    assert len(list(commands((ROOT / "README.md").read_text(encoding="utf-8")))) > 15
