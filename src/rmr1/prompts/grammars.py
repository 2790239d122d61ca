"""GBNF grammars that force the format of a template, so that also a weak model ends in a verdict."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from rmr1.errors import TemplateError
from rmr1.prompts.templates import Template


def load_grammar(template: Template) -> str:
    """The GBNF text of a template's grammar.

    Raises:
        TemplateError: The template names a grammar that does not exist.
    """
    folder = files("rmr1.prompts") / "grammars"
    path = folder / f"{template.grammar}.gbnf"
    if not path.is_file():
        known = ", ".join(sorted(Path(entry.name).stem for entry in folder.iterdir()))
        raise TemplateError(f'{template.name}: no grammar "{template.grammar}"; the grammars are {known}')
    return path.read_text(encoding="utf-8")
