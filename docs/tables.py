"""Writes the tables of settings and options into the pages, from the configuration models and the command line.

``python docs/tables.py`` rewrites what stands between ``<!-- table: JudgeConfig -->`` or ``<!-- flags: judge -->`` and
``<!-- end -->``; ``make docs`` runs it, and a test fails when a page is out of date.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import typer
from pydantic import BaseModel

from rmr1.cli.main import app
from rmr1.cli.options import default_text
from rmr1.config import DistillConfig, EngineConfig, JudgeConfig, Key, RlConfig, SftConfig, list_keys
from rmr1.curation import DataRecipe

DOCS = Path(__file__).parent
MODELS: dict[str, type[BaseModel]] = {
    kind.__name__: kind for kind in (JudgeConfig, EngineConfig, DistillConfig, SftConfig, RlConfig, DataRecipe)
}
PREFIXES = {"EngineConfig": "engine."}
_MARKED = re.compile(
    r"(?P<begin><!-- (?P<what>table|flags): (?P<name>\w+) -->\n)(?P<old>.*?)(?P<end><!-- end -->)", re.DOTALL
)


def filled(text: str) -> str:
    """A page with its tables as they should be."""
    return _MARKED.sub(lambda found: f"{found['begin']}{_table(found['what'], found['name'])}{found['end']}", text)


def _table(what: str, name: str) -> str:
    if what == "flags":
        rows = ["| option | meaning |", "|---|---|", *_flag_rows(name)]
    else:
        rows = ["| key | default | meaning |", "|---|---|---|", *_key_rows(name)]
    return "".join(f"{row}\n" for row in rows)


def _key_rows(name: str) -> Iterator[str]:
    kind, prefix = MODELS[name], PREFIXES.get(name, "")
    groups: set[str] = set()
    for key in list_keys(kind):
        group = key.name.rpartition(".")[0]
        if key.group is EngineConfig and kind is not EngineConfig:
            if group not in groups:
                yield f"| `{group}` | as below | {key.panel}: see [Engines](configuration.md#engines) |"
            groups.add(group)
        else:
            yield f"| `{prefix}{key.name}` | {_code(default_text(key))} | {_meaning(key)} |"


def _code(text: str) -> str:
    """A cell in the type of code; a bar would end it, on GitHub also between backquotes."""
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def _meaning(key: Key) -> str:
    text = key.meaning.replace("|", "\\|")
    return f"{text} ({', '.join(f'`{choice}`' for choice in key.choices)})" if key.choices else text


def _flag_rows(verb: str) -> Iterator[str]:
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    for option in command.params:
        if option.param_type_name == "option" and not option.name.startswith("key_"):
            names = ", ".join(
                f"`{name}`" for name in (*option.opts, *option.secondary_opts) if name != "--run-directory"
            )
            yield f"| {names} | {option.help.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    for page in sorted(DOCS.glob("*.md")):
        old = page.read_text(encoding="utf-8")
        if filled(old) != old:
            page.write_text(filled(old), encoding="utf-8")
